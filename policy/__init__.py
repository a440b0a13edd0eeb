"""The rules that no stack may break; docs/policy.md lists them. `rules.py` has all of them, `pack.py` gives them to
the engine, and only that file knows of Pulumi."""

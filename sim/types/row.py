"""One row of the table of what is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sim import outputs
from sim.values import Json, Properties


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def never(_identity: str, _inputs: Properties) -> bool:
    return False


def always(_identity: str, _inputs: Properties) -> bool:
    return True


def when_its_name_is_chosen(_identity: str, inputs: Properties) -> bool:
    """A name that somebody chose can exist only once, so the bridge deletes before it creates again."""
    defaults = inputs.get("__defaults")
    return isinstance(defaults, list) and "name" not in defaults


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """How the real provider treats one resource type. Nested properties are dotted paths without indices."""

    args: type
    """The Python SDK's Args class: every property name, and which are required."""
    replace_on: frozenset[str]
    """Properties whose change replaces the resource; all the others are updated in place."""
    in_place_within: frozenset[str] = frozenset()
    """Nested properties of `replace_on` that are updated in place all the same."""
    computed_inputs: frozenset[str] = frozenset()
    """Inputs that the provider fills in when not given: unknown in a preview, and kept when taken away."""
    removal_ignored: frozenset[str] = frozenset()
    """Other inputs whose removal the provider does not see as a change."""
    computed: frozenset[str] = frozenset()
    """Outputs that are no inputs."""
    secret: frozenset[str] = frozenset()
    """Top-level properties that are always secret."""
    sets: frozenset[str] = frozenset()
    """Lists whose order means nothing."""
    refused: frozenset[str] = frozenset()
    """Inputs that the simulation does not cover, and says so."""
    normalize: Callable[[Properties], Properties] = dict
    """Inputs as they are given ─► as the provider keeps them."""
    defaults: Mapping[str, Json] = field(default_factory=dict)
    autonamed: bool = False
    """Without a `name`, the logical name and seven random digits become it."""
    needed: frozenset[str] = frozenset()
    """Inputs that the simulation asks for beside those that the SDK does."""
    immutable: Mapping[str, str | None] = field(default_factory=dict)
    """What the API behind the provider refuses to change, and its words for it; None for exceptions within.
    The longest path counts."""
    deletes_first: Callable[[str, Properties], bool] = never
    """id and new inputs ─► whether a replacement begins with the end of the old one."""
    compute: Callable[[str, Properties], Properties]
    """id and inputs ─► the computed and computed input properties; what is given wins. May raise Refusal."""
    identify: Callable[[Properties], str] = outputs.simulated_id
    """inputs ─► id."""

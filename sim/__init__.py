"""Simulated providers: they answer the real Pulumi engine as the plugins would, and create nothing.

    with sim.serve() as debug_providers:
        run("pulumi up", env={"PULUMI_DEBUG_PROVIDERS": debug_providers})

or, in a process of its own, `python -m sim`. Every id that a provider would make up has `simulated-` in it,
every address is of 192.0.2.0/24, which RFC 5737 reserves for examples. What is simulated stands in one table,
`sim/types/`; what the worlds behind the providers forbid, in `sim/docker_engine.py`, `sim/cluster.py` and
`sim/aws_account.py`; faults on demand are described in `sim/faults.py`.
"""

from sim.server import serve

__all__ = ["serve"]

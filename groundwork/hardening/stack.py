"""What the machines of a stack are hardened to: its settings, with the names in its plan turned into networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..addressing import closed_range
from ..edge import balancer_networks
from ..machines import AwsMachines, ExistingMachines, Machine, Opening
from ..settings import Settings
from ..targets import DockerTarget
from .state import AWS_TIME, Hardening

WORLD = "0.0.0.0/0"


def hardenings(
    settings: Settings, openings: Mapping[str, tuple[Opening, ...]], *, prefix: str, deployers: Iterable[str] = ()
) -> dict[str, Hardening]:
    """The hardening of each machine of the stack, by name; none where it has no machines.

    `openings` are the plan's, by machine; `prefix` begins the host names; `deployers` are public keys beside those of
    the settings.
    """
    machines, target = settings.machines, settings.target
    if not isinstance(machines, AwsMachines | ExistingMachines) or not isinstance(target, DockerTarget):
        return {}
    known = settings.stack_machines
    addresses = {machine.name: machine.address for machine in known}
    keys = (*(machines.deployers if isinstance(machines, AwsMachines) else ()), *deployers)
    times = machines.time_servers or ((AWS_TIME,) if isinstance(machines, AwsMachines) else ())
    balancers = balancer_networks(settings)

    def networks(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name == "world":
                yield WORLD
            elif name == "balancer":
                yield from map(str, balancers)
            else:
                yield f"{addresses[name]}/32"

    return {
        machine.name: Hardening(
            host_name=f"{prefix}-{machine.name}",
            role=machine.role,
            time_zone=settings.time_zone,
            memory_mib=machine.memory_mib,
            swap_mib=machines.swap_mib,
            data_disk=isinstance(machines, AwsMachines) or bool(_device(machines, machine)),
            data_device=_device(machines, machine),
            administrators=machines.administrators,
            deployers=keys,
            openings=tuple(
                Opening(port=opening.port, sources=tuple(networks(opening.sources)))
                for opening in openings.get(machine.name, ())
            ),
            machines=tuple(addresses.values()),
            container_subnets=target.subnets,
            private_subnets=closed_range(target.subnets),
            balancer_subnets=balancers,
            time_servers=times,
            reboot_at=machines.reboot_at,
        )
        for machine in known
    }


def _device(machines: AwsMachines | ExistingMachines, machine: Machine) -> str:
    return (machines.roles[machine.role].data_disk or "") if isinstance(machines, ExistingMachines) else ""

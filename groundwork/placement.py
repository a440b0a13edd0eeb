"""Which machine runs what, how workloads of one meet those of another, and which ports that opens.

Everything is keyed by name: a further service moves no port and no container, a further app machine restarts nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .addressing import closed_range, open_range, ports, subnets
from .connections import GATEWAY, connections_of, local_networks
from .deployment import Connection, Endpoint, Network, Share, peak_mib
from .faults import Fault
from .machines import APP_ROLES, SYSTEM_MIB, AwsMachines, Machine, NoMachines, Opening
from .monitoring.programs import AT_HOME
from .nginx import Upstream
from .peers import Peers
from .settings import Settings
from .system import System
from .targets import DockerTarget, KubernetesTarget
from .workload import Published, Workload

Own = Mapping[str, Mapping[str, Workload]]
"""Workloads that are another one on each machine: by their name, and by that of the machines that have one."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where everything of a stack runs. `homes` are the machines of what lives on one: services, the jobs and exporters
    beside them, and programs of monitoring. `doors` are the ports at which machines open services and monitoring to
    others, and gateways to each other. Without machines nothing is away."""

    owner: str
    machines: tuple[Machine, ...]
    homes: Mapping[str, Machine]
    doors: Mapping[str, int]

    @property
    def app_machines(self) -> tuple[Machine, ...]:
        """In their order: replica i of an app runs on machine i mod n, what runs once on the first."""
        return tuple(machine for machine in self.machines if machine.role in APP_ROLES)

    def away(self, name: str) -> Endpoint | None:
        """Where other machines find what lives on one; None where there are no others, or it lets none of them in."""
        home = self.homes.get(name)
        if home is None or name not in self.doors or len(self.machines) == 1:
            return None
        return Endpoint(address=home.address, port=self.doors[name])

    def found(self, name: str, port: int, machine: Machine | None) -> str:
        """`host:port` of what lives on one machine, as its clients on `machine` find it: by its name there, by its door
        anywhere else."""
        door = self.away(name)
        return f"{door.address}:{door.port}" if door and self.homes[name] != machine else f"{name}:{port}"

    def variables(self, service: str) -> dict[str, str]:
        """What of a service's connection is another thing for apps that are on another machine."""
        door = self.away(service)
        return {"host": str(door.address), "port": str(door.port)} if door else {}

    def opened(self, workload: Workload) -> Workload:
        """A workload with its port at its machine's private address. Services have theirs whether or not somebody uses
        it by now: a new client must not restart a database."""
        door = self.away(workload.name)
        if door is None or workload.port is None:
            return workload
        published = Published(address=str(door.address), port=door.port, target=workload.port)
        return replace(workload, published=(*workload.published, published))

    def peers(self, machine: Machine) -> Peers | None:
        """Where `all` is one machine there will be no other gateway."""
        if machine.role != "app":
            return None
        others = tuple(other.address for other in self.app_machines if other != machine)
        return Peers(port=self.doors[GATEWAY], others=others)

    def upstreams(
        self, machine: Machine, apps: Mapping[str, Upstream], replicas: Mapping[str, int]
    ) -> dict[str, Upstream]:
        """Where the gateway of `machine` finds each app: here, and at the gateways of all others that run it."""
        return {
            name: replace(
                upstream,
                here=self.replicas_on(machine, replicas[name]) > 0,
                peers=tuple(
                    f"{other.address}:{self.doors[GATEWAY]}"
                    for other in self.app_machines
                    if other != machine and self.replicas_on(other, replicas[name])
                ),
            )
            for name, upstream in apps.items()
        }

    def replicas_on(self, machine: Machine, replicas: int) -> int:
        """How many of an app's replicas run on a machine."""
        return len(range(self.app_machines.index(machine), replicas, len(self.app_machines)))

    def here(self, machine: Machine, workload: Workload, own: Own) -> Workload | None:
        """The workload as `machine` runs it, if it does."""
        if workload.name in own:
            return own[workload.name].get(machine.name)
        if workload.per_machine:
            return workload
        home = self.homes.get(workload.name)
        if home:
            return workload if home == machine else None
        if machine not in self.app_machines:
            return None
        count = self.replicas_on(machine, workload.replicas)
        return replace(workload, replicas=count) if count else None


def placement_of(system: System, settings: Settings, owner: str) -> Placement:
    """The settings have no fault (`placement_faults`)."""
    machines = settings.stack_machines
    homes: dict[str, Machine] = {}
    for service in system.services if machines else ():
        home = next(machine for machine in machines if machine.role in (service.machine_role, "all"))
        # What makes and ends accounts, and what measures, stays beside its service.
        beside = (f"{service.name}-{what}" for what in ("accounts", "retire", "exporter"))
        homes |= {name: home for name in (service.name, *beside)}
    entry = (settings.entry.http_port, settings.entry.https_port)
    doors = ports(owner, [GATEWAY, *(service.name for service in system.services)], avoid=entry)
    if machines and settings.monitoring:
        homes |= {name: monitoring_home(machines) for name in AT_HOME}
        # Monitoring that comes later moves no door.
        doors |= ports(owner, AT_HOME, avoid=(*entry, *doors.values()))
    return Placement(owner=owner, machines=machines, homes=homes, doors=doors)


def monitoring_home(machines: Sequence[Machine]) -> Machine:
    """Where everything is gathered: a machine for it, else the first that runs apps."""
    return next(machine for role in ("monitoring", *APP_ROLES) for machine in machines if machine.role == role)


def shares_of(
    placement: Placement,
    workloads: Sequence[Workload],
    own: Own,
    routed: Collection[str],
    target: DockerTarget,
) -> tuple[Share, ...]:
    """What each machine runs, also one that runs nothing yet. The gateways send to apps `routed`."""
    shares = []
    for machine in placement.machines:
        found = (placement.here(machine, workload, own) for workload in workloads)
        here = tuple(workload for workload in found if workload)
        # What is another one on each machine uses other things on each.
        connections = connections_of(here, workloads, routed)
        networks = machine_networks(placement, machine, here, connections, target)
        shares.append(Share(machine=machine, workloads=here, networks=networks))
    return tuple(shares)


def machine_networks(
    placement: Placement,
    machine: Machine,
    workloads: Sequence[Workload],
    connections: Iterable[Connection],
    target: DockerTarget,
) -> tuple[Network, ...]:
    """Between workloads of this machine as on one engine. Who uses another machine has an outward network of its own
    that leads to those doors alone, unless it has one for `egress` anyway; so has who opens a door, to answer there."""
    here = {workload.name: workload for workload in workloads}
    internal = local_networks([one for one in connections if one.server in here], workloads)
    ways: dict[str, list[Endpoint]] = {}
    for connection in connections:
        if connection.client != GATEWAY and connection.server not in here:
            door = placement.away(connection.server)
            if door:
                ways.setdefault(connection.client, []).append(door)
    outward: dict[str, Outward] = {}
    for name, workload in here.items():
        doors = tuple(ways.get(name, ()))
        if workload.role == "gateway":
            peers = placement.peers(machine)
            others = tuple(Endpoint(address=other, port=peers.port) for other in peers.others) if peers else ()
            outward["public"] = Outward(member=name, closed=True, masquerade=peers is not None, leads_to=others)
        elif workload.egress:
            outward[f"{name}-egress"] = Outward(member=name, closed=False, masquerade=True, leads_to=doors)
        # A tunnel to a program of monitoring begins beside a gateway, or else in a network that the machine is in.
        elif doors or workload.published or (workload.role == "monitoring" and GATEWAY not in here):
            outward[f"{name}-machines"] = Outward(member=name, closed=True, masquerade=bool(doors), leads_to=doors)
    closed = {name for name, way in outward.items() if way.closed}
    ranges = subnets(open_range(target.subnets), placement.owner, {*internal, *outward} - closed)
    ranges |= subnets(closed_range(target.subnets), placement.owner, closed)
    networks = [
        *(
            Network(name=name, subnet=ranges[name], members=frozenset(joined), internal=True)
            for name, joined in internal.items()
        ),
        *(
            Network(
                name=name,
                subnet=ranges[name],
                members=frozenset({way.member}),
                internal=False,
                masquerade=way.masquerade,
                leads_to=way.leads_to,
            )
            for name, way in outward.items()
        ),
    ]
    return tuple(sorted(networks, key=lambda network: network.name))


@dataclass(frozen=True, kw_only=True)
class Outward:
    """An outward network before it has a subnet; a `closed` one leads to machines only."""

    member: str
    closed: bool
    masquerade: bool
    leads_to: tuple[Endpoint, ...]


def openings_of(
    placement: Placement, shares: Sequence[Share], settings: Settings
) -> dict[str, tuple[Opening, ...]]:
    """The ports that each machine opens, and to whom: those to which networks of other machines lead. A balancer is one
    of `groundwork:edge`, or the networks in `entry.trusted_proxies`."""
    used = [
        (share.machine.name, door)
        for share in shares
        if share.machine
        for network in share.networks
        for door in network.leads_to
    ]
    opened: dict[str, tuple[Opening, ...]] = {}
    for machine in placement.machines:
        sources: dict[int, set[str]] = {}
        for client, door in used:
            if door.address == machine.address:
                sources.setdefault(door.port, set()).add(client)
        if machine in placement.app_machines:
            entry, front = settings.entry, {entry_source(machine, settings)}
            sources |= {entry.http_port: front} | ({entry.https_port: front} if entry.has_tls else {})
        opened[machine.name] = tuple(
            Opening(port=port, sources=tuple(sorted(names))) for port, names in sorted(sources.items()) if names
        )
    return opened


def entry_source(machine: Machine, settings: Settings) -> str:
    """Who comes to a gateway: whoever is in front, or everybody where the machine itself is the entry."""
    machines, everywhere = settings.machines, settings.entry.address.is_unspecified
    public = machines.roles[machine.role].public if isinstance(machines, AwsMachines) else everywhere
    if settings.edge is None and public:
        return "world"
    return "balancer"


def placement_faults(system: System, settings: Settings) -> Iterator[Fault]:
    """Machines and what is to run on them, where the two don't fit."""
    machines, where = settings.machines, "groundwork:machines"
    if isinstance(machines, NoMachines):
        return
    if isinstance(settings.target, KubernetesTarget):
        what = f"`{machines.kind}` machines run Docker engines, and the target is a cluster"
        yield Fault(f"{where}.kind", what, "take groundwork:machines out, or give a target of the kind docker")
        return
    roles = machines.roles
    needed = {"the apps and their gateway": "app"} | {service.name: service.machine_role for service in system.services}
    for name, role in needed.items() if "all" not in roles else ():
        if role not in roles:
            runs = "run" if role == "app" else "runs"
            what = f"{name} {runs} on the role {role}, and no machine has it"
            yield Fault(f"{where}.roles", what, f"add {where}.roles.{role}, or use `all`")
    if "memory_mib" in settings.target.model_fields_set:
        what = "is the memory of one engine, and each of these machines has its own"
        yield Fault("groundwork:target.memory_mib", what, f"take it out; {where}.roles says it")
    address, gateways = settings.entry.address, [one for one in settings.stack_machines if one.role in APP_ROLES]
    if len(gateways) > 1 and not (address.is_loopback or address.is_unspecified):
        what = f"{address} is one address, and each gateway needs its own machine's"
        instead = "take it out, or write 0.0.0.0: a private address, or all of a machine's"
        yield Fault("groundwork:entry.address", what, instead)


def memory_faults(shares: Iterable[Share]) -> Iterator[Fault]:
    """For each role with too small machines, the one that lacks most."""
    short: dict[str, Share] = {}
    for share in shares:
        machine = share.machine
        if machine and share.memory_mib > machine.memory_mib:
            worst = short.setdefault(machine.role, share)
            short[machine.role] = max(worst, share, key=lambda one: one.memory_mib)
    for role, share in short.items():
        assert share.machine
        have, need = share.machine.memory_mib, share.memory_mib
        on_aws = share.machine.host is None
        key, least = ("memory_gib", -(-(need + SYSTEM_MIB) // 1024)) if on_aws else ("memory_mib", need)
        largest = max(share.workloads, key=peak_mib)
        yield Fault(
            f"groundwork:machines.roles.{role}.{key}",
            f"{share.machine.name} gives {have} MiB, its containers need {need} MiB while a release is under way",
            f"give at least {least}, or lower memory_mib or replicas; the largest is {largest.name} "
            f"with {largest.replicas} x {largest.resources.memory_mib} MiB",
        )

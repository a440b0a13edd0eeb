"""Where everything stands in the picture of a Deployment, in pixels.

From left to right: users, gateway, apps, backing services. Every network that several workloads share is
an area; a service's area holds its jobs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..deployment import Deployment, Network
from ..workload import Workload
from .document import copies_of

MARGIN, PAD, GAP = 28, 18, 20
TITLE, AREA_TITLE, LEGEND = 78, 40, 80
FRAME, FRAME_TITLE = 9, 28
"""Around the areas of a machine, and above them."""
CARD, OUTSIDE, BETWEEN = 226, 176, 148
"""Widths: of a card, of a card outside, and of the way between two columns."""
HEAD, LINE, FOOT = 32, 17, 10
"""Heights within a card."""
CHARACTERS = 31
"""What fits on one line of a card at 11.5 px."""

Kind = Literal["app", "service", "gateway", "job", "outside"]


@dataclass(frozen=True, kw_only=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True, kw_only=True)
class Card:
    """One workload, or somebody outside; `copies` are replicas, `whole` is what a pointer over it shows."""

    name: str
    kind: Kind
    lines: tuple[str, ...]
    whole: str
    box: Box
    copies: int = 1


@dataclass(frozen=True, kw_only=True)
class Area:
    """A network: `tint` is the place of its colour in the palette."""

    title: str
    subtitle: str
    tint: int
    box: Box


@dataclass(frozen=True, kw_only=True)
class Wire:
    """From the right side of one card to the left side of another, straight for the last piece.

    `labels` stand above that piece and end at `label_x`, `notes` stand below it.
    """

    start: Box
    end: Box
    labels: tuple[str, ...]
    label_x: float
    notes: tuple[str, ...] = ()
    dashed: bool = False

    @property
    def straight_from(self) -> float:
        """Where labels begin: 7 px a character at most, and never before a third of the way."""
        longest = max((len(text) for text in (*self.labels, *self.notes)), default=0)
        return max(self.label_x - 7 * longest - 4, self.start.right + (self.end.x - self.start.right) / 3)


@dataclass(frozen=True, kw_only=True)
class Picture:
    width: float
    height: float
    title: str
    place: str
    subtitle: str
    cards: tuple[Card, ...]
    areas: tuple[Area, ...]
    wires: tuple[Wire, ...]
    frames: tuple[Area, ...] = ()
    """Machines, around their areas."""


def arrange(deployment: Deployment) -> Picture:
    """The picture of `deployment` without its monitoring; nothing in it overlaps."""
    deployment = deployment.serving
    gateway = next(workload for workload in deployment.workloads if workload.role == "gateway")
    routed = [connection.server for connection in deployment.connections if connection.client == gateway.name]
    middle = [workload for workload in deployment.workloads if workload.name in routed]
    beside = [
        w
        for w in deployment.workloads
        if w.name not in routed and w.role in ("app", "job") and not service_of(w, deployment)
    ]
    gateway_x = MARGIN + OUTSIDE + BETWEEN + PAD
    app_x = gateway_x + CARD + BETWEEN * 0.72
    service_x = app_x + CARD + BETWEEN + 2 * PAD

    top = TITLE + MARGIN + (FRAME_TITLE if deployment.machines else 0)

    apps, apps_bottom = column([card_of(w) for w in middle], app_x, top + AREA_TITLE)
    edge_bottom = max(apps_bottom, top + AREA_TITLE + height_of(3)) + PAD
    others, others_bottom = column([card_of(w) for w in beside], app_x, edge_bottom + GAP)
    groups, services_bottom = service_areas(deployment, service_x, top)
    left_bottom = others_bottom if beside else edge_bottom
    down = max(0.0, (services_bottom - left_bottom) / 2)
    up = max(0.0, (left_bottom - services_bottom) / 2)

    apps, others = moved(apps, down), moved(others, down)
    groups = [(replace(area, box=lowered(area.box, up)), moved(cards, up)) for area, cards in groups]
    edge = area_of(
        next((network for network in deployment.networks if network.name == "edge"), None),
        0,
        Box(
            x=gateway_x - PAD,
            y=top + down,
            width=app_x + CARD + PAD - (gateway_x - PAD),
            height=edge_bottom - top,
        ),
    )
    entry = centred(card_of(gateway), gateway_x, edge.box.y + AREA_TITLE / 2 + edge.box.height / 2)
    users = centred(users_card(deployment), MARGIN, entry.box.middle)
    cards = [users, entry, *apps, *others, *(card for _, held in groups for card in held)]
    height = max(left_bottom + down, services_bottom + up) + LEGEND + MARGIN / 2 + (FRAME if deployment.machines else 0)
    at: dict[str, list[Box]] = {machine_names(gateway, deployment): [edge.box, *(card.box for card in others)]}
    for area, held in groups:
        owner = next((w for w in deployment.workloads if w.name == held[0].name), None)
        at.setdefault(f"{machine_names(owner, deployment)}" if owner else "", []).append(area.box)
    return Picture(
        width=service_x + CARD + PAD + MARGIN,
        height=height,
        title=deployment.system,
        place=f"{deployment.project}/{deployment.stack}",
        subtitle=summary(deployment),
        cards=tuple(cards),
        areas=(edge, *(area for area, _ in groups)),
        wires=tuple(wires(deployment, cards, users, entry, service_x - PAD)),
        frames=tuple(frame_of(names, boxes, deployment) for names, boxes in at.items() if names),
    )


def machine_names(workload: Workload, deployment: Deployment) -> str:
    """The machines of its kind, however many of them run it; nothing where there are none."""
    roles = {machine.role for machine in deployment.machines_of(workload.name)}
    return " · ".join(machine.name for machine in deployment.machines if machine.role in roles)


def frame_of(names: str, boxes: Sequence[Box], deployment: Deployment) -> Area:
    """Around all of `boxes`, with the most that one of these machines needs."""
    shares = [share for share in deployment.shares if share.machine and share.machine.name in names.split(" · ")]
    most = max(shares, key=lambda share: share.memory_mib)
    assert most.machine
    each = " each" if len(shares) > 1 else ""
    left, top = min(box.x for box in boxes) - FRAME, min(box.y for box in boxes) - FRAME_TITLE
    right, bottom = max(box.right for box in boxes) + FRAME, max(box.bottom for box in boxes) + FRAME
    return Area(
        title=names,
        subtitle=f"at most {most.memory_mib:,} of {most.machine.memory_mib:,} MiB{each}",
        tint=0,
        box=Box(x=left, y=top, width=right - left, height=bottom - top),
    )


def summary(deployment: Deployment) -> str:
    running = sum(workload.replicas for workload in deployment.workloads if workload.role != "job")
    jobs = sum(workload.role == "job" for workload in deployment.workloads)
    idle = [share.machine.name for share in deployment.shares if share.machine and not share.workloads]
    return (
        f"{running} containers, {jobs} jobs · at most {deployment.memory_mib:,} MiB of memory, "
        f"while a release is under way · {deployment.time_zone}"
        + (f" · nothing on {', '.join(idle)}" if idle else "")
    )


def service_of(workload: Workload, deployment: Deployment) -> str | None:
    """The service to whose area a job belongs: the one whose image it runs and which alone it uses."""
    if workload.role != "job" or len(workload.uses) != 1:
        return None
    service = deployment.workload(workload.servers[0])
    return service.name if service.image == workload.image else None


def service_areas(deployment: Deployment, x: float, top: float) -> tuple[list[tuple[Area, list[Card]]], float]:
    """One area a service with its jobs, and one a way outside, from `top` downwards; and where they end."""
    networks = {network.name: network for network in deployment.networks}
    held: list[tuple[Network | None, list[Card]]] = []
    around: list[str] = []
    services = [workload for workload in deployment.workloads if workload.role == "service"]
    for service in sorted(services, key=lambda one: first_place(one, deployment)):
        around.append(machine_names(service, deployment))
        jobs = [w for w in deployment.workloads if service_of(w, deployment) == service.name]
        held.append((networks.get(service.name), [card_of(workload) for workload in (service, *jobs)]))
    for workload in (workload for workload in deployment.workloads if workload.egress):
        lines = tuple(clip(host) for host in workload.egress)
        card = blank("outside", f"outside, for {workload.name}", lines, "\n".join(workload.egress), CARD)
        held.append((networks.get(f"{workload.name}-egress"), [card]))
    groups = []
    for tint, (network, cards) in enumerate(held, 1):
        if around and 1 < tint <= len(around) and around[tint - 1] != around[tint - 2]:
            top += FRAME + FRAME_TITLE
        placed, bottom = column(cards, x, top + AREA_TITLE)
        box = Box(x=x - PAD, y=top, width=CARD + 2 * PAD, height=bottom + PAD - top)
        groups.append((area_of(network, tint, box), placed))
        top = box.bottom + GAP
    return groups, top - GAP if groups else top


def first_place(workload: Workload, deployment: Deployment) -> int:
    """The place of its machine among all, so that what is on one machine stands together."""
    machines = deployment.machines_of(workload.name)
    return deployment.machines.index(machines[0]) if machines else 0


def wires(deployment: Deployment, cards: Sequence[Card], users: Card, entry: Card, area_x: float) -> list[Wire]:
    """What may reach what, but for a service's own jobs, which stand beside it."""
    at = {card.name: card for card in cards}
    gateway = deployment.workload(entry.name)
    doors = tuple(f"{port.address}:{port.port}" for port in deployment.front_doors(gateway.name))
    public = tuple(
        dict.fromkeys(
            f"network {network.name}" for network in deployment.networks_of(gateway.name) if not network.internal
        )
    )
    drawn = [Wire(start=users.box, end=entry.box, labels=doors, notes=public, label_x=entry.box.x - PAD - 12)]
    for connection in deployment.connections:
        client = deployment.workload(connection.client)
        if service_of(client, deployment) == connection.server:
            continue
        end = at[connection.server].box
        label_x = (area_x if end.x > area_x else end.x) - 12
        drawn.append(
            Wire(
                start=at[client.name].box,
                end=end,
                labels=(f":{connection.port}",),
                label_x=label_x,
                dashed=client.role == "job",
            )
        )
    drawn += [
        Wire(
            start=at[w.name].box,
            end=at[f"outside, for {w.name}"].box,
            labels=("egress",),
            label_x=area_x - 12,
        )
        for w in deployment.workloads
        if w.egress
    ]
    return drawn


def card_of(workload: Workload) -> Card:
    assert workload.role != "monitoring", "pictures leave it out"
    image, resources = workload.image, workload.resources
    copies = copies_of(workload)
    lines = [f"{copies}{resources.memory_mib:,} MiB · {resources.cpus:g} CPU"]
    if workload.role == "job":
        lines.append(workload.schedule or "once per release")
    else:
        lines.insert(0, clip(image.reference))
        lines += ["never twice"] if workload.role == "app" and workload.strategy == "recreate" else []
        lines += [clip(f"data: {volume.name}") for volume in workload.volumes if workload.role != "gateway"]
    said = f"{workload.name} ({workload.role})\n{image.reference}\n{image.digest} ({image.origin})"
    whole = f"{said}\nuser {workload.user}"
    return replace(blank(workload.role, workload.name, tuple(lines), whole, CARD), copies=min(workload.replicas, 3))


def users_card(deployment: Deployment) -> Card:
    url = deployment.urls["system"]
    return blank("outside", "Users", (clip(url, 23),), url, OUTSIDE)


def blank(kind: Kind, name: str, lines: tuple[str, ...], whole: str, width: float) -> Card:
    return Card(
        name=name,
        kind=kind,
        lines=lines,
        whole=whole,
        box=Box(x=0, y=0, width=width, height=height_of(len(lines))),
    )


def height_of(lines: int) -> float:
    return HEAD + LINE * lines + FOOT


def clip(text: str, width: int = CHARACTERS) -> str:
    """The text, without its middle where it is too long for a line."""
    if len(text) <= width:
        return text
    return f"{text[: width // 3]}…{text[-(width - width // 3 - 1) :]}"


def column(cards: Sequence[Card], x: float, top: float) -> tuple[list[Card], float]:
    """The cards below each other from `top`, and where they end."""
    placed = []
    for card in cards:
        placed.append(replace(card, box=replace(card.box, x=x, y=top)))
        top += card.box.height + GAP + 5 * (card.copies - 1)
    return placed, top - GAP if placed else top


def centred(card: Card, x: float, middle: float) -> Card:
    return replace(card, box=replace(card.box, x=x, y=middle - card.box.height / 2))


def lowered(box: Box, by: float) -> Box:
    return replace(box, y=box.y + by)


def moved(cards: Sequence[Card], by: float) -> list[Card]:
    return [replace(card, box=lowered(card.box, by)) for card in cards]


def area_of(network: Network | None, tint: int, box: Box) -> Area:
    if network is None:
        return Area(title="", subtitle="", tint=tint, box=box)
    way = "no way out" if network.internal else "leads outside"
    return Area(title=f"network {network.name}", subtitle=f"{network.subnet} · {way}", tint=tint, box=box)

"""Pictures of a Deployment: Mermaid text for Markdown, and an SVG that is read in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from ..deployment import Deployment
from ..workload import Workload
from .document import copies_of
from .layout import FOOT, HEAD, LEGEND, LINE, MARGIN, Area, Card, Picture, Wire, arrange, machine_names, service_of

TINTS = ("#3b82f6", "#0d9488", "#8b5cf6", "#d97706", "#db2777", "#65a30d", "#0891b2", "#e11d48")
ROLES = {"gateway": "#3b82f6", "app": "#16a34a", "service": "#8b5cf6", "job": "#94a3b8", "outside": "#64748b"}
"""One colour a role, in both pictures: blue, green, violet, grey."""
STYLE = """\
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1e293b; }
.page { fill: #ffffff; }
.title { font-size: 21px; font-weight: 650; }
.place { font-size: 15px; font-weight: 400; fill: #64748b; }
.name { font-size: 14px; font-weight: 600; }
.line, .small { font-size: 11.5px; fill: #475569; }
.role { font-size: 10.5px; fill: #64748b; letter-spacing: .04em; }
.port { font-size: 11.5px; font-weight: 600; fill: #334155; }
.port { stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }
.card { fill: #ffffff; stroke: #cbd5e1; }
.job, .outside { stroke-dasharray: 4 3; }
.area { fill-opacity: .08; stroke-opacity: .45; }
.frame { fill: none; stroke: #64748b; stroke-width: 1.4; }
.wire { fill: none; stroke: #64748b; stroke-width: 1.6; }
.way { stroke-dasharray: 4 4; stroke: #94a3b8; }
.head { fill: #64748b; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .page { fill: #0d1117; }
  .line, .small, .role, .place { fill: #9da7b3; }
  .port { fill: #d1d9e0; stroke: #0d1117; }
  .card { fill: #161b22; stroke: #3d444d; }
  .area { fill-opacity: .13; }
  .wire { stroke: #9198a1; }
  .way { stroke: #656c76; }
  .head { fill: #9198a1; }
}
"""
LEGEND_TEXT = (
    "A tinted area is a container network. Arrows say who reaches whom, at which port.",
    "Beside them only members of one network reach each other; everything else is closed.",
    "Dashed: a job, which runs to its end once per release. Stacked: replicas.",
)
MACHINES_LEGEND_TEXT = (
    "A frame is a machine, or several alike; a tinted area is a container network. Arrows say who reaches whom.",
    "From one machine to another they lead to a port at the private address, open to exactly those machines.",
    LEGEND_TEXT[2],
)
CLUSTER_LEGEND_TEXT = (
    "A tinted area holds a service and its jobs. Arrows say who reaches whom, at which port.",
    "A cluster's network policies close everything else but DNS.",
    LEGEND_TEXT[2],
)


def svg(deployment: Deployment) -> str:
    """The picture as one SVG document without anything from outside."""
    picture = arrange(deployment)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {number(picture.width)} {number(picture.height)}",
            "width": number(picture.width),
            "height": number(picture.height),
            "role": "img",
        },
    )
    add(root, "title", f"{deployment.system} in {deployment.project}/{deployment.stack}")
    add(root, "style", STYLE)
    arrow_head(root)
    add(root, "rect", None, class_="page", width="100%", height="100%")
    heading = add(root, "text", f"{picture.title} ", class_="title", x=MARGIN, y=40)
    add(heading, "tspan", picture.place, class_="place", dx=6)
    add(root, "text", picture.subtitle, class_="small", x=MARGIN, y=62)
    for frame in picture.frames:
        draw_frame(root, frame)
    for area in picture.areas:
        draw_area(root, area)
    for wire in picture.wires:
        draw_wire(root, wire)
    for card in picture.cards:
        draw_card(root, card)
    # Over the lines, and once where several lines end at the same port.
    for x, y, label, class_ in sorted({place for wire in picture.wires for place in label_places(wire)}):
        add(root, "text", label, class_=class_, x=x, y=y, text_anchor="end")
    texts = LEGEND_TEXT if deployment.networks else CLUSTER_LEGEND_TEXT
    draw_legend(root, picture, MACHINES_LEGEND_TEXT if deployment.machines else texts)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def add(parent: ElementTree.Element, tag: str, text: str | None, **attributes: object) -> ElementTree.Element:
    """A child element; `class_` is the attribute class, other underscores are hyphens."""
    named = {
        name.rstrip("_").replace("_", "-"): number(value) if isinstance(value, int | float) else str(value)
        for name, value in attributes.items()
    }
    element = ElementTree.SubElement(parent, tag, named)
    element.text = text
    return element


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def arrow_head(root: ElementTree.Element) -> None:
    marker = add(
        add(root, "defs", None), "marker", None,
        id="head", viewBox="0 0 8 8", refX=7, refY=4, markerWidth=8, markerHeight=8,
        markerUnits="userSpaceOnUse", orient="auto",
    )  # fmt: skip
    add(marker, "path", None, class_="head", d="M0 0.5 L8 4 L0 7.5 z")


def draw_area(root: ElementTree.Element, area: Area) -> None:
    box, tint = area.box, TINTS[area.tint % len(TINTS)]
    add(
        root, "rect", None,
        class_="area", x=box.x, y=box.y, width=box.width, height=box.height, rx=14, fill=tint, stroke=tint,
    )  # fmt: skip
    add(root, "text", area.title, class_="name", x=box.x + 14, y=box.y + 18, style="font-size: 11.5px")
    add(root, "text", area.subtitle, class_="role", x=box.x + 14, y=box.y + 32)


def draw_frame(root: ElementTree.Element, frame: Area) -> None:
    box = frame.box
    add(root, "rect", None, class_="frame", x=box.x, y=box.y, width=box.width, height=box.height, rx=6)
    heading = add(root, "text", f"{frame.title} ", class_="name", x=box.x + 12, y=box.y + 20)
    add(heading, "tspan", frame.subtitle, class_="role", dx=4)


def draw_card(root: ElementTree.Element, card: Card) -> None:
    group, box = add(root, "g", None), card.box
    add(group, "title", card.whole)
    for copy in range(card.copies - 1, -1, -1):
        add(
            group, "rect", None,
            class_=f"card {card.kind}", x=box.x + 5 * copy, y=box.y + 5 * copy,
            width=box.width, height=box.height, rx=8,
        )  # fmt: skip
    colour = ROLES[card.kind]
    add(group, "rect", None, x=box.x, y=box.y + 8, width=4, height=box.height - 16, rx=2, fill=colour)
    add(group, "text", card.name, class_="name", x=box.x + 16, y=box.y + 23)
    role = "" if card.kind == "outside" else card.kind
    add(group, "text", role, class_="role", x=box.right - 12, y=box.y + 22, text_anchor="end")
    for row, line in enumerate(card.lines):
        add(group, "text", line, class_="line", x=box.x + 16, y=box.y + HEAD + FOOT + LINE * row)


def draw_wire(root: ElementTree.Element, wire: Wire) -> None:
    x, y, end_y, straight = wire.start.right, wire.start.middle, wire.end.middle, wire.straight_from
    bend = (straight - x) / 2
    points = [(x, y), (x + bend, y), (straight - bend, end_y), (straight, end_y), (wire.end.x - 2, end_y)]
    start, first, second, third, last = (f"{number(across)} {number(down)}" for across, down in points)
    path = f"M{start} C{first} {second} {third} L{last}"
    add(root, "path", None, class_="wire way" if wire.dashed else "wire", d=path, marker_end="url(#head)")


def label_places(wire: Wire) -> Iterator[tuple[float, float, str, str]]:
    """Labels above the end of the line, the last one lowest; notes below it."""
    for row, label in enumerate(reversed(wire.labels)):
        yield wire.label_x, wire.end.middle - 7 - 15 * row, label, "port"
    for row, note in enumerate(wire.notes):
        yield wire.label_x, wire.end.middle + 16 + 15 * row, note, "role"


def draw_legend(root: ElementTree.Element, picture: Picture, texts: tuple[str, ...]) -> None:
    for row, text in enumerate(texts):
        add(root, "text", text, class_="small", x=MARGIN, y=picture.height - LEGEND + 30 + 17 * row)


def mermaid(deployment: Deployment) -> str:
    """The picture as a Mermaid flow chart, such as GitHub shows inside Markdown; monitoring is left out."""
    deployment = deployment.serving
    lines = ["flowchart LR", f'  users(["Users<br/>{escaped(deployment.urls["system"])}"]):::outside']
    networks = {network.name: network for network in deployment.networks}
    routed = {connection.server for connection in deployment.connections if connection.client == "gateway"}
    areas: dict[str, list[Workload]] = {}
    for workload in deployment.workloads:
        own = service_of(workload, deployment) or (workload.name if workload.role == "service" else "")
        at_edge = workload.role == "gateway" or workload.name in routed
        areas.setdefault("edge" if at_edge else own, []).append(workload)
    around = ""
    for name, members in in_machines(areas, deployment):
        machine = machine_names(members[0], deployment)
        if machine != around:
            lines += ["  end"] if around else []
            if machine:
                lines.append(f'  subgraph m_{identifier(machine.replace(" · ", "_"))}["{escaped(machine)}"]')
            around = machine
        nodes = [f"    {node(workload)}" for workload in members]
        if name in networks:
            title = f"network {name} · {networks[name].subnet}"
            nodes = [f'  subgraph n_{identifier(name)}["{escaped(title)}"]', *nodes, "  end"]
        lines += nodes
    lines += ["  end"] if around else []
    for workload in deployment.workloads:
        doors = deployment.front_doors(workload.name)
        if workload.role == "gateway" and not doors:
            lines.append(f"  users --> {reference(workload.name)}")
        for port in doors:
            lines.append(f'  users -->|"{port.address}:{port.port}"| {reference(workload.name)}')
        for host in workload.egress:
            outside = f'out_{identifier(workload.name)}_{len(lines)}(["{escaped(host)}"]):::outside'
            lines.append(f'  {reference(workload.name)} -->|"egress"| {outside}')
    for connection in deployment.connections:
        arrow = "-.->" if deployment.workload(connection.client).role == "job" else "-->"
        ends = reference(connection.client), reference(connection.server)
        lines.append(f'  {ends[0]} {arrow}|":{connection.port}"| {ends[1]}')
    lines += [f"  classDef {role} stroke:{colour},stroke-width:2px" for role, colour in ROLES.items()]
    return "\n".join(lines) + "\n"


def in_machines(
    areas: dict[str, list[Workload]], deployment: Deployment
) -> list[tuple[str, list[Workload]]]:
    """The areas, those of the same machines together; an area of workloads on several kinds of machines comes apart."""
    parted: dict[tuple[str, str], list[Workload]] = {}
    for name, members in areas.items():
        for workload in members:
            parted.setdefault((machine_names(workload, deployment), name), []).append(workload)
    order = list(dict.fromkeys(machine for machine, _ in parted))
    return [(name, parted[machine, name]) for machine, name in sorted(parted, key=lambda one: order.index(one[0]))]


SHAPES = {"service": ('[("', '")]'), "job": ('{{"', '"}}'), "gateway": ('["', '"]'), "app": ('["', '"]')}


def node(workload: Workload) -> str:
    """A node with name, image and memory, in the shape of its role."""
    before, after = SHAPES[workload.role]
    copies = copies_of(workload)
    said = [f"<b>{workload.name}</b>"] + ([] if workload.role == "job" else [escaped(workload.image.reference)])
    text = "<br/>".join([*said, f"{copies}{workload.resources.memory_mib:,} MiB"])
    return f"{reference(workload.name)}{before}{text}{after}:::{workload.role}"


def reference(name: str) -> str:
    # `end` and others are words of Mermaid's own.
    return f"w_{identifier(name)}"


def identifier(name: str) -> str:
    return name.replace("-", "_")


def escaped(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")

"""Writes those parts of docs/ that the code itself knows: `python -m tools.docs`.

A part stands between `<!-- made by tools/docs.py: NAME -->` and `<!-- end -->`; a test
checks that it is current.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from groundwork import catalog
from groundwork.catalog import BackingService
from groundwork.catalog.backing_service import Sizing
from groundwork.catalog.redis import Redis
from groundwork.images import ImageLock
from groundwork.model import Schema, resolved
from groundwork.monitoring.alerts import ANSWER, Alert, Group
from groundwork.monitoring.host_rules import HOST
from groundwork.monitoring.log_rules import content_alerts
from groundwork.monitoring.logs import GIB
from groundwork.monitoring.loki import day_bytes
from groundwork.monitoring.objectives import Objectives
from groundwork.monitoring.rules import Watched, alert_groups
from groundwork.monitoring.settings import Logs
from groundwork.plan import plan
from groundwork.schema import stack_file_schema
from groundwork.sizes import sizes
from groundwork.stack_file import read_stack_file
from groundwork.system import System, load_system
from groundwork.views.draw import svg
from groundwork.workload import Image
from policy.rules import RULES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
EXAMPLE = DOCS / "examples" / "shop"
PICTURED = {"housing": ("housing", "dev"), "mindpal": ("mindpal", "dev"), "mindpal-k8s": ("mindpal", "k8s")}
PART = re.compile(r"(<!-- made by tools/docs\.py: ([\w. -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def markdown_table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(headings)} |", "|" + " --- |" * len(headings)]
    lines += [f"| {' | '.join(map(one_line, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    """Text that stays within its cell of a table."""
    return " ".join(text.split()).replace("|", "&#124;")


def allowed(schema: Schema, node: Schema) -> str:
    """What may be written there, for a table."""
    node = resolved(schema, node)
    if "const" in node or "enum" in node:
        return ", ".join(f"`{one}`" for one in node.get("enum", [node.get("const")]))
    if "oneOf" in node:
        kinds = (resolved(schema, one)["properties"]["kind"]["const"] for one in node["oneOf"])
        return "mapping of the kind " + " or ".join(f"`{kind}`" for kind in kinds)
    match node["type"]:
        case "integer" | "number" as number:
            kind = "whole number" if number == "integer" else "number"
            least, most = node.get("minimum"), node.get("maximum")
            return kind if least is None else f"{kind}, {least} to {most}"
        case "boolean":
            return "`true` or `false`"
        case "array":
            item = node["items"]
            of = f"`{item['$ref'].rsplit('/', 1)[1]}(…)`" if "$ref" in item else allowed(schema, item)
            return f"list of: {of}"
        case "object" if "patternProperties" in node:
            return f"`name:` {allowed(schema, next(iter(node['patternProperties'].values())))}"
        case "object":
            return "mapping"
    formats = {"ipv4": "IPv4 address", "ipv4network": "IPv4 network"}
    example = f", such as `{node['examples'][0]}`" if "examples" in node else ""
    return formats.get(node.get("format", ""), "text") + example


def default_of(node: Schema) -> str:
    if "default" not in node:
        return ""
    value = node["default"]
    if value is None or value in ([], {}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


COLUMNS = ("Key", "Value", "Default", "Meaning")
Row = tuple[str, str, str, str]


def rows_of(schema: Schema, node: Schema, before: str = "") -> Iterator[Row]:
    """What COLUMNS say of each field of `node`, and of those below it; KeyError where nobody says what one means."""
    for name, field in node["properties"].items():
        inner = resolved(schema, field)
        meaning = field.get("description") or inner["description"]
        default = "required" if name in node.get("required", ()) else default_of(field)
        if "properties" in inner:
            yield f"`{before}{name}`", allowed(schema, field), "", meaning
            yield from rows_of(schema, inner, f"{before}{name}.")
        else:
            yield f"`{before}{name}`", allowed(schema, field), default, meaning
            for entry in entries_of(schema, inner):
                yield from rows_of(schema, entry, f"{before}{name}.<name>.")


def entries_of(schema: Schema, node: Schema) -> Iterator[Schema]:
    """What has keys of its own below free names: one mapping, or one for each kind."""
    entry = resolved(schema, each_of(node))
    for one in entry.get("oneOf", [entry]):
        if "properties" in resolved(schema, one):
            yield resolved(schema, one)


def each_of(node: Schema) -> Schema:
    """What every entry of a mapping with free names is; nothing for other nodes."""
    return next(iter(node.get("patternProperties", {}).values()), {})


def stack_file_keys() -> str:
    """One table for the keys without keys of their own, and one for each that has some."""
    schema = stack_file_schema()
    config: Mapping[str, Schema] = schema["properties"]["config"]["properties"]
    plain: dict[str, Schema] = {}
    sections: list[str] = []
    for key, field in config.items():
        inner = resolved(schema, field)
        if "oneOf" in inner:
            sections += variants(schema, key, inner)
            continue
        entry = resolved(schema, each_of(inner))
        described = entry or inner
        if "properties" not in described:
            plain[key] = field
            continue
        table = markdown_table(COLUMNS, rows_of(schema, described, "<name>." if entry else ""))
        sections.append(f"### `{key}`\n\n{described['description']}\n\n{table}")
    table = markdown_table(COLUMNS, rows_of(schema, {"properties": plain}))
    return "\n".join([f"### Keys without more below them\n\n{table}", *sections])


def variants(schema: Schema, key: str, union: Schema) -> Iterator[str]:
    """A section for each kind of it."""
    for variant in (resolved(schema, one) for one in union["oneOf"]):
        heading = f"### `{key}` of the kind `{variant['properties']['kind']['const']}`"
        yield f"{heading}\n\n{variant['description']}\n\n{markdown_table(COLUMNS, rows_of(schema, variant))}"


def system_keys(model: str) -> str:
    """The table of App, Route or System, as a system file writes them."""
    schema = System.model_json_schema()
    return markdown_table(COLUMNS, rows_of(schema, schema if model == "System" else schema["$defs"][model]))


def entries() -> list[type[BackingService]]:
    """Every entry of the catalog, by name."""
    for module in pkgutil.iter_modules(catalog.__path__):
        importlib.import_module(f"{catalog.__name__}.{module.name}")
    known = (entry for entry in BackingService.__subclasses__() if entry.__module__.startswith(f"{catalog.__name__}."))
    return sorted(known, key=lambda entry: entry.__name__)


def catalog_entries() -> str:
    return "\n".join(_entry_section(entry) for entry in entries())


def _entry_section(entry: type[BackingService]) -> str:
    schema = entry.model_json_schema()
    sample = sample_of(entry)
    size = entry.default_resources
    facts = (
        ("Versions", ", ".join(f"`{version}` ({image})" for version, image in entry.versions.items())),
        ("Default version", f"`{entry.default_version}`"),
        ("Port", str(entry.port)),
        ("Process runs as", f"user `{entry.user}`"),
        ("Default limits", f"{size.memory_mib} MiB, {size.cpus:g} CPU"),
        ("Least memory", f"{entry.minimum_memory_mib} MiB"),
        ("Templates", ", ".join(f"`{{{sample.name}.{key}}}`" for key in sorted(sample.connection(generation=1)))),
    )
    facts_table = markdown_table(("", entry.__name__), iter(facts))
    keys_table = markdown_table(COLUMNS, rows_of(schema, schema))
    heading = f"### {entry.__name__}\n\n{entry.__doc__}"
    return f"{heading}\n\n{facts_table}\nIn the system file, `{entry.__name__}(…)`:\n\n{keys_table}"


def sample_of(entry: type[BackingService], **more: str) -> BackingService:
    required = {name: "x" for name in entry.model_json_schema().get("required", ())}
    return entry.model_validate(required | more)


TEMPLATE = re.compile(r"\{\{ \$labels\.(\w+) \}\}")


def alerts_of_services() -> Iterator[Alert]:
    """Of every entry; Redis has some as a cache and others as a store."""
    for service in (*map(sample_of, entries()), sample_of(Redis, eviction="allkeys-lru")):
        image = Image(reference="x", digest="sha256:" + "0" * 64, origin="simulated")
        size = service.default_resources
        yield from service.alerts(
            Sizing(image=image, version=service.default_version, resources=size, generation=1), Objectives()
        )


def alerts() -> str:
    """Every alert there is, the most urgent first, with the thresholds of a system that says nothing else."""
    watched = Watched(
        serving=("api",),
        watching=("prometheus",),
        services=tuple(alerts_of_services()),
        hosts=True,
        limits_mib={"api": 512},
        logs_day_bytes=day_bytes(Logs().retention_days, Logs().retention_gib * GIB),
        backups=("postgres",),
        silences={"data-1": "P0", "app-2": "P1", "monitoring-2": "P2"},
    )
    groups = (*alert_groups(Objectives(), watched), Group(name="log-contents", alerts=content_alerts()))
    known = {alert.key: alert for group in groups for alert in group.alerts}
    ordered = sorted(known.values(), key=lambda alert: alert.severity)
    headings = ("Alert", "Severity", "Says", "For", "Why somebody is told", "Why the threshold is there", "Source")
    return markdown_table(headings, (_alert_row(alert) for alert in ordered))


def _alert_row(alert: Alert) -> tuple[str, ...]:
    page = alert.runbook.removeprefix("docs/")
    which = "".join(f" {name} {value}" for name, value in alert.labels.items())
    says = TEMPLATE.sub(r"‹\1›", alert.summary.replace(HOST, "‹machine›"))
    severity = f"{alert.severity}, {ANSWER[alert.severity]}"
    return f"[{alert.name}]({page}){which}", severity, says, alert.hold, alert.why, alert.reason, alert.source


def policy_rules() -> str:
    return markdown_table(
        ("Rule", "What must hold", "What to do instead", "Where"),
        ((f"`{rule.name}`", rule.description, rule.remedy, rule.depends_on_kind or "everywhere") for rule in RULES),
    )


def example_file(name: str) -> str:
    language = "python" if name.endswith(".py") else "yaml"
    return f"```{language}\n{(EXAMPLE / name).read_text()}```\n"


def sizes_of_machines() -> str:
    """Where all families have their seventh generation."""
    rows = ((str(vcpus), str(gib), f"`{name}`") for (vcpus, gib), name in sizes("eu-central-1").items())
    return markdown_table(("`vcpus`", "`memory_gib`", "instance type"), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "sizes": sizes_of_machines,
    "keys": stack_file_keys,
    "catalog": catalog_entries,
    "rules": policy_rules,
    "alerts": alerts,
    **{model: lambda model=model: system_keys(model) for model in ("System", "App", "AppVolume", "Route")},  # type: ignore[misc]
    **{file.name: lambda name=file.name: example_file(name) for file in sorted(EXAMPLE.iterdir())},  # type: ignore[misc]
}


def page(text: str) -> str:
    """A page with its made parts made again."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)


def picture(system: str, stack: str) -> str:
    """What runs where in one stack of a system, the same on every machine."""
    configuration = read_stack_file(ROOT / "systems" / system / f"Pulumi.{stack}.yaml")
    return svg(plan(load_system(ROOT, system), configuration, ImageLock({}, "mark"), project=system, stack=stack))


def made_files() -> dict[Path, str]:
    """Every file that this program writes, with what it should hold."""
    pages = {file: file.read_text() for file in sorted(DOCS.glob("*.md"))}
    made = {file: page(text) for file, text in pages.items() if PART.search(text)}
    return made | {DOCS / f"{name}.svg": picture(*stack) for name, stack in PICTURED.items()}


if __name__ == "__main__":
    for file, text in made_files().items():
        file.write_text(text)
        print(file.relative_to(ROOT))

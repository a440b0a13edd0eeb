"""What the shipper of logs does, as the configuration of an OpenTelemetry Collector: it reads what the containers of
this stack write, says of each entry whose it is and how severe, masks it, and sends it to Loki."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..workload import MACHINE
from ..yaml_text import as_yaml
from . import levels, masking
from .entries import CRI, cri_beginning, docker_beginning
from .masking import quoted

METRICS_PORT, HEALTH_PORT = 8888, 13133
READ, KEPT = "/machine/logs", "/var/lib/shipper"
"""Where it sees the machine's logs, and where it keeps how far it has read and what it has not sent yet."""
QUEUE_MIB = 128
"""What waits on disk while Loki is away. Beyond it nothing more is read: then the logs wait where they are."""
ENTRY_KIB = 256
"""A longer entry becomes several."""
LABELS = ("stack", "workload", "machine", "level")
"""What Loki finds streams by. All else that is known of an entry is beside its text."""
ATTRIBUTES = ("groundwork.project", "groundwork.stack", "groundwork.workload")
"""Labels of a container that a Docker engine puts beside each of its lines; its name it puts there as `tag`."""

Operator = dict[str, Any]


def configuration(
    source: Sequence[Operator], include: Sequence[str], *, stack: str, loki: str, memory_mib: int
) -> str:
    """The file. `source` reads one target's files: `docker_operators` or `cri_operators`, where entries begin first."""
    beginning, *operators = source
    receiver = {
        "include": list(include),
        # Also of containers that started, and of files that were rotated, while it was away.
        "start_at": "beginning",
        "exclude": ["**/*.gz"],
        "include_file_name": False,
        "include_file_path": True,
        "multiline": beginning,
        "max_log_size": f"{ENTRY_KIB}KiB",
        "storage": "file_storage",
        "retry_on_failure": {"enabled": True, "max_elapsed_time": 0},
        "operators": operators,
    }
    logs = [
        f'set(log.attributes["stack"], {quoted(stack)})',
        f'set(log.attributes["machine"], "${{env:{MACHINE}}}")',
        *levels.statements(),
        *masking.statements(),
        # Of an entry that is sent twice Loki keeps one, if nothing about it differs.
        "set(log.observed_time_unix_nano, 0)",
    ]
    return dumped({
        "receivers": {"file_log": receiver},
        "processors": {
            "memory_limiter": {
                "check_interval": "1s",
                "limit_mib": memory_mib * 3 // 4,
                "spike_limit_mib": memory_mib // 6,
            },
            "transform": {"error_mode": "ignore", "log_statements": [{"context": "log", "statements": logs}]},
            "groupbyattrs": {"keys": list(LABELS)},
        },
        "exporters": {"otlp_http": exporter(loki)},
        "extensions": {
            "health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"},
            "file_storage": {
                "directory": KEPT,
                "create_directory": True,
                "compaction": {"on_start": True, "on_rebound": True, "directory": KEPT},
            },
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": {
                    "receivers": ["file_log"],
                    "processors": ["memory_limiter", "transform", "groupbyattrs"],
                    "exporters": ["otlp_http"],
                }
            },
            "telemetry": {
                "logs": {"level": "warn", "encoding": "json"},
                "metrics": {"level": "normal", "readers": [{"pull": {"exporter": {"prometheus": prometheus()}}}]},
            },
        },
    })


def exporter(loki: str) -> dict[str, Any]:
    """What was read is on disk before the place in its file is kept, and stays there until Loki has it."""
    return {
        "endpoint": f"http://{loki}/otlp",
        "timeout": "30s",
        "sending_queue": {
            "enabled": True,
            "storage": "file_storage",
            "sizer": "bytes",
            "queue_size": QUEUE_MIB * 1024**2,
            "block_on_overflow": True,
            "num_consumers": 2,
            "batch": {"sizer": "bytes", "flush_timeout": "1s", "min_size": 512 * 1024, "max_size": 1024**2},
        },
        # For ever: what Loki will never take it answers with an error that is final.
        "retry_on_failure": {
            "enabled": True, "initial_interval": "1s", "max_interval": "15s", "max_elapsed_time": 0,
        },
    }  # fmt: skip


def prometheus() -> dict[str, Any]:
    return {
        "host": "0.0.0.0",
        "port": METRICS_PORT,
        "without_scope_info": True,
        "without_type_suffix": False,
        "without_units": False,
    }


def docker_operators(project: str, stack: str, not_carried: Sequence[str]) -> list[Operator]:
    """Lines of the driver `json-file`. `attrs` is what its option `labels` adds; quotes within texts are escaped, so
    what looks like it in a text is none."""
    ours = f'"groundwork.project":"{project}"', f'"groundwork.stack":"{stack}"'
    others = [f'"groundwork.workload":"{name}"' for name in not_carried]
    conditions = [
        *(f"not (body contains {quoted(one)})" for one in ours),
        *(f"body contains {quoted(one)}" for one in others),
    ]
    return [
        {"line_start_pattern": docker_beginning()},
        {"type": "filter", "expr": " or ".join(conditions)},
        {
            "type": "regex_replace",
            "field": "body",
            "if": r'body contains "}\n{"',
            "regex": r'(?:\\r)?(?:\\n)?","stream":"[a-z]+"(?:,"attrs":\{[^}]*\})?,"time":"[^"]*"\}\n\{"log":"',
            "replace_with": r"\n",
        },
        {"type": "json_parser", "parse_from": "body", "parse_to": "attributes"},
        # The engine cuts a line at 16 KiB.
        recombined('attributes.log endsWith "\\n"', "attributes.log"),
        time_of("attributes.time"),
        {"type": "move", "from": 'attributes.attrs["groundwork.workload"]', "to": "attributes.workload"},
        {"type": "move", "from": "attributes.attrs.tag", "to": "attributes.container"},
        {"type": "move", "from": "attributes.log", "to": "body"},
        *removed("attributes.attrs", "attributes.time", 'attributes["log.file.path"]'),
        {"type": "regex_replace", "field": "body", "regex": r"\s+\z", "replace_with": ""},
    ]


def cri_operators(namespaces: Sequence[str], not_carried: Sequence[str]) -> list[Operator]:
    """Lines of a cluster's runtime, of these namespaces alone. A file's folders say whose it is."""
    path = r"/(?P<namespace>[^/_]+)_(?P<container>[^/_]+)_[^/_]+/(?P<workload>[^/_]+)/[^/]+$"
    carried = [f"attributes.workload != {quoted(name)}" for name in not_carried]
    wanted = f"attributes.namespace in [{', '.join(map(quoted, namespaces))}]"
    return [
        {"line_start_pattern": cri_beginning()},
        {"type": "regex_parser", "parse_from": 'attributes["log.file.path"]', "regex": path},
        {"type": "filter", "expr": f"not ({' and '.join([wanted, *carried])})"},
        {
            "type": "regex_replace",
            "field": "body",
            "if": r'body contains "\n"',
            "regex": "(?m)\n" + CRI.removeprefix("^"),
            "replace_with": "\n",
        },
        {
            "type": "regex_parser",
            "parse_from": "body",
            "regex": r"(?s)^(?P<time>\S+) (?P<stream>stdout|stderr) (?P<part>[FP]) (?P<log>.*)$",
        },
        recombined('attributes.part == "F"', "attributes.log"),
        time_of("attributes.time"),
        {"type": "move", "from": "attributes.log", "to": "body"},
        *removed("attributes.part", "attributes.time", "attributes.namespace", 'attributes["log.file.path"]'),
        {"type": "regex_replace", "field": "body", "regex": r"\s+\z", "replace_with": ""},
    ]


def recombined(last: str, field: str) -> Operator:
    """What is whole goes on at once."""
    return {
        "type": "recombine",
        "is_last_entry": last,
        "combine_field": field,
        "combine_with": "",
        "source_identifier": 'attributes["log.file.path"]',
        "max_log_size": f"{ENTRY_KIB}KiB",
        "force_flush_period": "1s",
    }


def time_of(field: str) -> Operator:
    """The engine's, to the nanosecond: an app's own stays in its text."""
    return {"type": "time_parser", "parse_from": field, "layout_type": "gotime", "layout": RFC_3339}


RFC_3339 = "2006-01-02T15:04:05.999999999Z07:00"


def removed(*fields: str) -> list[Operator]:
    return [{"type": "remove", "field": field} for field in fields]


def dumped(config: dict[str, Any]) -> str:
    """As YAML in which `$` is meant as such, but for what the collector fills in."""
    return as_yaml(_escaped(config))


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    if isinstance(value, str) and "${env:" not in value:
        return value.replace("$", "$$")
    return value

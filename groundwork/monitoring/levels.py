"""How severe an entry is, in the words of whoever wrote it: `level`, one of LEVELS or UNKNOWN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .masking import quoted

LEVELS: Mapping[str, tuple[str, ...]] = {
    "trace": ("trace", "finest", "10"),
    "debug": ("debug", "debug1", "debug2", "debug3", "debug4", "debug5", "fine", "d", ".", "-", "20"),
    "info": (
        "info", "information", "notice", "note", "system", "log", "detail", "hint", "statement", "context", "i",
        "*", "30",
    ),
    "warn": ("warn", "warning", "w", "#", "40"),
    "error": ("error", "err", "severe", "e", "50"),
    "fatal": ("fatal", "critical", "crit", "alert", "emerg", "panic", "f", "60"),
}  # fmt: skip
"""What each is called, in small letters: words of loggers, Redis' signs, klog's letters, pino's numbers. PostgreSQL's
`detail`, `statement` and the like only say more of the line before."""
UNKNOWN = "unknown"
WORDS = "trace|debug|info|notice|note|system|warn|warning|err|error|crit|critical|alert|emerg|fatal|panic|severe"
NAMES = r"level|severity|levelname|lvl|log\.level"


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of log lines: in what has `hint`, `pattern` finds the word."""

    what: str
    hint: str
    pattern: str


FORMS = (
    Form(what="JSON", hint=r"^\{", pattern=rf'"(?i:{NAMES})" ?: ?"?(?P<level>\w+)'),
    Form(what="logfmt", hint="(?:level|severity|lvl)=", pattern=r'(?:^|\s)(?:level|severity|lvl)="?(?P<level>\w+)'),
    Form(
        what="PostgreSQL",
        hint=r"^\d{4}-\d\d-\d\d \S+ \S+ \[\d+\] ",
        pattern=r"^\S+ \S+ \S+ \[\d+\] (?:\S*@\S* )?"
        r"(?P<level>DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT):",
    ),
    Form(
        what="Redis",
        hint=r"^\d+:[XCSM] ",
        pattern=r"^\d+:[XCSM] \d\d \w{3} \d{4} [\d:.]+ (?P<level>[.*#-]) ",
    ),
    Form(what="klog", hint=r"^[IWEF]\d{4} \d\d:", pattern=r"^(?P<level>[IWEF])"),
    Form(what="Celery", hint=r"^\[[^\]]{10,40}: [A-Z]", pattern=r"^\[[^\]]*: (?P<level>[A-Z]+)/"),
    Form(
        what="in brackets: nginx, MySQL, RabbitMQ, gunicorn",
        hint=r"^[^{].{0,80}\[[A-Za-z]",
        pattern=rf"^.{{0,80}}?\[(?P<level>(?i:{WORDS}))\]",
    ),
    Form(
        what="in capitals: Python, uvicorn, Java",
        hint=r"^[^{].{0,80}[A-Z]{4}|^[A-Z]{4}",
        pattern=r"^.{0,80}?\b(?P<level>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b",
    ),
)
"""The first one that finds a word counts."""
TRACE = r"(?m)^(?:Traceback \(most recent|panic: |fatal error: |Exception in thread )"


def statements() -> Iterator[str]:
    """In the collector's language of transformations (OTTL): they set the attribute `level` of each entry."""
    found = 'log.attributes["level"]'
    for form in FORMS:
        extracted = f"ExtractPatterns(log.body, {quoted(form.pattern)})"
        yield (
            f'merge_maps(log.attributes, {extracted}, "insert") '
            f"where {found} == nil and IsMatch(log.body, {quoted(form.hint)})"
        )
    yield f'set({found}, ConvertCase({found}, "lower")) where {found} != nil'
    # An answer that went wrong is somebody else's error, which its app tells itself.
    yield f'set({found}, "warn") where {found} == nil and IsMatch(log.body, {quoted(STATUS.format("5"))})'
    yield f'set({found}, "info") where {found} == nil and IsMatch(log.body, {quoted(STATUS.format("[1-4]"))})'
    for level, words in LEVELS.items():
        others = [word for word in words if word != level]
        yield f"set({found}, {quoted(level)}) where " + " or ".join(f"{found} == {quoted(word)}" for word in others)
    known = " and ".join(f"{found} != {quoted(level)}" for level in LEVELS)
    yield f"set({found}, {quoted(UNKNOWN)}) where {found} == nil or ({known})"
    quiet = " or ".join(f'{found} == "{level}"' for level in (UNKNOWN, "trace", "debug", "info", "warn"))
    # Also below a line that says less.
    yield f'set({found}, "error") where ({quiet}) and IsMatch(log.body, {quoted(TRACE)})'


STATUS = r'^\{{"time":"[^"]*","request_id":.*"status":{}'
"""The gateway's line of one request."""

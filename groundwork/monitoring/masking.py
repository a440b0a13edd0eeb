"""Personal data and secrets in what apps write: masked before anything is stored (M4).

Patterns are of RE2, which knows no look-around: what stands before a number is part of the match, and stays. Each costs
microseconds a line, so it is asked only where one of its `hints` is found, which costs next to nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FREE = r"(^|[^\w.])"
"""What stands before a number that is one of its own: no part of a word, an identifier or a fraction."""


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What `pattern` matches becomes `instead`, where `$1` is its first group. `hints` are in small letters, as is what
    they are looked for in; without any, NUMBER is."""

    what: str
    pattern: str
    instead: str
    hints: tuple[str, ...] = ()

    def asked(self, text: str) -> bool:
        """Whether a line may hold what it masks."""
        if self.hints:
            return any(hint in text.lower() for hint in self.hints)
        return bool(re.search(NUMBER, text))


NUMBER = r"\d{7}|\d{4}[ -]\d{4}"
"""What every number of a person has."""


SECRET_KEYS = "password|passwd|passphrase|pwd|secret|token|cookie|(?:api|access|secret|private)[_-]?key"
"""Endings of names whose values are secrets: `total_tokens` and `token_type` are none."""
SECRET_HINTS = ("pass", "pwd", "secret", "token", "key", "cookie")
QUOTE = r"""\\?["']"""

MASKS = (
    Mask(
        what="passwords in addresses",
        pattern=r"""(://[^\s:/@"']*):[^\s@/"']+@""",
        instead="$1:[password]@",
        hints=("://",),
    ),
    Mask(
        what="JSON Web Tokens",
        pattern=r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.?[A-Za-z0-9_-]*",
        instead="[token]",
        hints=("eyj",),
    ),
    Mask(
        what="credentials of requests",
        pattern=rf"""(?i)(authorization(?:{QUOTE})?\s*[:=]\s*(?:{QUOTE})?(?:(?:basic|bearer|digest|token)\s+)?)"""
        r"""[^\s"',;\\]+""",
        instead="$1[token]",
        hints=("authorization",),
    ),
    Mask(
        what="bearer tokens",
        pattern=r"(?i)\b(bearer)\s+[A-Za-z0-9._~+/=-]{16,}",
        instead="$1 [token]",
        hints=("bearer",),
    ),
    Mask(
        what="values of secret names, in quotes",
        pattern=rf"""(?i)((?:{SECRET_KEYS})(?:{QUOTE})?\s*[=:]\s*)(\\?)(["'])(?:[^"'\\]|\\[^"'])+(\\?["'])""",
        instead="$1$2$3[secret]$4",
        hints=SECRET_HINTS,
    ),
    Mask(
        what="values of secret names",
        pattern=rf"""(?i)((?:{SECRET_KEYS})(?:{QUOTE})?\s*[=:]\s*)[^\s"',;&()\[\]{{}}\\]+""",
        instead="$1[secret]",
        hints=SECRET_HINTS,
    ),
    Mask(
        what="passwords in statements of SQL",
        pattern=r"(?i)\b(password|identified\s+(?:with\s+\S+\s+)?by)(\s+)'[^']*'",
        instead="$1$2'[secret]'",
        hints=("password", "identified"),
    ),
    Mask(
        what="addresses of e-mail",
        pattern=r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}",
        instead="[e-mail]",
        hints=("@",),
    ),
    Mask(
        what="Chinese ID numbers",
        # Where one lives, the day of birth, and at the end the check digit.
        pattern=FREE + r"[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b",
        instead="$1[id-number]",
    ),
    Mask(
        what="mobile numbers in China",
        pattern=r"(^|[^\w.]|%2[Bb])(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}\b",
        instead="$1[phone]",
    ),
    Mask(
        what="numbers of landlines in China",
        pattern=r"(^|[^\w.-])0\d{2,3}-\d{7,8}\b",
        instead="$1[phone]",
    ),
    Mask(
        what="international numbers",
        pattern=r"(^|[^\w.+])\+[1-9]\d{0,2}[ .-]?"
        r"(?:\(\d{1,4}\)[ .-]?\d{2,4}(?:[ .-]?\d{2,4}){1,3}|\d{6,12}|\d{1,4}(?:[ .-]\d{2,4}){2,4})\b",
        instead="$1[phone]",
        hints=tuple(f"+{digit}" for digit in range(1, 10)),
    ),
)


def statements() -> list[str]:
    """In the collector's language of transformations (OTTL), for the body of each entry."""
    return [
        'set(log.cache["small"], ConvertCase(log.body, "lower"))',
        f'set(log.cache["number"], true) where IsMatch(log.body, {quoted(NUMBER)})',
        *(
            f"replace_pattern(log.body, {quoted(mask.pattern)}, {quoted(mask.instead)}) where {condition(mask)}"
            for mask in MASKS
        ),
    ]


def condition(mask: Mask) -> str:
    # A pattern that is plain text is looked for as such.
    looked_for = (f'IsMatch(log.cache["small"], {quoted(re.escape(hint))})' for hint in mask.hints)
    return " or ".join(looked_for) or 'log.cache["number"] == true'


def quoted(text: str) -> str:
    """A string of OTTL, and of the language of operators (expr)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

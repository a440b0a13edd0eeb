"""Personal data and secrets in what apps write: masked before anything is stored (M4).

Patterns are of RE2, which knows no look-around: what stands before a number is part of the match, and stays. Each is
asked only of a line that has what `hint` matches, which is cheap to ask.
"""

from __future__ import annotations

from dataclasses import dataclass

FREE = r"(^|[^\w.])"
"""What stands before a number that is one of its own: no part of a word, an identifier or a fraction."""


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What `pattern` matches becomes `instead`, where `$1` is its first group."""

    what: str
    pattern: str
    instead: str
    hint: str


SECRET_KEYS = "password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|cookie"
"""Endings of names whose values are secrets: `total_tokens` and `token_type` are none."""
QUOTE = r"""\\?["']"""

MASKS = (
    Mask(
        what="passwords in addresses",
        pattern=r"""(://[^\s:/@"']*):[^\s@/"']+@""",
        instead="$1:[password]@",
        hint="://",
    ),
    Mask(
        what="JSON Web Tokens",
        pattern=r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.?[A-Za-z0-9_-]*",
        instead="[token]",
        hint="eyJ",
    ),
    Mask(
        what="credentials of requests",
        pattern=rf"""(?i)(authorization(?:{QUOTE})?\s*[:=]\s*(?:{QUOTE})?(?:(?:basic|bearer|digest|token)\s+)?)"""
        r"""[^\s"',;\\]+""",
        instead="$1[token]",
        hint="[Aa][Uu][Tt][Hh][Oo][Rr][Ii][Zz]",
    ),
    Mask(
        what="bearer tokens",
        pattern=r"(?i)\b(bearer)\s+[A-Za-z0-9._~+/=-]{16,}",
        instead="$1 [token]",
        hint="[Bb][Ee][Aa][Rr][Ee][Rr]",
    ),
    Mask(
        what="values of secret names, in quotes",
        pattern=rf"""(?i)((?:{SECRET_KEYS})(?:{QUOTE})?\s*[=:]\s*)(\\?)(["'])(?:[^"'\\]|\\[^"'])+(\\?["'])""",
        instead="$1$2$3[secret]$4",
        hint=f"(?i)(?:{SECRET_KEYS})",
    ),
    Mask(
        what="values of secret names",
        pattern=rf"""(?i)((?:{SECRET_KEYS})(?:{QUOTE})?\s*[=:]\s*)[^\s"',;&()\[\]{{}}\\]+""",
        instead="$1[secret]",
        hint=f"(?i)(?:{SECRET_KEYS})",
    ),
    Mask(
        what="passwords in statements of SQL",
        pattern=r"(?i)\b(password|identified\s+(?:with\s+\S+\s+)?by)(\s+)'[^']*'",
        instead="$1$2'[secret]'",
        hint="(?i)password|identified",
    ),
    Mask(
        what="addresses of e-mail",
        pattern=r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}",
        instead="[e-mail]",
        hint="@",
    ),
    Mask(
        what="Chinese ID numbers",
        # Where one lives, the day of birth, and at the end the check digit.
        pattern=FREE + r"[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b",
        instead="$1[id-number]",
        hint=r"\d{17}",
    ),
    Mask(
        what="mobile numbers in China",
        pattern=r"(^|[^\w.]|%2[Bb])(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}\b",
        instead="$1[phone]",
        hint=r"1[3-9]\d[ -]?\d{4}",
    ),
    Mask(
        what="numbers of landlines in China",
        pattern=r"(^|[^\w.-])0\d{2,3}-\d{7,8}\b",
        instead="$1[phone]",
        hint=r"0\d{2,3}-\d{7}",
    ),
    Mask(
        what="international numbers",
        pattern=r"(^|[^\w.+])\+[1-9]\d{0,2}[ .-]?"
        r"(?:\(\d{1,4}\)[ .-]?\d{2,4}(?:[ .-]?\d{2,4}){1,3}|\d{6,12}|\d{1,4}(?:[ .-]\d{2,4}){2,4})\b",
        instead="$1[phone]",
        hint=r"\+[1-9]",
    ),
)


def statements() -> list[str]:
    """In the collector's language of transformations (OTTL), for the body of each entry."""
    return [
        f"replace_pattern(log.body, {quoted(mask.pattern)}, {quoted(mask.instead)}) "
        f"where IsMatch(log.body, {quoted(mask.hint)})"
        for mask in MASKS
    ]


def quoted(text: str) -> str:
    """A string of OTTL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

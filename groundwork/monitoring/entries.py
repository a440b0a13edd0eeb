"""Where an entry of a log begins. What continues one, such as the lines of a stack trace, belongs to it.

The shipper splits files by a pattern that says what a beginning looks like, and its expressions (RE2) can't say "not".
So what continues is listed here as text, and the pattern of everything else is made from it. Splitting where files are
read, and not putting together later, keeps a half-read entry in the file: a shipper that is killed loses none.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator, Sequence

CONTINUING = (
    " ",
    "\t",
    "\r",
    "}",
    "]",
    ")",
    # Python, and Java.
    "Traceback (",
    "During handling ",
    "The above exc",
    "Caused by: ",
    # MySQL's log of slow statements.
    "# User@",
    "# Query_",
    "SET times",
)
"""Beginnings of lines that continue the entry before them; so does an empty line."""
ENDINGS = ("Error", "Exception")
"""A first word with such an ending, alone or before a colon, is the last line of a trace: `ValueError: 7`."""
LETTERS = frozenset(string.ascii_letters + "_")
WORD = LETTERS | frozenset(string.digits + ".")


def docker_beginning() -> str:
    """Of a file of the driver `json-file`. Inside of strings quotes are escaped, so this matches nowhere else."""
    escaped = [json.dumps(one)[1:-1] for one in (*CONTINUING, "\n")]
    return r'\{"log":"(?:' + "|".join(alternatives(escaped, end='"\\')) + ")"


def cri_beginning() -> str:
    """Of a file that the kubelet's runtime writes."""
    return CRI + "(?:" + "|".join(alternatives(CONTINUING, end="\n")) + ")"


CRI = r"^20\d\d-[0-9T:.Z+-]+ (?:stdout|stderr) [FP] "


def alternatives(prefixes: Sequence[str], end: str) -> Iterator[str]:
    """Patterns of which one matches where no prefix does, and no first word has one of ENDINGS. A line is over at one
    of the characters `end`."""
    after_word = WORD | {":", "\r"} | frozenset(end)
    first = {one[0] for one in prefixes}
    # Neither a prefix nor a word begins like this.
    yield none_of(first | LETTERS | (frozenset(end) - {"\\"}))
    for path in sorted({one[:length] for one in prefixes for length in range(1, len(one))}):
        following = {one[len(path)] for one in prefixes if one.startswith(path) and len(one) > len(path)}
        if path[0] in LETTERS and WORD.issuperset(path):
            # Still the first word: it goes on otherwise and ends, or ends here.
            yield f"{re.escape(path)}{one_of(WORD - following)}{one_of(WORD)}*{none_of(after_word)}"
            yield re.escape(path) + none_of(after_word | following)
        else:
            over = "|$" if end == "\n" else ""
            yield f"{re.escape(path)}(?:{none_of(following | frozenset(over and end))}{over})"
    yield f"{one_of(LETTERS - first)}{one_of(WORD)}*{none_of(after_word)}"
    if "\\" in end:
        # What is escaped is no end, but for that of the line.
        yield f"{one_of(LETTERS)}{one_of(WORD)}*\\\\[^nr]"
    # The end of a line is not part of the match: the next one must begin behind it.
    yield f"(?:{'|'.join(other_words())})" + ("(?::|\\r|$)" if end == "\n" else f"[:{re.escape(end)}]")


def other_words() -> Iterator[str]:
    """Words that have none of ENDINGS, or are nothing else."""
    parts = {one[start:] for one in ENDINGS for start in range(len(one))}
    yield from sorted(parts)
    for part in sorted(parts | {""}):
        before = {one[-len(part) - 1] for one in ENDINGS if one.endswith(part) and len(one) > len(part)}
        if before:
            yield f"(?:{one_of(LETTERS)}{one_of(WORD)}*{one_of(WORD - before)}|{one_of(LETTERS - before)}){part}"


def one_of(characters: frozenset[str] | set[str]) -> str:
    return f"[{_ranges(characters)}]"


def none_of(characters: frozenset[str] | set[str]) -> str:
    return f"[^{_ranges(characters)}]"


def _ranges(characters: frozenset[str] | set[str]) -> str:
    """A class of characters, neighbours put together."""
    found: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(_shown(low) if low == high else f"{_shown(low)}-{_shown(high)}" for low, high in found)


def _shown(code: int) -> str:
    return chr(code) if chr(code).isalnum() else f"\\x{code:02x}"

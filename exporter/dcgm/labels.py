"""The labels of one row. The exporter does not escape values, so what is no text format may be a row all the same. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 16 * 1024
"""Characters of one row's labels: pod labels and claims together have a tenth."""

_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_PAIR = re.compile(rf'\s*({_NAME})\s*=\s*"([^"\\]*(?:\\[\\"n][^"\\]*)*)"\s*(?:,|\Z)', re.ASCII)
_START = re.compile(rf'\s*({_NAME})\s*=\s*"', re.ASCII)
_END = re.compile(rf'"(?:\s*,\s*(?={_NAME}=")|\s*(?:,\s*)?\Z)', re.ASCII)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


class Labels(NamedTuple):
    """Labels by name in lower case; of a name that occurs twice the first, since identity is printed before attributes."""

    values: dict[str, str]
    repaired: bool


def parse(block: str) -> Labels | None:
    """Read what stands between the first `{` and the last `}` of a row; None when it cannot be read.

    By the rules of the text format first; then as the exporter writes: a value ends at the first quote that another label
    follows, or at the last, and a backslash is a backslash.
    """
    if len(block) > LONGEST:
        return None
    strict = _strict(block)
    if strict is not None:
        return Labels(strict, repaired=False)
    found = _repaired(block)
    return None if found is None else Labels(found, repaired=True)


def _strict(block: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at, end = 0, len(block)
    while at < end:
        pair = _PAIR.match(block, at)
        if pair is None:
            return found if block[at:].isspace() else None
        name, value = pair[1].lower(), pair[2]
        if name not in found:
            found[name] = _ESCAPE.sub(lambda one: _ESCAPED[one[1]], value) if "\\" in value else value
        at = pair.end()
    return found


def _repaired(block: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at, end = 0, len(block)
    while at < end:
        start = _START.match(block, at)
        close = None if start is None else _END.search(block, start.end())
        if start is None or close is None:
            return None
        found.setdefault(start[1].lower(), block[start.end() : close.start()])
        at = close.end()
    return found

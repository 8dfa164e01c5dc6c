"""Label matchers as PromQL writes them, `sharing=~"mig|mps", namespace!="kube-system"`, read into values.

Patterns are kept to what Go's RE2 and Python's re have in common, because the rules hand them to the one and the evaluator to
the other. Raises ValueError whose message is what was expected.
"""

from __future__ import annotations

import re

from slo.entity import FACTS, IDENTITY
from slo.spec import Matcher, Op

CLASS = "class"

_ONE = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\\n]|\\.)*)"\s*')
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t"}
_FOREIGN = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?!:)|\\[1-9AbBZpPQE]|[*+?}]\+|\(\?P=)")
"""Lookaround, inline flags, named groups, back references, \\A and \\b-like classes, possessive quantifiers."""

_MOST = 20


def parse(text: str, site_labels: tuple[str, ...]) -> tuple[Matcher, ...]:
    """Read matchers; `site_labels` may be matched too. Empty text selects everything."""
    found: list[Matcher] = []
    position = 0
    while position < len(text.rstrip()):
        read = _ONE.match(text, position)
        if read is None:
            raise ValueError(
                f'matchers such as sharing=~"mig|mps", namespace!="kube-system" (character {position + 1})'
            )
        found.append(_matcher(read[1], Op(read[2]), _unescaped(read[3]), site_labels))
        position = read.end()
        if position < len(text) and text[position] != ",":
            raise ValueError(f"a comma between matchers (character {position + 1})")
        position += 1
    if len(found) > _MOST:
        raise ValueError(f"at most {_MOST} matchers")
    return tuple(found)


def _matcher(label: str, op: Op, value: str, site_labels: tuple[str, ...]) -> Matcher:
    known = (*IDENTITY, *FACTS, CLASS, *site_labels)
    if label not in known:
        raise ValueError(f"a label of {', '.join(known)}, or one of groupBy; {label!r} is none")
    if op in {Op.MATCHES, Op.NOT_MATCHES}:
        _check(value)
    return Matcher(label, op, value)


def _check(pattern: str) -> None:
    foreign = _FOREIGN.search(pattern)
    if foreign is not None:
        raise ValueError(f"a pattern that RE2 and Python read alike; {foreign[1]!r} is not in both")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"a pattern that compiles ({error})") from error


def _unescaped(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise ValueError(
                f"one of \\\\, \\\", \\n, \\t after a backslash; a pattern's own is written \\\\{found[1]}"
            )
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", plain, text)

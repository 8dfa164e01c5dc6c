"""Small readers of a spec's keys: each notes what does not fit and goes on, so that all faults are told at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from slo.entity import FACTS, IDENTITY
from toolkit.yamltree import Node, quoted

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")
URL = re.compile(r"https?://[^\s\"<>\\{}]+")
_OWN_LABELS = frozenset({*IDENTITY, *FACTS, "class", "slo", "guarantee", "objective", "burn", "severity", "alertname"})

T = TypeVar("T")


def read(node: Node | None, how: Callable[[Node], T | None], default: T) -> T:
    """Read an optional key; after a fault, which was noted, go on with the default."""
    value = None if node is None else how(node)
    return default if value is None else value


def text(node: Node | None, parse: Callable[[str], str] = str) -> str:
    """Read optional text through a parser; empty when it is not there."""
    return read(node, lambda one: one.parsed(parse), "")


def pattern(allowed: re.Pattern[str], expected: str) -> Callable[[str], str]:
    """Return a parser of text that a pattern allows."""

    def parse(text: str) -> str:
        if not allowed.fullmatch(text):
            raise ValueError(expected)
        return text

    return parse


def url(text: str) -> str:
    """Parse a URL that is fit to stand in an annotation."""
    if not URL.fullmatch(text):
        raise ValueError("a URL such as https://runbooks.example.org/gpu")
    return text


def words(node: Node | None, how: Callable[[Node], str | None]) -> list[str]:
    """Read an optional list, each item once."""
    items = () if node is None else node.sequence()
    return list(dict.fromkeys(word for item in items if (word := how(item)) is not None))


def site_label(node: Node) -> str | None:
    """Read the name of a label that a site adds."""
    word = node.parsed(pattern(LABEL, "a label's name"))
    if word is not None and (word in _OWN_LABELS or word.startswith("__")):
        node.fail(f"{quoted(word)} is a label of ours", "one that your Prometheus adds, such as cluster")
        return None
    return word


def labels(node: Node | None) -> dict[str, str]:
    """Read labels that alerts are to carry."""
    found: dict[str, str] = {}
    if node is None:
        return found
    for key, _, value in node.mapping():
        if not LABEL.fullmatch(key) or key in _OWN_LABELS or key.startswith("__"):
            value.fail(f"{quoted(key)} cannot be a label here", "a Prometheus label that is not one of ours")
        text = value.string()
        if text is not None:
            found[key] = text
    return found

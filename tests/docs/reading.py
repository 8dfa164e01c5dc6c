"""The documents as data: text, links, headings, code. Pure but for reading the files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tools import generate

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


@cache
def documents() -> dict[str, str]:
    """Every document by its path in the repository; the generated ones as they would be generated."""
    written = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return {str(path.relative_to(ROOT)): path.read_text() for path in written} | generated()


@cache
def generated() -> dict[str, str]:
    """The documents that are generated, as they would be now."""
    return {path: text for path, text in generate.files().items() if path.endswith(".md")}


def written() -> dict[str, str]:
    """The documents that people wrote."""
    return {path: text for path, text in documents().items() if path not in generated()}


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for kind, body in _FENCE.findall(text) if kind == language]


def code(text: str) -> Iterator[str]:
    """Every piece of code: the fenced blocks, and the spans between backticks."""
    yield from (body for _, body in _FENCE.findall(text))
    yield from re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def links(text: str) -> list[str]:
    """Targets of links, outside of code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text)))


def anchors(text: str) -> set[str]:
    """Fragments that GitHub makes of the headings."""
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(kept.replace(" ", "-"))
    return found


def matches(excerpt: str, line: str) -> bool:
    """Whether a line is the excerpt, of which `…` stands for anything and runs of spaces for each other."""
    parts = (re.escape(part) for part in re.sub(r"[ ]+", " ", excerpt.strip()).split("…"))
    return re.fullmatch(".*".join(parts), re.sub(r"[ ]+", " ", line.strip())) is not None

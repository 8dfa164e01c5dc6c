"""Kubernetes YAML as trees that know their lines: several documents a file, other people's keys, none of them executed.

`toolkit.yamlfile` reads our own files and refuses what it does not know; a manifest is somebody else's, so unknown keys,
tags and merge keys are fine here. What is shared is the tree (`toolkit.yamltree`), so that whatever of a manifest is read
is checked, and its faults are told with their place. The tree is built from parser events with a stack of our own: no
depth of nesting and no alias can exhaust the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import ConfigError
from toolkit.yamltree import Content, Entry, Mark, Node, Problems, Scalar, quoted

MAX_BYTES = 16 << 20
"""A rendered chart with its CRDs is some megabytes."""

MAX_DEPTH = 100
SUFFIXES = frozenset({".yaml", ".yml", ".json"})

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"


def files(path: Path) -> tuple[Path, ...]:
    """The manifests at a path: the file itself, or every `.yaml`, `.yml` and `.json` below a directory.

    Raises ConfigError when there is none.
    """
    if path == Path("-"):
        return (Path("/dev/stdin"),)
    if not path.is_dir():
        return (path,)
    found = tuple(sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file() and not _hidden(p, path)))
    if not found:
        raise ConfigError(f"{path}: no .yaml, .yml or .json file in this directory")
    return found


def _hidden(path: Path, base: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(base).parts)


def read(path: Path, problems: Problems) -> tuple[Node, ...]:
    """Read the documents of a file. Raises ConfigError when it cannot be read or is no YAML."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return load(str(path), data.decode("utf-8-sig"), problems)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}:1: not UTF-8 text") from error


def load(name: str, text: str, problems: Problems, first_line: int = 1) -> tuple[Node, ...]:
    """Parse the documents of a text; `name` stands for the file in messages, `first_line` is where the text starts.

    Raises ConfigError when it is no YAML.
    """
    # The C parser is ten times as fast, and not in every build of the library.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return tuple(_Builder(name, problems, first_line).documents(yaml.parse(text, Loader=loader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = name if mark is None else str(Mark(name, mark.line + first_line, mark.column + 1))
        raise ConfigError(f"{place}: {error.problem or error}{_hint(text)}") from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from error


def _hint(text: str) -> str:
    return " (an unrendered template? pipe the output of `helm template` into `-f -`)" if "{{" in text else ""


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    mark: Mark
    anchor: str | None
    items: list[Node] | None  # None: a mapping
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Node | None = None


class _Builder:
    """Turns the events of one file into trees."""

    def __init__(self, name: str, problems: Problems, first_line: int) -> None:
        self._name = name
        self._problems = problems
        self._first_line = first_line
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def documents(self, events: Iterator[Any]) -> Iterator[Node]:
        """Yield the root of every document that is not empty."""
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    self._anchors = {}
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self._open(event)
                case yaml.ScalarEvent() | yaml.AliasEvent() | yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    root = self._place(self._value(event))
                    if root is not None and not root.null:
                        yield root
                case _:
                    pass  # the stream's and the documents' ends

    def _open(self, event: Any) -> None:
        mark = self._mark(event)
        if len(self._stack) >= MAX_DEPTH:
            raise ConfigError(f"{mark}: nested deeper than {MAX_DEPTH} levels")
        self._stack.append(_Open(mark, event.anchor, [] if isinstance(event, yaml.SequenceStartEvent) else None))

    def _value(self, event: Any) -> Node:
        match event:
            case yaml.AliasEvent():
                known = self._anchors.get(event.anchor or "")
                if known is None:
                    raise ConfigError(
                        f"{self._mark(event)}: the alias {quoted(str(event.anchor))} has no anchor before it"
                    )
                return known
            case yaml.ScalarEvent():
                plain = not event.style
                scalar = Scalar(event.value, quoted=not plain, null=plain and event.value in _NULLS)
                return self._node(self._mark(event), scalar, event.anchor)
            case _:
                done = self._stack.pop()
                content: Content = done.entries if done.items is None else tuple(done.items)
                return self._node(done.mark, content, done.anchor)

    def _node(self, mark: Mark, content: Content, anchor: str | None) -> Node:
        node = Node(mark, content, self._problems)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _place(self, node: Node) -> Node | None:
        """Put a value into what is open; the root of a document is returned."""
        if not self._stack:
            return node
        top = self._stack[-1]
        if top.items is not None:
            top.items.append(node)
        elif top.key is None:
            top.key = node
        else:
            self._enter(top, top.key, node)
            top.key = None
        return None

    def _enter(self, top: _Open, key: Node, value: Node) -> None:
        if not isinstance(key.content, Scalar):
            self._problems.add(key.mark, "a key that is no word", "text before the colon")
        elif key.content.text == _MERGE and not key.content.quoted:
            for source in value.content if isinstance(value.content, tuple) else (value,):
                for name, entry in (source.content if isinstance(source.content, dict) else {}).items():
                    top.entries.setdefault(name, entry)
        else:
            top.entries[key.content.text] = Entry(key.mark, value)

    def _mark(self, event: Any) -> Mark:
        start = event.start_mark
        return Mark(self._name, start.line + self._first_line, start.column + 1)

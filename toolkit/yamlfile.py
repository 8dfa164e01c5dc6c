"""Strict YAML from a file: one well-formed document, every fault of it at once, each with its file, line and column.

A configuration that is half understood is worse than one that is refused, and a file with three mistakes should be
mended in one go. So a file becomes a tree of `toolkit.yamltree` nodes that know where they stand:

    document = yamlfile.read(path)
    fields = document.root.mapping()
    seed = fields.take("seed").integer(minimum=0) if "seed" in fields else 1
    fields.finish()                                        # keys that nobody asked for are unknown
    document.finish()                                      # raises ConfigError with all faults

Anchors work; what they expand to is bounded, as are size and depth. Tags, merge keys and second documents are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from toolkit.errors import ConfigError
from toolkit.yamltree import Content, Entry, Mark, Node, Problems, Scalar, quoted

MAX_BYTES = 1 << 20
"""Larger files are refused: a configuration is written by hand."""

MAX_DEPTH = 32
MAX_NODES = 100_000
"""Bound on the nodes of the tree with aliases expanded, which is what an alias bomb blows up."""

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge"))


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was well-formed, and the faults found in it so far."""

    root: Node
    problems: Problems

    def finish(self) -> None:
        """Raise ConfigError with one line for each fault, if there is one."""
        if self.problems.found:
            raise ConfigError(*self.problems.lines())


def read(path: Path) -> Document:
    """Read a file. Raises ConfigError when it cannot be read, is too large, or is not well-formed YAML in UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; expected a file written by hand")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}:1: not UTF-8 text") from error
    return load(str(path), text)


def load(path: str, text: str) -> Document:
    """Parse text; `path` is only its name in messages. Raises ConfigError when it is not one well-formed document.

    An empty document is an empty mapping. Duplicate keys and tags are noted, not raised, so that the rest is read too.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; expected a file written by hand")
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{_where(path, error.problem_mark)}: {error.problem or error}") from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Mark(path, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigError(f"{place}: the character U+{ord(text[error.position]):04X} is not allowed") from error
    problems = Problems()
    if root is None:
        return Document(Node(Mark(path, 1, 1), {}, problems), problems)
    return Document(_Builder(path, problems).node(root), problems)


class _Composer(yaml.SafeLoader):
    """PyYAML's composer with a bound on depth: it recurses, and ten thousand brackets would end the interpreter."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # untyped in the stubs
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Builder:
    """Turns PyYAML's nodes into ours, with aliases expanded and counted."""

    def __init__(self, path: str, problems: Problems) -> None:
        self._path = path
        self._problems = problems
        self._count = 0
        self._open: set[int] = set()

    def node(self, source: yaml.Node) -> Node:
        mark = self._mark(source)
        self._count += 1
        if self._count > MAX_NODES:
            raise ConfigError(f"{mark}: aliases expand to more than {MAX_NODES} values")
        if id(source) in self._open:
            raise ConfigError(f"{mark}: the anchor contains itself")
        self._open.add(id(source))
        try:
            return Node(mark, self._content(source, mark), self._problems)
        finally:
            self._open.discard(id(source))

    def _content(self, source: yaml.Node, mark: Mark) -> Content:
        if isinstance(source, yaml.MappingNode) and source.tag == _TAG + "map":
            return self._entries(source)
        if isinstance(source, yaml.SequenceNode) and source.tag == _TAG + "seq":
            return tuple(self.node(item) for item in source.value)
        if isinstance(source, yaml.ScalarNode) and source.tag in _PLAIN_TAGS:
            return Scalar(source.value, quoted=source.style is not None, null=source.tag == _TAG + "null")
        self._problems.add(mark, f"the tag {quoted(source.tag)} is not allowed", "a plain value")
        return None

    def _entries(self, source: yaml.MappingNode) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key, value in source.value:
            mark = self._mark(key)
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _PLAIN_TAGS:
                self._problems.add(mark, "a key that is no word", "text before the colon")
            elif key.tag == _TAG + "merge":
                self._problems.add(mark, "merge keys are not supported", "the keys themselves")
            elif key.value in entries:
                first = entries[key.value].mark
                self._problems.add(mark, f"the key {quoted(key.value)} is written twice, first in line {first.line}")
            else:
                entries[key.value] = Entry(mark, self.node(value))
        return entries

    def _mark(self, source: yaml.Node) -> Mark:
        return Mark(self._path, source.start_mark.line + 1, source.start_mark.column + 1)


def _where(path: str, mark: yaml.Mark | None) -> str:
    return path if mark is None else str(Mark(path, mark.line + 1, mark.column + 1))

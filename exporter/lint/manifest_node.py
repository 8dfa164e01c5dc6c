"""Taking Kubernetes objects apart: what is absent or null is absent, what is of a wrong type is a fault with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.yamltree import Mark, Node, Scalar


def place(mark: Mark) -> str:
    """`file:line`, as findings name it."""
    return f"{mark.path}:{mark.line}"


def at(node: Node | None, *keys: str) -> Node | None:
    """The value below these keys; None when a step is absent or null."""
    for key in keys:
        if node is None or node.null:
            return None
        node = node.mapping().get(key)
    return None if node is None or node.null else node


def text(node: Node | None, *keys: str) -> str:
    """A text; empty when it is absent."""
    found = at(node, *keys)
    return "" if found is None else found.string() or ""


def flag(node: Node | None, *keys: str) -> bool:
    """A boolean; False when it is absent."""
    found = at(node, *keys)
    return found is not None and bool(found.boolean())


def count(node: Node | None, *keys: str, default: int | None = None) -> int | None:
    """A whole number of 0 or more; `default` when it is absent."""
    found = at(node, *keys)
    return default if found is None else found.integer(minimum=0)


def items(node: Node | None, *keys: str) -> tuple[Node, ...]:
    """The items of a list; none when it is absent."""
    found = at(node, *keys)
    return () if found is None else found.sequence()


def texts(node: Node | None, *keys: str) -> Mapping[str, str]:
    """A mapping of names to texts; values that are absent or no text are left out."""
    found = at(node, *keys)
    if found is None:
        return {}
    return {
        name: value.content.text
        for name, _, value in found.mapping()
        if isinstance(value.content, Scalar) and not value.null
    }


def entries(node: Node | None, *keys: str) -> Iterator[tuple[str, Node]]:
    """The keys and values of a mapping; none when it is absent."""
    found = at(node, *keys)
    for name, _, value in () if found is None else found.mapping():
        yield name, value

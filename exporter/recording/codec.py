"""Values of the model as JSON trees and back, by their type hints: what the model gains is recorded without a line here.

A dataclass is a mapping of its fields, those left out that have their default; a union's member that is a dataclass carries its
name under `is`; `Missing` is `{"missing": reason}`. Keys of mappings are text: numbers in digits, tuples as JSON lists.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Protocol, TypeVar

from exporter.model import Missing

Tree = Any
"""What the json module makes: dict, list, str, int, float, bool; never None, which a patch takes for a removal."""


class Hook(Protocol):
    """What becomes of texts on their way out, by the dataclass and the field that they stand in."""

    def text(self, kind: type, field: str, text: str) -> str:
        """Return what is written for a text. A key that is a tuple has fields `name.0`, `name.1` and so on."""

    def kept(self, kind: type, field: str, key: str) -> bool:
        """Whether an entry of a mapping of texts is written."""


T = TypeVar("T")

_IS, _NONE = "is", {"none": True}


class UnreadableError(ValueError):
    """A tree that is no such value; the message says where and what was expected."""


def encode(value: object, hook: Hook) -> Tree:
    """Turn a record of the model into a tree; every text goes through the hook."""
    return _encode(value, type(value), "", hook)


def _encode(value: object, kind: type, field: str, hook: Hook) -> Tree:
    if isinstance(value, Missing):
        return {"missing": value.reason.value}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return hook.text(kind, field, value)
    if value is None:
        return dict(_NONE)
    if is_dataclass(value) and not isinstance(value, type):
        return _record(value, hook)
    if isinstance(value, Mapping):
        return {
            _key(key, kind, field, hook): _encode(item, kind, field, hook)
            for key, item in value.items()
            if not isinstance(key, str) or hook.kept(kind, field, key)
        }
    if isinstance(value, frozenset):
        return sorted(_encode(item, kind, field, hook) for item in value)
    if isinstance(value, tuple):
        return [_encode(item, kind, field, hook) for item in value]
    if isinstance(value, bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def _record(value: Any, hook: Hook) -> Tree:
    kind = type(value)
    found: dict[str, Tree] = {_IS: kind.__name__}
    for field in fields(kind):
        item = getattr(value, field.name)
        if not _is_default(field, item):
            found[field.name] = _encode(item, kind, field.name, hook)
    return found


def _key(key: object, kind: type, field: str, hook: Hook) -> str:
    if isinstance(key, tuple):
        return json.dumps([hook.text(kind, f"{field}.{number}", part) for number, part in enumerate(key)])
    return hook.text(kind, field, key) if isinstance(key, str) else str(key)


def _is_default(field: Field[Any], value: object) -> bool:
    if field.default is not MISSING:
        return bool(field.default == value) and type(field.default) is type(value)
    return field.default_factory is not MISSING and field.default_factory() == value


def decode(kind: Any, tree: Tree, place: str = "") -> Any:
    """Turn a tree into a value of a type. Raises UnreadableError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, typing.NewType):
        return decode(kind.__supertype__, tree, place)
    if origin in {types.UnionType, typing.Union}:
        return _union(arguments, tree, place)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, tree, place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _checked(lambda: kind(tree), f"one of {', '.join(str(one.value) for one in kind)}", tree, place)
    if origin is tuple:
        return _tuple(arguments, _expect(list, tree, place), place)
    if origin is frozenset:
        return frozenset(decode(arguments[0], item, place) for item in _expect(list, tree, place))
    if origin is not None and issubclass(origin, Mapping):
        found = _expect(dict, tree, place)
        return {
            _read_key(arguments[0], key, place): decode(arguments[1], item, f"{place}.{key}")
            for key, item in found.items()
        }
    return _plain(kind, tree, place)


def _plain(kind: Any, tree: Tree, place: str) -> Any:
    if kind is bool:
        return _expect(bool, tree, place)
    if kind in {int, float}:
        # A driver's whole number stays one where a float is allowed: pages write it as it was.
        if isinstance(tree, bool) or not isinstance(tree, int if kind is int else int | float):
            raise UnreadableError(f"{place}: {_short(tree)}; expected a number")
        return tree
    if kind is str:
        return _expect(str, tree, place)
    if kind is types.NoneType:
        if tree != _NONE:
            raise UnreadableError(f"{place}: {_short(tree)}; expected nothing")
        return None
    raise TypeError(f"{kind} cannot be recorded")


def _union(arguments: tuple[Any, ...], tree: Tree, place: str) -> Any:
    if isinstance(tree, dict) and Missing in arguments and "missing" in tree:
        return _dataclass(Missing, {"reason": tree["missing"]}, place)
    if tree == _NONE and types.NoneType in arguments:
        return None
    members = [one for one in arguments if one is not Missing and one is not types.NoneType]
    records = {one.__name__: one for one in members if isinstance(one, type) and is_dataclass(one)}
    if records and isinstance(tree, dict) and _IS in tree:
        named = records.get(tree[_IS])
        if named is None:
            raise UnreadableError(f"{place}: {_short(tree[_IS])}; expected one of {', '.join(records)}")
        return _dataclass(named, tree, place)
    if len(members) == 1:
        return decode(members[0], tree, place)
    return _plain(
        next((one for one in members if isinstance(one, type) and type(tree) is one), members[0]), tree, place
    )


def _dataclass(kind: type[T], tree: Tree, place: str) -> T:
    found = {key: item for key, item in _expect(dict, tree, place).items() if key != _IS}
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    unknown = sorted(set(found) - set(hints))
    if unknown:
        raise UnreadableError(f"{place}: {kind.__name__} has no {unknown[0]!r}: the file is of another version")
    values = {name: decode(hints[name], item, f"{place}.{name}") for name, item in found.items()}
    return _checked(lambda: kind(**values), f"a whole {kind.__name__}", tree, place)


def _tuple(arguments: tuple[Any, ...], items: list[Tree], place: str) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004  # tuple[X, ...]
        return tuple(decode(arguments[0], item, f"{place}[{number}]") for number, item in enumerate(items))
    if len(items) != len(arguments):
        raise UnreadableError(f"{place}: {len(items)} values; expected {len(arguments)}")
    return tuple(decode(one, item, place) for one, item in zip(arguments, items, strict=True))


def _read_key(kind: Any, key: str, place: str) -> Any:
    if kind is int:
        return _checked(lambda: int(key), "a whole number", key, place)
    if typing.get_origin(kind) is tuple:
        return _tuple(typing.get_args(kind), _checked(lambda: json.loads(key), "a list", key, place), place)
    return decode(kind, key, place)


def _expect(kind: type[T], tree: Tree, place: str) -> T:
    if not isinstance(tree, kind):
        words = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}
        raise UnreadableError(f"{place}: {_short(tree)}; expected {words[kind]}")
    return tree


def _checked(make: Callable[[], T], expected: str, tree: Tree, place: str) -> T:
    try:
        return make()
    except (TypeError, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"{place}: {_short(tree)}; expected {expected}") from error


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _short(tree: Tree) -> str:
    text = json.dumps(tree)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004  # what fits in a line

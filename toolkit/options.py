"""A program's options as one table, from which flags, configuration keys and their page are made.

Each option is a flag `--name` and a key `name` of the YAML file that one of the options names; both are text that the
option's parser turns into a value once. A flag overrides the file, the file overrides the default.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from toolkit import yamlfile
from toolkit.yamltree import Node, Problems, quoted, suggestion

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Generic[T_co]):
    """One option. `many`: it may be given again, a list in the file; `Parsed.all` has its values, none by default."""

    name: str
    metavar: str
    parse: Callable[[str], T_co]
    default: str
    help: str
    switch: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was written. `base` is the folder that its relative path starts from."""

    text: str
    origin: str  # "--tick", or "slicewatch.yaml:3:1: tick"
    base: Path | None = None


class Parsed:
    """Parsed values by option."""

    def __init__(self, values: Mapping[str, tuple[object, ...]], origins: Mapping[str, str]) -> None:
        self._values = values
        self._origins = origins

    def __getitem__(self, option: Option[T]) -> T:
        return cast("T", self._values[option.name][-1])

    def all(self, option: Option[T]) -> tuple[T, ...]:
        """Return the values of an option that may be given again."""
        return cast("tuple[T, ...]", self._values[option.name])

    def given(self, option: Option[object]) -> str | None:
        """Return where a value for the option was written, or None when it was not."""
        return self._origins.get(option.name)


def add_arguments(parser: argparse.ArgumentParser, options: Collection[Option[object]]) -> None:
    """Add every option to a parser; `read` takes them from its namespace."""
    for option in options:
        meaning = option.help.replace("%", "%%")
        if option.switch:
            parser.add_argument(f"--{option.name}", dest=option.name, action="append_const", const="true", help=meaning)
            parser.add_argument(
                f"--no-{option.name}", dest=option.name, action="append_const", const="false", help=argparse.SUPPRESS
            )
        else:
            again = "; may be given again" if option.many else ""
            shown = f"{meaning} (default {option.default or 'none'}{again})"
            parser.add_argument(
                f"--{option.name}", dest=option.name, action="append", metavar=option.metavar, help=shown
            )


def read(
    namespace: argparse.Namespace,
    options: Collection[Option[object]],
    file_option: Option[Path | None],
    problems: list[str],
) -> Parsed:
    """Read the options from a namespace that `add_arguments` filled, and from the file that `file_option` names.

    Every fault is added to `problems`, in one line each; the option then has its default. Raises ConfigError when the
    file cannot be read at all.
    """
    given = _flags(namespace, options, problems)
    file = given.get(file_option.name)
    if file is not None and file[-1].text:
        given = _file(Path(file[-1].text), options, file_option, problems) | given
    values = {option.name: tuple(_values(option, given.get(option.name, ()), problems)) for option in options}
    return Parsed(values, {name: written[-1].origin for name, written in given.items()})


def _values(option: Option[object], written: tuple[_Given, ...], problems: list[str]) -> Iterator[object]:
    default = () if option.many else (option.parse(option.default),)
    found = False
    for one in written:
        try:
            value = option.parse(one.text)
        except ValueError as error:
            problems.append(f"{one.origin}: {quoted(one.text)}; expected {error}")
        else:
            found = True
            # An absolute path stays as it is: that is how paths join.
            yield one.base / value if one.base is not None and isinstance(value, Path) else value
    if not found:
        yield from default


def _flags(
    namespace: argparse.Namespace, options: Collection[Option[object]], problems: list[str]
) -> dict[str, tuple[_Given, ...]]:
    given = {}
    for option in options:
        texts: list[str] = getattr(namespace, option.name, None) or []
        if len(texts) > 1 and not option.many:
            problems.append(f"--{option.name} is given {len(texts)} times; expected once")
            texts = texts[-1:]
        if texts:
            given[option.name] = tuple(_Given(text, f"--{option.name}") for text in texts)
    return given


def _file(
    path: Path, options: Collection[Option[object]], file_option: Option[Path | None], problems: list[str]
) -> dict[str, tuple[_Given, ...]]:
    document = yamlfile.read(path)
    keys = _Keys({option.name: option for option in options if option.name != file_option.name}, file_option.name)
    found = keys.collect(document.root, "", document.problems)
    problems.extend(document.problems.lines())
    return {
        name: tuple(_Given(text, f"{node.mark}: {name}", path.parent) for node, text in written)
        for name, written in found.items()
    }


_Written = list[tuple[Node, str]]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Collects option names with their values from flat (`a.b: 1`) and nested (`a: {b: 1}`) keys."""

    names: Mapping[str, Option[Any]]
    file_name: str

    def collect(self, node: Node, prefix: str, problems: Problems) -> dict[str, _Written]:
        """Return what is written under a mapping's keys."""
        found: dict[str, _Written] = {}
        for key, mark, value in node.mapping():
            name = prefix + key
            inner: dict[str, _Written] = {}
            if name in self.names:
                written = _written(self.names[name], value)
                inner = {name: written} if written else {}
            elif any(known.startswith(f"{name}.") for known in self.names):
                inner = self.collect(value, f"{name}.", problems)
            elif name == self.file_name:
                problems.add(mark, f"{name} cannot be set in the file that it names")
            else:
                problems.add(mark, f"unknown key {quoted(name)}{suggestion(name, self.names)}")
            for twice in found.keys() & inner.keys():
                first = found[twice][0][0].mark.line
                problems.add(inner[twice][0][0].mark, f"{name} sets {twice} again, after line {first}")
            found |= inner
        return found


def _written(option: Option[object], node: Node) -> _Written:
    nodes = node.sequence() if option.many and isinstance(node.content, tuple) else (node,)
    texts = [(one, _switch_text(one) if option.switch else one.string()) for one in nodes]
    return [(one, text) for one, text in texts if text is not None]


def _switch_text(node: Node) -> str | None:
    value = node.boolean()
    return None if value is None else str(value).lower()


def table(options: Collection[Option[object]]) -> list[str]:
    """Return the lines of a table for the options' page, in Markdown."""
    lines = ["| option | value | default | meaning |", "|---|---|---|---|"]
    for option in options:
        value = (option.metavar or "true or false").replace("|", "\\|")
        default = f"`{option.default}`" if option.default else "none"
        meaning = option.help + (" May be given again." if option.many else "")
        lines.append(f"| `{option.name}` | {value} | {default} | {meaning} |")
    return lines

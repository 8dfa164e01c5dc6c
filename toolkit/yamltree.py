"""What a strict YAML file is once parsed: values that know where they stand, and the faults found in them.

A reader takes the tree apart with the methods of `Node` and `Fields`; what does not fit is noted in one place and raised
at the end (`toolkit.yamlfile.Document.finish`), so that all faults are told at once.

Values are text until a reader asks for a type: YAML 1.1's surprises (`1:30` is ninety, `0o17`, a date) never happen.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
_QUOTE_LIMIT = 60

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(slots=True)
class Problems:
    """The faults found so far, in whatever order they were found."""

    found: list[tuple[Mark, str]] = field(default_factory=list)

    def add(self, mark: Mark, what: str, expected: str = "") -> None:
        """Note one fault: what stands there, and what was expected."""
        self.found.append((mark, f"{what}; expected {expected}" if expected else what))

    def lines(self) -> tuple[str, ...]:
        """Return one line for each fault, in the order of the file."""
        return tuple(dict.fromkeys(f"{mark}: {text}" for mark, text in sorted(self.found)))


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it is written. `quoted` text is never a number, a boolean or null."""

    text: str
    quoted: bool
    null: bool


Content = Scalar | tuple["Node", ...] | dict[str, "Entry"] | None
"""None stands for a value that was refused when the file was parsed, and of which no more faults are told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place and its value."""

    mark: Mark
    value: Node


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file and its place. A reading method that does not fit notes the fault and returns None or nothing."""

    mark: Mark
    content: Content
    problems: Problems

    def fail(self, what: str, expected: str = "") -> None:
        """Note a fault at this place that only the reader of the file can see."""
        if self.content is not None:
            self.problems.add(self.mark, what, expected)

    @property
    def null(self) -> bool:
        """Whether nothing is written here (`key:`, `~` or `null`)."""
        return isinstance(self.content, Scalar) and self.content.null

    def mapping(self) -> Fields:
        """Read a mapping; without one, note the fault and return no fields."""
        if isinstance(self.content, dict):
            return Fields(self.mark, self.content, self.problems)
        self.fail(self.described(), "a mapping")
        return Fields(self.mark, {}, self.problems)

    def sequence(self) -> tuple[Node, ...]:
        """Read a list; without one, note the fault and return no items."""
        if isinstance(self.content, tuple):
            return self.content
        self.fail(self.described(), "a list")
        return ()

    def string(self) -> str | None:
        """Read text. Any scalar that is not null is text, quoted or not, as Go's YAML has it."""
        if isinstance(self.content, Scalar) and not self.content.null:
            return self.content.text
        self.fail(self.described(), "text")
        return None

    def integer(self, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        """Read a whole number in decimal digits, within bounds."""
        text = self._plain(_INTEGER)
        value = None if text is None else int(text)
        if value is None or not _within(value, minimum, maximum):
            self.fail(self.described(), f"a whole number{_bounds(minimum, maximum)}")
            return None
        return value

    def number(self, *, minimum: float | None = None, maximum: float | None = None) -> float | None:
        """Read a finite number, within bounds."""
        text = self._plain(_NUMBER)
        value = None if text is None else float(text)
        if value is None or not math.isfinite(value) or not _within(value, minimum, maximum):
            self.fail(self.described(), f"a number{_bounds(minimum, maximum)}")
            return None
        return value

    def boolean(self) -> bool | None:
        """Read true or false (also yes, no, on, off)."""
        if isinstance(self.content, Scalar) and not self.content.quoted:
            word = self.content.text.lower()
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
        self.fail(self.described(), "true or false")
        return None

    def choice(self, choices: Collection[str]) -> str | None:
        """Read one of these words, and name the nearest one when it is none."""
        text = self.string()
        if text is None or text in choices:
            return text
        self.fail(f"{quoted(text)}{suggestion(text, choices)}", one_of(choices))
        return None

    def parsed(self, parse: Callable[[str], T]) -> T | None:
        """Read text through a parser whose ValueError says what was expected."""
        text = self.string()
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.fail(quoted(text), str(error))
            return None

    def described(self) -> str:
        """Return in words what stands here, for a message."""
        match self.content:
            case Scalar(null=True):
                return "nothing is written here"
            case Scalar(text=text):
                return quoted(text)
            case tuple():
                return "a list"
            case dict():
                return "a mapping"
            case None:
                return "a value that is not allowed"

    def _plain(self, pattern: re.Pattern[str]) -> str | None:
        scalar = self.content
        if isinstance(scalar, Scalar) and not scalar.quoted and pattern.fullmatch(scalar.text):
            return scalar.text
        return None


class Fields:
    """The keys of a mapping. A key that was neither asked for nor taken is unknown, and `finish` says so."""

    def __init__(self, mark: Mark, entries: dict[str, Entry], problems: Problems) -> None:
        self.mark = mark
        self._entries = entries
        self._problems = problems
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        self._known.add(key)
        return key in self._entries

    def __iter__(self) -> Iterator[tuple[str, Mark, Node]]:
        """Go through all keys, where the keys are the file's own (user names): none is unknown then."""
        for key, entry in self._entries.items():
            self._known.add(key)
            yield key, entry.mark, entry.value

    def get(self, key: str) -> Node | None:
        """Return the key's value, or None when it is not there."""
        self._known.add(key)
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def take(self, key: str) -> Node:
        """Return the value of a key that must be there; KeyError is the reader's mistake, so ask `in` first."""
        self._known.add(key)
        return self._entries[key].value

    def required(self, key: str) -> Node | None:
        """Return the key's value; note a fault when it is not there."""
        node = self.get(key)
        if node is None:
            self._problems.add(self.mark, f"the key {quoted(key)} is missing")
        return node

    def finish(self) -> None:
        """Note every key that was not asked for as unknown, with the nearest known one."""
        for key, entry in self._entries.items():
            if key not in self._known:
                known = sorted(self._known)
                near = suggestion(key, known)
                self._problems.add(entry.mark, f"unknown key {quoted(key)}{near}", "" if near else one_of(known))


def suggestion(word: str, known: Collection[str]) -> str:
    """Return `, did you mean "…"?` for the nearest known word, or nothing when none is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f', did you mean "{near[0]}"?' if near else ""


def one_of(words: Collection[str]) -> str:
    """List words for a message: `a, b or c`."""
    *first, last = list(words) or ["nothing"]
    return f"{', '.join(first)} or {last}" if first else last


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def _bounds(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum:g} to {maximum:g}"
    if minimum is not None:
        return f" of at least {minimum:g}"
    return "" if maximum is None else f" of at most {maximum:g}"


def quoted(text: str) -> str:
    """Quote what stands in the file, short and in one line, whatever characters it holds."""
    short = text if len(text) <= _QUOTE_LIMIT else text[:_QUOTE_LIMIT] + "…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short) + '"'

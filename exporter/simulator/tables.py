"""Strict reading of a TOML document: every key is asked for by name and type, and what nobody asked for is a fault.

Faults are collected, so that a scenario with three mistakes is mended in one go; each names file and key path.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

E = TypeVar("E", bound=StrEnum)


class Faults:
    """The problems of one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[str] = []

    def add(self, path: str, text: str) -> None:
        """Note a problem at a key path."""
        self.problems.append(f"{self._file}: {path or 'top level'}: {text}")


class Table:
    """One table. Each getter takes a key off it; `end` complains of what is left.

    A getter that finds a fault notes it and returns a stand-in, so that reading goes on.
    """

    def __init__(self, values: Mapping[str, object], path: str, faults: Faults) -> None:
        self._values = values
        self._asked: set[str] = set()
        self.path = path
        self.faults = faults

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Read a non-empty text; required without a default."""
        value = self._take(key, required=default is None)
        if value is None:
            return default or ""
        if isinstance(value, str) and value:
            return value
        self.fault(key, f"expected a text, found {value!r}")
        return default or ""

    def number(
        self, key: str, default: float | None = None, *, least: float = -math.inf, most: float = math.inf
    ) -> float:
        """Read a number within bounds; required without a default."""
        value = self._take(key, required=default is None)
        stand_in = least if default is None else default
        if value is None:
            return stand_in
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            self.fault(key, f"expected a number, found {value!r}")
            return stand_in
        if not least <= value <= most:
            self.fault(key, f"expected a number from {least:g} to {most:g}, found {value:g}")
            return stand_in
        return float(value)

    def whole(self, key: str, default: int | None = None, *, least: int = 0, most: int = 1 << 31) -> int:
        """Read a whole number within bounds; required without a default."""
        value = self._take(key, required=default is None)
        stand_in = least if default is None else default
        if value is None:
            return stand_in
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fault(key, f"expected a whole number from {least} to {most}, found {value!r}")
            return stand_in
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Read true or false."""
        value = self._take(key, required=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, f"expected true or false, found {value!r}")
            return default
        return value

    def choice(self, key: str, kind: type[E], default: E | None = None) -> E:
        """Read one of the words of an enumeration; required without a default."""
        words = tuple(kind)
        value = self._take(key, required=default is None)
        stand_in = words[0] if default is None else default
        if value is None:
            return stand_in
        if isinstance(value, str) and value in {str(each) for each in words}:
            return kind(value)
        self.fault(key, f"expected one of {', '.join(words)}, found {value!r}")
        return stand_in

    def texts(self, key: str, default: Sequence[str] | None = ()) -> tuple[str, ...]:
        """Read a list of texts."""
        value = self._take(key, required=default is None)
        if value is None:
            return tuple(default or ())
        if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
            return tuple(value)
        self.fault(key, f"expected a list of texts, found {value!r}")
        return ()

    def numbers(self, key: str) -> tuple[int, ...]:
        """Read a list of whole numbers from 0 up."""
        value = self._take(key, required=False)
        if value is None:
            return ()
        good = isinstance(value, list) and all(isinstance(each, int) and each >= 0 for each in value)
        if not isinstance(value, list) or not good:
            self.fault(key, f"expected a list of whole numbers, found {value!r}")
            return ()
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        """Read a table of texts with any keys."""
        value = self._take(key, required=False)
        if value is None:
            return {}
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            return dict(value)
        self.fault(key, "expected a table of texts")
        return {}

    def table(self, key: str) -> Table:
        """Read a table that must be there."""
        value = self._take(key, required=True)
        if value is not None and not isinstance(value, dict):
            self.fault(key, f"expected a table, found {value!r}")
        return Table(value if isinstance(value, dict) else {}, self._path(key), self.faults)

    def tables(self, key: str) -> Iterable[Table]:
        """Read an array of tables, empty when absent."""
        value = self._take(key, required=False)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.fault(key, "expected an array of tables")
            return []
        return [Table(each, f"{self._path(key)}[{number}]", self.faults) for number, each in enumerate(value)]

    def end(self) -> None:
        """Complain of every key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                self.fault(key, "unknown key" + (f"; did you mean {near[0]}?" if near else ""))

    def fault(self, key: str, text: str) -> None:
        """Note a problem with one key of this table."""
        self.faults.add(self._path(key), text)

    def _take(self, key: str, *, required: bool) -> object | None:
        self._asked.add(key)
        value = self._values.get(key)
        if value is None and required:
            self.fault(key, "is missing")
        return value

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

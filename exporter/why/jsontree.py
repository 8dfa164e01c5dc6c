"""A JSON document taken apart with types: what does not fit is one SourceError that names the place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast

from exporter.errors import SourceError
from exporter.model import Missing, Reading, Reason
from exporter.why.figures import clean

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Tree:
    """A value of the document and where it stands."""

    value: object
    path: str

    def fields(self) -> dict[str, object]:
        """Return the value as an object. Raises SourceError."""
        if not isinstance(self.value, dict):
            raise self._wrong("an object")
        return cast("dict[str, object]", self.value)

    def __getitem__(self, name: str) -> Tree:
        """A field that must be there. Raises SourceError."""
        fields = self.fields()
        if name not in fields:
            raise self._wrong(f"a field {name!r}")
        return Tree(fields[name], f"{self.path}.{name}")

    def get(self, name: str) -> Tree:
        """A field that may be missing; then its value is None."""
        return Tree(self.fields().get(name), f"{self.path}.{name}")

    def items(self) -> Iterator[tuple[str, Tree]]:
        """Every field of an object, names cleaned like any other text; nothing for null. Raises SourceError."""
        if self.value is None:
            return
        for name, value in self.fields().items():
            yield clean(name), Tree(value, f"{self.path}.{clean(name)}")

    def each(self) -> Iterator[Tree]:
        """Every element of a list. Raises SourceError."""
        if not isinstance(self.value, list):
            raise self._wrong("a list")
        for index, value in enumerate(self.value):
            yield Tree(value, f"{self.path}[{index}]")

    def text(self) -> str:
        """Text with nothing in it that a terminal would act on; empty for null. Raises SourceError."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise self._wrong("text")
        return clean(self.value)

    def number(self) -> float:
        """A finite number. Raises SourceError."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self._wrong("a number")
        try:
            number = float(self.value)
        except OverflowError as error:
            raise self._wrong("a number") from error
        if not math.isfinite(number):
            raise self._wrong("a finite number")
        return number

    def reading(self) -> Reading:
        """A number, or why it is missing. Raises SourceError."""
        if self.value is None:
            return Missing(Reason.NOT_CONFIGURED)
        return Missing(self["missing"].word(Reason, Reason.ERROR)) if isinstance(self.value, dict) else self.number()

    def word(self, words: type[E], other: E) -> E:
        """A word of an enumeration; `other` for one that a newer exporter has added. Raises SourceError."""
        return word(words, self.text(), other)

    def _wrong(self, expected: str) -> SourceError:
        return SourceError(f"{self.path}: expected {expected}")


def word(words: type[E], text: str, other: E) -> E:
    """Return a word of an enumeration; `other` for one that a newer exporter has added."""
    try:
        return words(text)
    except ValueError:
        return other


def parse(body: bytes, name: str) -> Tree:
    """Parse a document; `name` says in messages whose it is. Raises SourceError."""
    try:
        return Tree(json.loads(body), name)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{name}: not JSON ({clean(body[:40].decode(errors='replace'))}…)") from error

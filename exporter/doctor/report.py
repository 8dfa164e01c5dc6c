"""What the doctor finds, before it is drawn: a report is titled tables of rows, and every row says what and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How something is."""

    OK = "ok"
    PARTLY = "partly"
    DOWN = "down"
    MISSING = "missing"
    OFF = "off"
    UNUSED = "not needed"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what it is, how it is (empty where that is no question), and what follows."""

    name: str
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings. `after` are lines below them."""

    headings: tuple[str, str, str]
    rows: tuple[Row, ...]
    after: tuple[str, ...] = ()

"""The lines of a page as rows of entries, in one pass in which no bad line spoils another. Pure; never raises.

Most lines are a known name, labels that an earlier line had too, and a number: they take a short way. Everything else takes
the long one, which decides what is bad, what is ignored and what is read in spite of its spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.dcgm import labels
from exporter.dcgm.fields import BY_NAME, WINDOWS, Field, Kind

MOST_ROWS = 20_000
"""Samples of a page that are read; eight GPUs of seven instances with 60 fields have 3,360."""
MOST_TOLD = 1_000
"""Bad lines whose numbers are kept; all are counted."""

_BLANKS = frozenset(
    [float(n) for n in range(2147483632, 2147483636)]
    + [float(n) for n in range(140737488355328, 140737488355332)]
    + [9223372036854775792.0]  # to …795: one number, as a double
)
"""What DCGM prints for "no value" (dcgm_structs.h, DCGM_INT32_BLANK and its neighbours, in three types of number)."""

_ROUNDED_UP = 1.05
"""Up to here a ratio above 1 is a rounded 1 (NVIDIA/DCGM#152 has seen 1.294, which is not)."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan)", re.ASCII | re.IGNORECASE
)
_TIMESTAMP = re.compile(r"-?[0-9]+", re.ASCII)
_INSTANCE = re.compile(r"[0-9]{1,6}", re.ASCII)
_GPU = re.compile(r"gpu-([0-9a-f-]+)", re.ASCII | re.IGNORECASE)


class Slot(NamedTuple):
    """Which count of events a row is: the field, the label that tells its rows apart, and the window in milliseconds."""

    field: str
    label: tuple[str, str]
    window: str


@dataclass(slots=True, eq=False)
class Entry:
    """What is gathered of one GPU (`instance` None) or one GPU instance."""

    uuid: str
    instance: int | None
    identities: dict[Identity, None] = field(default_factory=dict)  # of the rows of known fields, as they came
    rows: dict[Field, list[Row]] = field(default_factory=dict)
    windows: dict[Slot, list[Row]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # field → the check that refused a value of it


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """What a row says of itself: its entry, and its labels by name in lower case."""

    entry: Entry
    labels: Mapping[str, str]
    repaired: bool


Row = tuple[float, Identity]
"""One value in its base unit, and the identity of the row that it stood on."""


class Bad(NamedTuple):
    """A line that is no sample, counted from 1."""

    line: int
    reason: str


@dataclass(slots=True)
class Tally:
    """What became of the lines."""

    lines: int = 0
    bad_lines: int = 0
    ignored: int = 0
    dropped_blank: int = 0
    dropped_implausible: int = 0
    above_one: int = 0
    above_one_dropped: int = 0
    repaired_lines: int = 0


@dataclass(slots=True)
class Gathered:
    """A page's rows. `truncated`: its last line has no end. `relabelled`: some row has `exported_pod`."""

    entries: dict[tuple[str, int | None], Entry] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    truncated: bool = False
    relabelled: bool = False


def gather(body: str) -> Gathered:
    """Read the rows of a page."""
    reader = _Reader()
    reader.read(body)
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found = Gathered()
        self._known: dict[str, Identity] = {}  # labels as written → the identity of a row that was stored
        self._parsed: dict[str, Identity | str] = {}
        self._entries: dict[tuple[str, int | None], Entry] = {}

    def read(self, body: str) -> None:
        lines = body.split("\n")
        last = lines.pop()
        self._rows(lines)
        if last:
            self.found.truncated = True
            if last[0] != "#" and not last.isspace():
                self.found.tally.lines += 1
                self._bad(len(lines) + 1, "truncated")

    def _rows(self, lines: list[str]) -> None:
        fields, known = BY_NAME, self._known
        count = 0
        for number, line in enumerate(lines, 1):
            if line[:1] in {"", "#"} or line.isspace():
                continue
            count += 1
            if count > MOST_ROWS:
                self._bad(number, "beyond_row_limit")
                continue
            name, _, rest = line.partition("{")
            block, _, tail = rest.rpartition("}")
            identity, named = known.get(block), fields.get(name)
            if identity is not None and named is not None and "_" not in tail and tail.isascii():
                try:
                    value = float(tail)
                except ValueError:
                    pass
                else:
                    self._store(named, value, identity)
                    continue
            problem = self._odd(line)
            if problem:
                self._bad(number, problem)
        self.found.tally.lines += count

    def _bad(self, number: int, reason: str) -> None:
        self.found.tally.bad_lines += 1
        if len(self.found.bad) < MOST_TOLD:
            self.found.bad.append(Bad(number, reason))

    def _odd(self, line: str) -> str:
        """Take in a line that may be anything; returns why it is bad, empty where it is not."""
        name, brace, rest = line.partition("{")
        block, closing, tail = rest.rpartition("}") if brace else ("", "", "")
        if brace and not closing:
            return "not_a_sample"
        if not brace:
            name, _, tail = line.strip().partition(" ")
        name = name.strip()
        if not _NAME.fullmatch(name):
            return "not_a_sample"
        value = _value(tail)
        identity = self._identity(block) if brace else _IGNORED
        if isinstance(value, str):
            return value
        if isinstance(identity, str) and identity != _IGNORED:
            return identity
        self._take(name, value, identity, block)
        return ""

    def _take(self, name: str, value: float, identity: Identity | str, block: str) -> None:
        lower, tally = name.lower(), self.found.tally
        named, window = BY_NAME.get(lower), WINDOWS.get(lower)
        if not isinstance(identity, str) and identity.repaired:
            tally.repaired_lines += 1
        if isinstance(identity, str) or (named is None and window is None):
            tally.ignored += 1
            return
        entry = identity.entry
        self.found.entries[entry.uuid, entry.instance] = entry
        entry.identities[identity] = None
        if named is not None:
            self._store(named, value, identity)
        elif window is not None:
            self._count(window, value, identity)
        if not identity.repaired and named is not None:
            self._known[block] = identity

    def _store(self, named: Field, value: float, identity: Identity) -> None:
        entry = identity.entry
        if not 0.0 <= value <= named.usual:
            kept = self._unusual(named, value, entry)
            if kept is None:
                return
            value = kept
        row = (value * named.factor + 0.0, identity)  # + 0.0: a zero has no sign
        rows = entry.rows
        if named in rows:
            rows[named].append(row)
        else:
            rows[named] = [row]

    def _unusual(self, named: Field, value: float, entry: Entry) -> float | None:
        """What a number that needs a second look is read as; None when it is dropped, which is counted here."""
        tally = self.found.tally
        if _blank(value):
            tally.dropped_blank += 1
            return None
        if value < 0:
            tally.dropped_implausible += 1
            return None
        if named.kind is Kind.PERCENT:
            tally.dropped_implausible += 1
            entry.refused[named.key] = "percent_above_hundred"
            return None
        if named.kind is not Kind.RATIO:
            return value
        tally.above_one += 1
        if value <= _ROUNDED_UP:
            return 1.0
        tally.above_one_dropped += 1
        entry.refused[named.key] = "ratio_far_above_one"
        return None

    def _count(self, window: tuple[str, str], value: float, identity: Identity) -> None:
        """Take in a count of events in a window of time."""
        tally, (key, label) = self.found.tally, window
        if _blank(value):
            tally.dropped_blank += 1
        elif value < 0:
            tally.dropped_implausible += 1
        else:
            slot = Slot(key, (label, identity.labels.get(label, "")), identity.labels.get("window_size_in_ms", ""))
            identity.entry.windows.setdefault(slot, []).append((value, identity))

    def _identity(self, block: str) -> Identity | str:
        """The identity that labels name, or the reason why there is none."""
        found = self._parsed.get(block)
        if found is None:
            found = self._parsed[block] = self._identify(block)
        return found

    def _identify(self, block: str) -> Identity | str:
        read = labels.parse(block)
        if read is None:
            return "labels"
        values = read.values
        if values.get("exported_pod"):
            self.found.relabelled = True
        uuid, number = values.get("uuid", ""), values.get("gpu_i_id", "")
        if not uuid or "nvlink" in values:
            return _IGNORED
        if number and not _INSTANCE.fullmatch(number):
            return "instance"
        named = _GPU.fullmatch(uuid)
        key = (uuid if named is None else f"GPU-{named[1].lower()}", int(number) if number else None)
        entry = self._entries.setdefault(key, Entry(*key))
        return Identity(entry, values, read.repaired)


_IGNORED = "ignored"


def _blank(value: float) -> bool:
    return value != value or value in _BLANKS or abs(value) == float("inf")  # noqa: PLR0124  # NaN


def _value(tail: str) -> float | str:
    """The number behind the labels, before a timestamp; or why there is none."""
    words = tail.split()
    if not words:
        return "no_value"
    if not _NUMBER.fullmatch(words[0]):
        return "not_a_number"
    if len(words) > 2 or (len(words) == 2 and not _TIMESTAMP.fullmatch(words[1])):  # noqa: PLR2004  # value, timestamp
        return "not_a_sample"
    return float(words[0])

"""Putting answers together: runs of samples in the order in which they came, to samples as `slo.samples` has them.

A run is samples of one series that stand together, such as a chunk. A series may come in many runs: over the pages of a
long range, over the frames of a stream, over chunks that overlap. Nothing is sorted that is in order already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from slo.samples import Samples

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST: Final = 1_000_000


Key = frozenset[tuple[str, str]]


class Labels:
    """Label sets by the bytes that a server writes them in: a set is parsed once, also over many answers."""

    def __init__(self, read: Callable[[bytes], Mapping[str, str]]) -> None:
        self._read = read
        self._known: dict[bytes, tuple[Key, Mapping[str, str]]] = {}

    def of(self, written: bytes) -> tuple[Key, Mapping[str, str]]:
        """Return the labels of these bytes, and what is equal for equal labels. Raises what `read` raises."""
        found = self._known.get(written)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()  # a year of short-lived pods, not a working set
            labels = self._read(written)
            found = self._known[written] = (frozenset(labels.items()), labels)
        return found


@dataclass(frozen=True, slots=True)
class Run:
    """Runs as they came in one piece: whose each is, its samples, and all their times (Unix ms) and values."""

    owners: Ints
    counts: Ints
    times: Ints
    values: Floats

    def within(self, after: int, until: int) -> Run:
        """Return what of it has after < t ≤ until: a server may send whole chunks."""
        inside = (self.times > after) & (self.times <= until)
        if inside.all():
            return self
        ends = np.cumsum(self.counts)
        kept = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(inside)))
        return Run(self.owners, kept[ends] - kept[ends - self.counts], self.times[inside], self.values[inside])


@dataclass
class Series:
    """All series of a read, and their runs in the order in which they came."""

    known: Labels
    runs: list[Run] = field(default_factory=list)
    _places: dict[bytes | Key, int] = field(default_factory=dict)
    _labels: list[Mapping[str, str]] = field(default_factory=list)

    def place(self, written: bytes) -> int:
        """Return a series' place by the bytes of its labels: one place for equal labels, however they are written."""
        place = self._places.get(written)
        if place is None:
            key, labels = self.known.of(written)
            place = self._places.setdefault(key, len(self._labels))
            if place == len(self._labels):
                self._labels.append(labels)
            self._places[written] = place
        return place

    def samples(self) -> Samples:
        """Return what is there, sorted by series and time; of several samples of one time, the last. Empties `runs`."""
        if not self.runs:
            return Samples(tuple(self._labels), _frame(*(np.empty(0, dtype=np.int64),) * 2, np.empty(0)))
        owners = np.concatenate([run.owners for run in self.runs])
        counts = np.concatenate([run.counts for run in self.runs])
        times = np.concatenate([run.times for run in self.runs])
        values = np.concatenate([run.values for run in self.runs])
        self.runs.clear()
        if (owners[1:] < owners[:-1]).any():
            # Each run moves as a whole: from where it came to where its series' runs stand together.
            order = np.argsort(owners, kind="stable")
            came = (np.cumsum(counts) - counts)[order]
            owners, counts = owners[order], counts[order]
            moved = np.repeat(came - (np.cumsum(counts) - counts), counts) + np.arange(len(times))
            times, values = times[moved], values[moved]
        series = np.repeat(owners, counts)
        if ((series[1:] == series[:-1]) & (times[1:] <= times[:-1])).any():
            series, times, values = _sorted(series, times, values)
        return Samples(tuple(self._labels), _frame(series, times, values))


def _sorted(series: Ints, times: Ints, values: Floats) -> tuple[Ints, Ints, Floats]:
    order = np.lexsort((times, series))  # stable: of one time, in the order of the answer
    series, times, values = series[order], times[order], values[order]
    last = np.append((series[1:] != series[:-1]) | (times[1:] != times[:-1]), [True])
    return series[last], times[last], values[last]


def _frame(series: Ints, times: Ints, values: Floats) -> pl.DataFrame:
    return pl.DataFrame({"series": series.astype(np.uint32), "t": times, "v": values})

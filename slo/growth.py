"""By how much counters grew, page after page of history: what was lost to whom, who used what.

A minute's value is the newest sample at it, as for slices (`slo.grid`). A counter that went backwards counts from zero; one
that was not scraped for a while goes on from where it was. All counters here are seconds, which grow by one a second at the
most: one that is first seen with more than the window had until then was there before, and its past is not the window's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from slo.grid import on_minutes
from slo.samples import Samples
from slo.sli import Floats
from slo.spec import SLICE

_ROWS = 8192  # keys whose minutes are held at a time

K = TypeVar("K", bound=Hashable)


class Growth(Generic[K]):
    """Sums growth by key into bins of equal length from `start` (Unix seconds, whole minutes) on.

    `key` tells whose a series is, or None for one that is of no interest. Several series of one key are scrapes of one counter:
    the greater value counts.
    """

    def __init__(self, key: Callable[[Mapping[str, str]], K | None], start: int, bins: int, length: int) -> None:
        self._key = key
        self._start = start
        self._length = length
        self._bins = bins
        self._last: dict[K, float] = {}
        self.grown: dict[K, Floats] = {}

    def page(self, samples: Samples, first: int, last: int) -> None:
        """Take the samples of first − 5 min < t ≤ last, of the page behind the one before."""
        places: dict[K, list[int]] = {}
        for position, labels in enumerate(samples.series):
            key = self._key(labels)
            if key is not None:
                places.setdefault(key, []).append(position)
        keys = list(places)
        for low in range(0, len(keys), _ROWS):
            self._tile(samples, {key: places[key] for key in keys[low : low + _ROWS]}, first, last)

    def total(self, key: K) -> float:
        """Return what a key grew by in all; 0 for one that was never there."""
        return float(self.grown[key].sum()) if key in self.grown else 0.0

    def _tile(self, samples: Samples, places: Mapping[K, list[int]], first: int, last: int) -> None:
        values = _dense(samples, places, first, last)
        minutes = np.arange(first + SLICE, last + 1, SLICE)
        bins = np.minimum((minutes - 1 - self._start) // self._length, self._bins - 1)
        for row, key in enumerate(places):
            line = values[row]
            known = ~np.isnan(line)
            if not known.any():
                continue
            before = self._last.get(key)
            self._last[key] = float(line[known][-1])
            if before is None:
                born = int(known.argmax())
                before = 0.0 if line[born] <= first + (born + 1) * SLICE - self._start else float(line[born])
            steps = _steps(line, known, before)
            if steps.any() or key not in self.grown:
                into = self.grown.setdefault(key, np.zeros(self._bins))
                np.add.at(into, bins, steps)


def _dense(samples: Samples, places: Mapping[K, list[int]], first: int, last: int) -> Floats:
    """Values [keys, minutes from `first` to `last`]."""
    row_of = np.full(len(samples.series), -1, dtype=np.int64)
    order = [position for found in places.values() for position in found]
    row_of[order] = np.arange(len(order))
    rows = row_of[samples.frame["series"].to_numpy()]
    mine = np.flatnonzero(rows >= 0)
    mine = mine[np.argsort(rows[mine], kind="stable")]
    times, found = samples.frame["t"].to_numpy()[mine], samples.frame["v"].to_numpy()[mine]
    dense = on_minutes(rows[mine], times, found, len(order), first, (last - first) // SLICE + 1)
    starts = np.cumsum([0, *(len(positions) for positions in places.values())])[:-1]
    return np.fmax.reduceat(dense, starts, axis=0) if order else dense


def _steps(line: Floats, known: npt.NDArray[np.bool_], opening: float) -> Floats:
    """Growth from minute to minute, gaps bridged; one value fewer than minutes."""
    places = np.where(known, np.arange(len(line)), -1)
    newest = np.maximum.accumulate(places)
    filled = np.where(newest >= 0, line[np.maximum(newest, 0)], opening)
    grown = np.diff(filled)
    return np.where(grown >= 0, grown, filled[1:])

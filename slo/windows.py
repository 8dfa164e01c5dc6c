"""Bad and valid slices counted over sliding windows, for whole histories by differences of running sums."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from slo.burnrate import BURNS, HOUR, UNMET_WINDOW
from slo.sli import BAD, GOOD, States
from slo.spec import SLICE

Counted = npt.NDArray[np.int32]

BAD_WINDOWS = tuple(sorted({window for burn in BURNS for window in (burn.long, burn.short)} | {UNMET_WINDOW, HOUR}))
VALID_WINDOWS = (HOUR, UNMET_WINDOW)
"""Seconds of the windows over which anything is ever counted."""


class Counts(Protocol):
    """Slices in the window that ends now; arrays have a row a partition and, for histories, a column a minute."""

    def bad(self, window: int) -> Counted:
        """Return the bad slices of the last `window` seconds."""

    def valid(self, window: int) -> Counted:
        """Return the valid slices of the last `window` seconds."""


class History:
    """Counts of states [partitions, minutes]; before the first minute nothing is known."""

    def __init__(self, states: States) -> None:
        self._bad = _running(states == BAD)
        self._valid = _running(states >= GOOD)

    def bad(self, window: int) -> Counted:
        """Return [partitions, minutes]."""
        return _within(self._bad, window // SLICE)

    def valid(self, window: int) -> Counted:
        """Return [partitions, minutes]."""
        return _within(self._valid, window // SLICE)


def within(numbers: Counted, slices: int) -> Counted:
    """Return the sums of the last `slices` columns, at each column."""
    sums = np.zeros((numbers.shape[0], numbers.shape[1] + 1), dtype=np.int32)
    np.cumsum(numbers, axis=1, dtype=np.int32, out=sums[:, 1:])
    return _within(sums, slices)


def _running(flags: npt.NDArray[np.bool_]) -> Counted:
    sums = np.zeros((flags.shape[0], flags.shape[1] + 1), dtype=np.int32)
    np.cumsum(flags, axis=1, dtype=np.int32, out=sums[:, 1:])
    return sums


def _within(running: Counted, slices: int) -> Counted:
    found = running[:, 1:].copy()
    if slices < found.shape[1]:
        found[:, slices:] -= running[:, 1:-slices]
    return found

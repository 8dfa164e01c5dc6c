"""From counters to slices: what each minute of each partition was, by pure arithmetic on the contract's four outcomes.

The generated rules do the same in PromQL (`slo.rules.slices`), number for number: a value at a minute is the newest
sample at most five minutes old, as an instant query finds it; a minute's seconds are the difference of two such values.

Let `age` be the sum of a guarantee's four outcomes, which grows by one second a second. For the step from one minute to
the next:

* age grew by more than `STANDING` and at most `MOST`: the seconds are the differences of the outcomes;
* age stood still: no new sample, nothing is known;
* else (born, restarted, or back after a gap), and age is at most `MOST`: the seconds are the counters themselves;
* else nothing is known. A counter alone that went backwards while the age grew was reset too: it counts from zero.

Arrays have the outcomes of `OUTCOMES` on their last axis, in that order; NaN is a value that is not there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from exporter.catalogue import OUTCOMES
from slo.spec import Sli, Subject

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.uint8]

LOOKBACK: Final = 300
"""Seconds that an instant query looks back for a sample: Prometheus's default."""

STANDING: Final = 0.5
MOST: Final = 100.0
"""Seconds of age that one step of 60 s may bring: scrapes every 30 s or more often, one of which may be missed."""

UNKNOWN: Final = 0  # nothing measured
IDLE: Final = 1  # measured; not valid
GOOD: Final = 2
BAD: Final = 3
"""States of a slice. It is valid from GOOD on."""

KEPT_AT, BROKEN_AT, IDLE_AT, BLIND_AT = range(4)
if OUTCOMES != ("kept", "broken", "idle", "blind"):  # the order that this module's arrays have
    raise ImportError("the outcomes of the catalogue are in another order than slo.sli has them")


def seconds(before: Floats, now: Floats) -> Floats:
    """Return each outcome's seconds in the step between two minutes; NaN where nothing is known. Shapes are equal."""
    with np.errstate(invalid="ignore"):
        age = now.sum(axis=-1, keepdims=True)
        grown = age - before.sum(axis=-1, keepdims=True)
        counted = np.where(now >= before, now - before, now)
        stepped = (grown > STANDING) & (grown <= MOST)
        stood = np.abs(grown) <= STANDING
        afresh = (age <= MOST) & ~stepped & ~stood
        return np.where(stepped, counted, np.where(afresh, now, np.nan))


def states(spent: Floats, sli: Sli) -> States:
    """Judge slices: `spent` is what `seconds` returned, and the result has its shape without the last axis."""
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(spent).any(axis=-1)
        if sli.subject is Subject.COVERAGE:
            part, whole = spent[..., BLIND_AT], spent.sum(axis=-1)
            valid = known & (whole > 0)
        else:
            part = spent[..., BROKEN_AT]
            whole = part + spent[..., KEPT_AT]
            valid = known & (whole >= sli.wanted)
        # Products, not ratios: NaN compares as PromQL has it, and nothing is divided by zero.
        bad = valid & (part > sli.allow * whole)
    return np.where(bad, BAD, np.where(valid, GOOD, np.where(known, IDLE, UNKNOWN))).astype(np.uint8)

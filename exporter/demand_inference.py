"""From the shares of all processes to what a holder was entitled to: the queueing inversion, corrected where it errs.

The inversion takes every holder for a closed loop with bursts longer than a turn. It errs in ways that the holder's
*swing* tells, the standard deviation of its share from second to second: work that arrives by itself swings with its
arrivals and is content; a holder whose turns are what holds it up is steadied by them. The correction is linear; its
coefficients are a logistic regression of "truly broken" on the tuning set of the truth bench
(`bench/truth/ranges_tuning.py`), scaled so that 0.9 is even odds. One step of the scale is a twentieth: 0.05 off it, the
odds are e to one.

What no share can tell: bursts much shorter than a turn. A closed loop of them waits a whole turn for each and starves; work
that arrives in them is content; both are small, steady shares. There the answer is blind, unless appetite or the workload's
own word says more.
"""

from __future__ import annotations

import math

from exporter.demand import Bounds, DemandPolicy
from exporter.demand_appetite import HARDLY
from exporter.demand_window import Means
from exporter.queueing import dedicated

_CONSTANT = 0.2095
_BUSY = 0.5687  # the inversion of the seconds in which the holder used something, at most `_ROOM`
_WHOLE = 0.4313  # the inversion of all seconds, or the ratio to the remembered appetite; at most 1
_SWING = 0.0394  # logarithm of the swing
_PROMISE = 0.1090  # logarithm of the promise
_SHARE = -0.0309  # logarithm of the share
_PAUSING = 0.1556  # part of the time in which its processes seem to pause
_PAUSING_SWING = 0.0660

_ROOM = 1.25

_NOISE = 0.006
"""Standard deviation of a sample of a perfectly steady share: whole percents, and a little more."""

_LEAST = 0.2
"""No ratio below this can be told from shares in whole percents."""

_HELD_UP = 0.8
"""Others whose mean queue is less than this part of 1/p - 1 hold a tenant up less than a device of speed p does."""

_LENIENT = 0.05
"""By how much the inversion flatters on the tuning set: readiness cannot be seen above 1, but it can below."""


def ratio(window: Means, remembered: Bounds | None, promise: float, threshold: float) -> float:
    """Return delivered over entitled, as likely as not. `remembered` bounds the entitlement from an earlier appetite.

    Two inversions: of the seconds in which the holder used something (pauses of seconds are no wish of the tenant), and
    of all seconds, or its appetite where that is known. The correction may acquit or confirm, never condemn alone: where
    the model sees no breach, the ratio is at least the threshold.
    """
    active = max(window.active, 1e-3)
    busy = _closed_loop(window, window.share / active, window.readiness / active, promise)
    if remembered is None:
        whole = _closed_loop(window, window.share, window.readiness, promise)
    else:
        whole = window.share / remembered.low
    swing = math.log(math.hypot(window.swing, _NOISE))
    pausing = 1.0 - min(1.0, window.readiness / active / window.processes)
    corrected = (
        _CONSTANT
        + _BUSY * min(_ROOM, busy)
        + _WHOLE * min(1.0, whole)
        + _SWING * swing
        + _PROMISE * math.log(promise)
        + _SHARE * math.log(window.share)
        + pausing * (_PAUSING + _PAUSING_SWING * swing)
    )
    if window.pressure < HARDLY * (1 / promise - 1):
        return max(1.0, corrected)
    if busy >= threshold + _LENIENT or window.pressure < _HELD_UP * (1 / promise - 1):
        return max(threshold, corrected)
    return corrected


def inferred(window: Means, remembered: Bounds | None, promise: float, policy: DemandPolicy) -> Bounds:
    """Return the entitled share with its error bar, at most the promise."""
    likely = ratio(window, remembered, promise, 1 - policy.tolerance)
    low, mid, high = (
        min(promise, window.share / max(_LEAST, each))
        for each in (likely + policy.broken_margin, likely, likely - policy.kept_margin)
    )
    return Bounds(low, mid, high)


def _closed_loop(window: Means, share: float, readiness: float, promise: float) -> float:
    """Delivered over entitled if each process waits for its burst before it thinks on."""
    pause = max(0.0, window.processes - readiness) / share
    return share / dedicated(window.processes, pause, promise)

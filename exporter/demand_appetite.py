"""Appetite: what a holder used when less stood in its way, and what that says about a dedicated device.

A dedicated device of speed p holds a process up as long as a queue of 1/p - 1 others does. What was used under less
pressure than that bounds the entitlement from above; and from below bounds it the closed loop, which waits for each burst
before it thinks on, so that no tenant loses more to a slower device.
"""

from __future__ import annotations

from exporter.demand import Bounds
from exporter.demand_window import Level, Means
from exporter.queueing import dedicated, pause, under_pressure

_LEAST_SECONDS = 8.0
"""Seconds of use that a level must hold to speak."""

_LESS = 0.4
"""How much less than now a remembered pressure must be, in processes, to be another one."""

HARDLY = 0.4
"""Below this part of a pressure of 1/p - 1 even bursts far shorter than a turn get their due: of 2,184 such windows of the
tuning set one in a hundred was a breach. Above it such bursts are held up more than the model says."""

_SHRUNK = 0.75
"""Use below this part of what a closed loop would still get is a tenant that wants less than it did. Above it, bursts
shorter than a turn, which wait longer than the model says, are let pass."""


def appetite(window: Means, levels: tuple[Level, ...], promise: float) -> Bounds | None:
    """Bound the entitled share by the remembered level that is likest a dedicated device; None when there is none."""
    level = _likest(window, levels, 1 / promise - 1)
    if level is None or window.active <= 0.0:
        return None
    whole = _bounds(window, window.share, level, level.seconds, promise)
    busy = _bounds(window, window.share / window.active, level, level.active, promise)
    if whole is None or busy is None:
        return None
    low = min(promise, whole.low, busy.low * window.active)
    high = min(promise, max(whole.high, busy.high * window.active))
    return Bounds(low, low, max(low, high))


def _bounds(window: Means, share: float, level: Level, seconds: float, promise: float) -> Bounds | None:
    """Bound the share of a dedicated device by the use of a level in some of its seconds; None if habits changed."""
    k, pressure = window.processes, level.pressure / level.seconds
    low, high = _use(level, seconds)
    if share < _SHRUNK * under_pressure(k, pause(low, k, pressure), window.pressure):
        return None
    slower = 1 / promise - 1
    if pressure > slower:
        return Bounds(low, low, promise)  # a dedicated device would have held it up less: only a lower bound
    least = dedicated(k, pause(low, k, pressure), promise)
    return Bounds(least, least, high if pressure < HARDLY * slower else promise)


def _likest(window: Means, levels: tuple[Level, ...], aim: float) -> Level | None:
    known = [
        each
        for each in levels
        if each.active >= _LEAST_SECONDS and each.pressure / each.seconds < window.pressure - _LESS
    ]
    return min(known, key=lambda each: abs(each.pressure / each.seconds - aim), default=None)


def _use(level: Level, seconds: float) -> tuple[float, float]:
    mean = level.share / seconds
    error = (max(0.0, level.square / seconds - mean * mean) / max(1.0, seconds - 1)) ** 0.5
    return max(1e-3, mean - error), min(1.0, mean + error)

"""What a tenant wants, and what it is entitled to by the definition: no worse off than alone on a device as fast as its promise.

The truth is the truth bench's (`bench.truth.physics`): the tenant's own processes, played alone on that slower device. It
shares no line with the judge of the exporter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.truth import physics

TOLERANCE = 0.10
"""The default tolerance of compute (docs/policy.md)."""

NEAR = 0.1
"""A truth nearer to the threshold than this is decided by chance as much as by anything (`bench.truth.hearing`)."""

_LONG_ENOUGH = 2000
"""Bursts played for one figure: their lengths vary by a fifth, so that the mean is good to half a percent."""

_LEAST_SECONDS = 20.0

_QUANTUM = 0.001
"""Seconds of a turn among the tenant's own processes; their sum hardly depends on it."""

_APART = 997
"""Steps in the table of random numbers between two processes, so that they do not burst in step."""


class Kind(StrEnum):
    """How a tenant wants the device."""

    BACKLOGGED = "backlogged"  # there is always more to do
    CLOSED = "closed"  # a burst, a pause, a burst, …
    IDLE = "idle"  # nothing; it may hold memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One tenant: `processes` alike, each with `streams`. Seconds of the whole device; `think` is between bursts.

    `memory` is the part of the device's free memory that each process takes at its start.
    """

    kind: Kind
    kernel: float = 0.002
    burst: int = 1
    think: float = 0.0
    processes: int = 1
    streams: int = 1
    memory: float = 0.0


def entitled(demand: Demand, promise: float, *, think: float) -> float:
    """Return the share of the device that the tenant would use alone on one that is `promise` times as fast.

    `think` is the pause between bursts as measured, in seconds: a sleeping process wakes a little late.
    """
    if demand.kind is Kind.IDLE:
        return 0.0
    if demand.kind is Kind.BACKLOGGED:
        return promise
    burst = demand.burst * demand.kernel
    processes = [
        physics.Demand(physics.Kind.CLOSED, burst, think, (0.0,), steady=True, offset=_APART * number)
        for number in range(demand.processes)
    ]
    device = physics.Device(processes, quantum=_QUANTUM, switch=0.0, speed=promise)
    seconds = max(_LEAST_SECONDS, _LONG_ENOUGH * (burst / promise + think))
    device.run(seconds)
    return sum(device.used) / seconds


@dataclass(frozen=True, slots=True)
class Truth:
    """A tenant's own measure. `share` is of the device's time, by kernels counted; `wanted` by definition."""

    share: float
    entitled: float

    @property
    def verdict(self) -> str:
        """What a judge that knows everything would say."""
        if self.entitled <= 0.0:
            return "idle"
        return "broken" if self.share < (1 - TOLERANCE) * self.entitled else "kept"

    @property
    def near(self) -> bool:
        """Whether the truth is so near to the threshold that either answer is fair."""
        return self.entitled > 0.0 and abs(self.share / self.entitled - (1 - TOLERANCE)) < NEAR

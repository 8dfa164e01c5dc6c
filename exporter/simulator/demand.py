"""A process as the GPU sees it: work that arrives in bursts, one random stream a process.

Each process draws from a generator of its own, so that the same tenant on another (dedicated) device sees the same
bursts and thinks: that is what its entitlement is measured with.
"""

from __future__ import annotations

import random

from exporter.simulator.spec import IDLE, Demand, DemandKind

NEVER = float("inf")
DONE = 1e-12
"""Work below this many seconds is finished; it absorbs rounding, not physics."""


class Client:
    """A process in an engine's queue. `left` is the work in hand, in seconds of the whole device at full clock.

    `used` accumulates the device seconds that it was served.
    """

    __slots__ = ("demand", "left", "random", "used")

    def __init__(self, stream: random.Random, demand: Demand = IDLE) -> None:
        self.random = stream
        self.demand = demand
        self.left = 0.0
        self.used = 0.0

    def twin(self) -> Client:
        """Return a client with the same demand, work in hand and random stream from here on, and nothing used."""
        stream = random.Random(0)  # noqa: S311  # a reproducible stream, no secret
        stream.setstate(self.random.getstate())
        twin = Client(stream, self.demand)
        twin.left = self.left
        return twin

    def begin(self, now: float) -> float:
        """Start over with the present demand; return when it next brings work, `NEVER` if it has it or never will."""
        self.left = 0.0
        demand = self.demand
        if demand.kind is DemandKind.BACKLOGGED:
            self.left = NEVER
            return NEVER
        if demand.kind is DemandKind.CLOSED:
            return now + self._draw(demand.think)
        if demand.kind is DemandKind.OPEN:
            return now + self._draw(demand.burst / demand.load)
        return NEVER

    def arrive(self, now: float) -> float:
        """Bring a burst; return when the next one arrives by itself (`NEVER` in a closed loop)."""
        demand = self.demand
        self.left += self._draw(demand.burst)
        return now + self._draw(demand.burst / demand.load) if demand.kind is DemandKind.OPEN else NEVER

    def finish(self, now: float) -> float:
        """Complete the work in hand; return when a closed loop comes back (`NEVER` otherwise)."""
        self.left = 0.0
        demand = self.demand
        return now + self._draw(demand.think) if demand.kind is DemandKind.CLOSED else NEVER

    def _draw(self, mean: float) -> float:
        return self.random.expovariate(1.0 / mean) if mean > 0.0 else 0.0

"""The simulated node under one lock: whoever asks moves it, and whoever has a clock of its own looks when its time comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from exporter.simulator.node import SimNode


@dataclass(slots=True)
class _Periodic:
    period: float
    due: float
    look: Callable[[SimNode], None]


class Clock:
    """The node and the lock around it. `start` is the monotonic time of the node's second 0."""

    def __init__(self, node: SimNode, start: float) -> None:
        self.node = node
        self.lock = threading.Lock()
        self._start = start
        self._periodic: list[_Periodic] = []

    def every(self, period: float, look: Callable[[SimNode], None]) -> None:
        """Have somebody look at the node every `period` seconds of its own time, whoever moves it."""
        self._periodic.append(_Periodic(period, period, look))

    def advance(self, now: float) -> None:
        """Move the node to `now` (monotonic seconds); a caller that comes late finds it further on. Hold the lock."""
        target = max(self.node.now, now - self._start)
        while (due := min((each.due for each in self._periodic), default=target)) <= target:
            self.node.advance_to(max(due, self.node.now))
            looking = [each for each in self._periodic if each.due <= due]
            if not looking:
                break
            for each in looking:
                each.look(self.node)
                each.due += each.period
        self.node.advance_to(target)

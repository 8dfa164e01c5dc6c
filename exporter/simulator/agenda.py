"""The node's clock and what is still to happen on it, in order of time and then of being entered."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from exporter.simulator.spec import FOREVER


class Agenda:
    """Seconds since the start of the node, and actions due at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0

    def enter(self, at: float, action: Callable[[], None]) -> None:
        """Do this at that time, or as soon as time passes when it is past; never, when the time is `FOREVER`."""
        if at < FOREVER:
            self._serial += 1
            heapq.heappush(self._entries, (at, self._serial, action))

    @property
    def next_at(self) -> float:
        """When the next action is due; `FOREVER` when none is."""
        return self._entries[0][0] if self._entries else FOREVER

    def happen(self) -> None:
        """Do all that is due, and what that brings up at once."""
        while self._entries and self._entries[0][0] <= self.now:
            heapq.heappop(self._entries)[2]()

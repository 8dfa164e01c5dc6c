"""Troubles in turn: one at a time, each for a while, and how long the node's sources take to be up again after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from bench.soak.node import Churn
from bench.soak.troubles import Trouble


class Pace(Protocol):
    """How often, and for how long; seconds."""

    @property
    def trouble_every(self) -> float:
        """From the end of one to the beginning of the next, at the least."""

    @property
    def trouble_lasts(self) -> float:
        """From beginning to end."""


class Turns:
    """Begins and ends troubles. Times are seconds since the soak began."""

    def __init__(self, troubles: Sequence[Trouble], pace: Pace) -> None:
        self._troubles, self._pace = troubles, pace
        self._open = ExitStack()
        self._changed_at = 0.0
        self._over = ""  # the trouble that ended last, while sources are still down from it
        self.begun = 0
        self.name = ""
        """The trouble under way; empty when there is none."""
        self.recoveries: dict[str, float] = {}

    def step(self, node: Churn, now: float) -> None:
        """Begin or end what is due."""
        since = now - self._changed_at
        if self.name and since >= self._pace.trouble_lasts:
            self._open.close()
            self._over, self.name, self._changed_at = self.name, "", now
        elif not self.name and not self._over and since >= self._pace.trouble_every:
            trouble = self._troubles[self.begun % len(self._troubles)]
            self._open.enter_context(trouble(node))
            self.begun += 1
            self.name, self._changed_at = trouble.__name__, now

    def seen(self, now: float, down: Sequence[str]) -> None:
        """Take what a page says of its sources."""
        if self._over and not down:
            took = now - self._changed_at
            self.recoveries[self._over] = max(took, self.recoveries.get(self._over, 0.0))
            self._over = ""

    def end(self) -> None:
        """End what is under way; one that never recovered took for ever."""
        self._open.close()
        if self._over:
            self.recoveries[self._over] = math.inf

"""Minutes from a Prometheus: two instant queries a minute for the counters, history for what was before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from slo.run.judge import COUNTER, INFO, PROMISE, Judges
from slo.run.status import TargetRow
from slo.samples import History, Now, Samples, together
from slo.sli import LOOKBACK
from slo.spec import SLICE, Matcher, Op
from toolkit.errors import UnreachableError

PAGE = 6 * 3600
"""Seconds of history that are asked for at a time: what is asked for is held in memory."""


class Store(History, Now, Protocol):
    """What both remembers and knows the present."""


class PrometheusFeed:
    """Feeds the evaluators from a store. For one thread."""

    trouble = ""
    """The store keeps its own history."""

    def __init__(self, store: Store, judges: Judges) -> None:
        self._store = store
        self._judges = judges
        self._before: tuple[int, Samples] | None = None
        self._error = ""
        wanted = sorted({spec.sli.guarantee for spec in judges.specs})
        self._matchers = (Matcher("guarantee", Op.MATCHES, "|".join(wanted)),)

    def minute(self, at: int) -> int:
        """Read the minute that ends at `at` (Unix seconds); return its partitions. Raises UnreachableError."""
        try:
            found = self._minute(at)
        except UnreachableError as error:
            self._error = str(error)
            raise
        self._error = ""
        return found

    def _minute(self, at: int) -> int:
        now = self._store.read_at(COUNTER, self._matchers, at)
        if self._before is None or self._before[0] != at - SLICE:
            self._before = (at - SLICE, self._store.read_at(COUNTER, self._matchers, at - SLICE))
        self._judges.learn(self._store.read_at(INFO, (), at), self._store.read_at(PROMISE, (), at))
        found = self._judges.minute(together([self._before[1], now]), at)
        self._before = (at, now)
        if at % PAGE == 0:
            self._judges.forget()
        return found

    def catch_up(self, start: int, end: int) -> None:
        """Read the minutes after `start` up to `end` as history. Raises UnreachableError."""
        for first in range(start, end, PAGE):
            last = min(first + PAGE, end)
            self._judges.learn(self._store.read(INFO, (), first, last), self._store.read(PROMISE, (), first, last))
            samples = self._store.read(COUNTER, self._matchers, first - LOOKBACK, last)
            self._judges.replay(samples, first, last)

    def targets(self) -> Sequence[TargetRow]:
        """Return the store, and whether it answers."""
        return (TargetRow(url=self._store.name, up=not self._error, error=self._error),)

"""A source under watch: when it is asked, how long it is waited for, how long its answer is good, and its health.

Health is kept apart from data: a source is up when its last call came back in time and its answer is still good. What
is down is `Missing` with the reason, never the number 0.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.errors import SourceError
from exporter.exposition import Distribution
from exporter.metrics import SourceHealth
from exporter.model import Missing, Reason
from exporter.worker import Done, Worker
from toolkit.logs import log

T = TypeVar("T")

_LOG = logging.getLogger("slicewatch.source")


class Histogram:
    """Counts observations in fixed buckets."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        for i, bound in enumerate(self._bounds):
            if value <= bound:
                self._counts[i] += 1
                break
        else:
            self._counts[-1] += 1
        self._total += value

    def distribution(self) -> Distribution:
        """Return the state, with cumulative counts."""
        cumulative: list[int] = []
        for count in self._counts:
            cumulative.append(count + (cumulative[-1] if cumulative else 0))
        return Distribution(self._bounds, tuple(cumulative), self._total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a source is asked; all in seconds. `period` 0 means on every tick."""

    period: float
    deadline: float
    good_for: float


class Watched(Generic[T]):
    """One source with its worker. Every method is called by the collecting thread; times are its clocks'."""

    def __init__(
        self,
        name: str,
        read: Callable[[float], T],
        terms: Terms,
        clock: Callable[[], float],
        buckets: tuple[float, ...],
    ) -> None:
        self.name = name
        self._read = read
        self._terms = terms
        self._clock = clock
        self._worker: Worker[T] = Worker(f"slicewatch-{name}", clock)
        self._durations = Histogram(buckets)
        self._asked_at: float | None = None
        self._answer: T | None = None
        self._answered_at: float | None = None
        self._last_success: float | None = None
        self._failure: Missing | None = Missing(Reason.NOT_YET)
        self._detail = ""
        self._told: bool | None = None

    def ask(self, now: float) -> None:
        """Start a read when one is due and none is running."""
        if self._worker.busy:
            return
        if self._asked_at is not None and now - self._asked_at < self._terms.period:
            return
        self._asked_at = now
        self._worker.start(lambda: self._read(now))

    def collect(self, patience: float, wall: float) -> T | None:
        """Take the answer of a finished read, waiting `patience` seconds at most; None when there is no new one.

        A read is waited for until its deadline and not beyond, so that a call that hangs costs one long tick and not
        all of them. An answer that came after its deadline is taken too, and judged stale by its age like any other.
        """
        done = self._worker.take(max(0.0, min(patience, self._due() - self._clock())))
        now = self._clock()
        if done is None:
            if self._worker.busy and self._asked_at is not None and now - self._asked_at >= self._terms.deadline:
                self._fail(Reason.TIMEOUT, f"no answer within {self._terms.deadline:g} s; the call is still running")
            return None
        asked_at = now if self._asked_at is None else self._asked_at
        self._durations.observe(done.took)
        if done.error is not None or done.value is None:
            self._failed(done)
            return None
        self._answer, self._answered_at, self._last_success, self._failure = done.value, asked_at, wall, None
        if self._told is not True:
            log(_LOG, logging.INFO, "source is up", source=self.name)
            self._told = True
        return done.value

    def _due(self) -> float:
        """When the read under way has to be back, by the monotonic clock."""
        return (0.0 if self._asked_at is None else self._asked_at) + self._terms.deadline

    def _failed(self, done: Done[T]) -> None:
        error = done.error
        if isinstance(error, SourceError):
            self._fail(error.reason, str(error))
            return
        self._fail(Reason.ERROR, f"{type(error).__name__}: {error}")
        _LOG.debug("unexpected failure of source %s", self.name, exc_info=error)

    def _fail(self, reason: Reason, message: str) -> None:
        # Once for each change: a source that is down is down on every tick.
        if self._told is not False or self._failure != Missing(reason):
            level = logging.INFO if reason is Reason.NOT_YET else logging.ERROR
            log(_LOG, level, message, source=self.name, reason=reason)
        self._told = False
        self._failure, self._detail = Missing(reason), message

    def answer(self, now: float) -> T | Missing:
        """Return the last good answer, or why there is none. One that has grown too old is `SOURCE_STALE`."""
        if self._answer is None:
            return Missing(Reason.NOT_YET) if self._failure is None else self._failure
        if self.outdated(now):
            return Missing(Reason.SOURCE_STALE) if self._failure is None else self._failure
        return self._answer

    @property
    def failure(self) -> Missing | None:
        """Why the last read that ended, or outlived its deadline, gave no answer; None when it gave one."""
        return self._failure

    def outdated(self, now: float) -> bool:
        """Whether the last answer is older than it is good for; True as well when there never was one."""
        return self._answered_at is None or now - self._answered_at > self._terms.good_for

    def last(self) -> T | None:
        """Return the last answer however old, None when there never was one."""
        return self._answer

    def health(self, now: float) -> SourceHealth:
        """Return whether the source is up, since when it last answered, and how long reads took."""
        up = self._failure is None and not isinstance(self.answer(now), Missing)
        return SourceHealth(
            name=self.name,
            up=up,
            last_success=self._last_success,
            durations=self._durations.distribution(),
            detail="" if up else self._detail or self._silence(),
        )

    def _silence(self) -> str:
        """Why a source is down of which no call has failed."""
        return "no answer yet" if self._answered_at is None else "its last answer is too old"

    def close(self, close: Callable[[], None], patience: float) -> None:
        """Close the source on its own thread, unless it is still inside a call."""
        if not self._worker.busy:
            self._worker.start(close)
            self._worker.take(patience)
        self._worker.end(0.0)

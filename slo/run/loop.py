"""One evaluation a minute: read, judge, tell. The shell around the pure evaluator; it never ends by a failure of its own.

A minute is evaluated a few seconds after it ended, so that its last scrape is there. When a minute could not be read, nothing
resolves and nothing new fires: what is known to fire is kept alive, and the minutes are made up for as soon as something
answers again. What cannot be made up for is unknown, never good.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from slo.alertmanager.answer import Answers
from slo.alertmanager.sender import Report
from slo.run.status import BudgetRow, PeerRow, Status, TargetRow
from slo.spec import SLICE
from slo.verdicts import Firing
from toolkit.errors import UnreachableError
from toolkit.logs import log

_LOG = logging.getLogger(__name__)

SETTLE = 5.0
"""Seconds after a minute's end at which it is evaluated: a scrape under way may still bring its last sample."""

MOST_BEHIND = 60
"""Minutes that are made up for one by one; an older gap is read as history."""


class Feed(Protocol):
    """Where minutes come from."""

    @property
    def trouble(self) -> str:
        """Why minutes are judged and not kept; empty when they are, or need not be."""

    def minute(self, at: int) -> int:
        """Read the minute that ends at `at` (Unix seconds) into the evaluator; return the partitions. Raises UnreachableError."""

    def catch_up(self, start: int, end: int) -> None:
        """Read what was before, start < t ≤ end. Raises UnreachableError."""

    def targets(self) -> Sequence[TargetRow]:
        """Return what is read, and whether it answers."""


class Judge(Protocol):
    """The evaluator's live form."""

    def firing(self) -> tuple[Firing, ...]:
        """Return what fires after the last minute."""

    def budgets(self) -> tuple[BudgetRow, ...]:
        """Return the budgets after the last minute."""


class Teller(Protocol):
    """Who tells the Alertmanagers."""

    def sync(self, firing: Sequence[Firing], now: float, *, answers: Answers, hold: bool = False) -> Report:
        """Tell them what fires."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Unix seconds, and a way to wait that ends early when the event is set."""

    wall: Callable[[], float] = time.time
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait


class Loop:
    """For one thread; `status` may be read by any."""

    def __init__(self, feed: Feed, judge: Judge, teller: Teller, answers: Answers, clock: Clock | None = None) -> None:
        self._feed = feed
        self._judge = judge
        self._teller = teller
        self._answers = answers
        self._clock = clock or Clock()
        self.status = Status()

    def run(self, stop: threading.Event, *, remember: int, published: Callable[[Status], None]) -> None:
        """Evaluate until `stop`. `remember` is how many seconds of history the objectives look back on."""
        remembered = False
        while not stop.is_set():
            try:
                remembered = self._turn(remember, published, remembered=remembered)
            except Exception:  # noqa: BLE001  # a defect; a checker that ends by it checks nothing any more
                log(_LOG, logging.ERROR, "a turn met a defect", exc_info=True)
            if self._clock.wait(stop, max(0.2, self._last_minute() + SLICE + SETTLE - self._clock.wall())):
                return

    def _turn(self, remember: int, published: Callable[[Status], None], *, remembered: bool) -> bool:
        """Do what is due now; return whether history has been read."""
        at = self._last_minute()
        if not remembered:
            remembered = self._remember(at - SLICE, remember)
            at = self._last_minute() if remembered else self.status.at
        if at > self.status.at:
            self.evaluate(at)
            published(self.status)
        elif not remembered:
            published(self.status)
        return remembered

    def evaluate(self, at: int) -> None:
        """Evaluate every minute that is due up to `at`, and tell what fires."""
        began = self._clock.wall()
        try:
            partitions = self._minutes(at)
        except UnreachableError as error:
            self._held(at, str(error), began)
            return
        except Exception as error:  # noqa: BLE001  # a defect; the loop outlives it, and nobody's page ends by it
            log(_LOG, logging.ERROR, "a minute met a defect", at=at, exc_info=True)
            self._held(at, f"{type(error).__name__}: {error}", began)
            return
        now = self._clock.wall()
        held = replace(self.status, at=at, error="", succeeded=now, took=now - began, partitions=partitions, held=False)
        self._tell(held, now, hold=False)

    def _held(self, at: int, error: str, began: float) -> None:
        log(_LOG, logging.ERROR, "a minute could not be evaluated", at=at, error=error)
        self._tell(replace(self.status, error=error, failures=self.status.failures + 1), began, hold=True)

    def _minutes(self, at: int) -> int:
        first = at if not self.status.at else self.status.at + SLICE
        if (at - first) // SLICE > MOST_BEHIND:
            self._feed.catch_up(first - SLICE, at - SLICE)
            first = at
        found = 0
        for minute in range(first, at + 1, SLICE):
            found = self._feed.minute(minute)
        return found

    def _remember(self, end: int, seconds: int) -> bool:
        """Read history, newest day last; return False when that one could not be read, which is tried again.

        An older day that cannot be read (it is beyond the store's retention, or its limits) stays unknown.
        """
        start, day = end - seconds, 86400
        error = ""
        for begin in range(start, end, day):
            try:
                self._feed.catch_up(begin, min(end, begin + day))
                error = ""
            except UnreachableError as refused:
                error = str(refused)
                log(_LOG, logging.WARNING, "history could not be read", start=begin, error=error)
            self._tell(replace(self.status, error=error), self._clock.wall(), hold=True)
        return not error

    def _tell(self, status: Status, now: float, *, hold: bool) -> None:
        firing = status.firing if hold else self._judge.firing()
        report = self._teller.sync(firing, now, answers=self._answers, hold=hold)
        self.status = replace(
            status,
            firing=firing,
            budgets=status.budgets if hold else self._judge.budgets(),
            targets=tuple(self._feed.targets()),
            peers=tuple(
                PeerRow(url=peer.url, up=bool(peer.up), error=peer.error or "", posts=peer.posts, errors=peer.errors)
                for peer in report.peers
            ),
            sent=status.sent + report.sent,
            refused=status.refused + len(report.refused),
            hidden=report.hidden,
            journal=report.journal or "",
            history=self._feed.trouble,
        )

    def _last_minute(self) -> int:
        return int((self._clock.wall() - SETTLE) // SLICE) * SLICE

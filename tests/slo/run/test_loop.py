"""The minute's loop: what it does when a store is gone and back, and what it never does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from slo.alertmanager.answer import Answer, Answers
from slo.alertmanager.sender import Report
from slo.run.loop import MOST_BEHIND, Clock, Loop
from slo.run.status import BudgetRow, Status, TargetRow
from slo.spec import Severity
from slo.verdicts import Alert, AlertName, Firing
from toolkit.errors import UnreachableError

MINUTE = 60
NOW = 1_700_000_040 // 60 * 60
FIRING = Firing(Alert(AlertName.PARTITION, Severity.PAGE, "compute", {"alertname": "x"}), NOW)


@dataclass
class Feed:
    down: bool = False
    trouble: str = ""
    minutes: list[int] = field(default_factory=list)
    history: list[tuple[int, int]] = field(default_factory=list)

    def minute(self, at: int) -> int:
        self._refuse()
        self.minutes.append(at)
        return 3

    def catch_up(self, start: int, end: int) -> None:
        self._refuse()
        self.history.append((start, end))

    def targets(self) -> Sequence[TargetRow]:
        return (TargetRow(url="http://p", up=not self.down, error="gone" if self.down else ""),)

    def _refuse(self) -> None:
        if self.down:
            raise UnreachableError("http://p: refused")


class Judge:
    def firing(self) -> tuple[Firing, ...]:
        return (FIRING,)

    def budgets(self) -> tuple[BudgetRow, ...]:
        return ()


@dataclass
class Teller:
    told: list[tuple[int, bool]] = field(default_factory=list)  # how many alerts, and whether nothing may end

    def sync(self, firing: Sequence[Firing], now: float, *, answers: Answers, hold: bool = False) -> Report:
        del now, answers
        self.told.append((len(firing), hold))
        return Report(sent=len(firing), failed=0, refused=(), active=len(firing), resolved=0, hidden=0, peers=())


def answers(firings: Sequence[Firing], now: float, /) -> Sequence[Answer]:
    raise AssertionError((firings, now))


@pytest.fixture
def parts() -> tuple[Loop, Feed, Teller]:
    feed, teller = Feed(), Teller()
    return Loop(feed, Judge(), teller, answers, Clock(wall=lambda: float(NOW + 5))), feed, teller


Parts = tuple[Loop, Feed, Teller]


def test_a_minute_is_read_judged_and_told(parts: Parts):
    loop, feed, teller = parts
    loop.evaluate(NOW)
    assert (feed.minutes, teller.told) == ([NOW], [(1, False)])
    assert (loop.status.at, loop.status.partitions, loop.status.firing, loop.status.held) == (NOW, 3, (FIRING,), False)


def test_while_nobody_answers_nothing_ends_and_what_fires_is_kept_alive(parts: Parts):
    loop, feed, teller = parts
    loop.evaluate(NOW)
    feed.down = True
    loop.evaluate(NOW + MINUTE)
    assert teller.told[-1] == (1, True)
    assert (loop.status.at, loop.status.error, loop.status.failures) == (NOW, "http://p: refused", 1)
    assert loop.status.targets[0].up is False


def test_before_the_first_evaluation_nothing_ends_either(parts: Parts):
    loop, feed, teller = parts
    feed.down = True
    loop.evaluate(NOW)
    assert teller.told == [(0, True)]
    assert loop.status.held


def test_minutes_that_were_missed_are_made_up_for_in_order(parts: Parts):
    loop, feed, _ = parts
    loop.evaluate(NOW)
    loop.evaluate(NOW + 4 * MINUTE)
    assert feed.minutes == [NOW + minute * MINUTE for minute in range(5)]


def test_a_long_gap_is_read_as_history(parts: Parts):
    loop, feed, _ = parts
    loop.evaluate(NOW)
    late = NOW + (MOST_BEHIND + 5) * MINUTE
    loop.evaluate(late)
    assert feed.history == [(NOW, late - MINUTE)]
    assert feed.minutes == [NOW, late]


def test_at_the_start_history_is_read_day_by_day_and_then_a_minute_is_evaluated(parts: Parts):
    loop, feed, teller = parts
    stop = threading.Event()
    published: list[Status] = []

    def publish(status: Status) -> None:
        published.append(status)
        stop.set()

    loop.run(stop, remember=3 * 86400, published=publish)
    assert [end - start for start, end in feed.history] == [86400] * 3
    assert feed.history[-1][1] == NOW - MINUTE
    assert feed.minutes == [NOW]
    assert [hold for _, hold in teller.told] == [True, True, True, False]
    assert published[0].at == NOW


def test_until_history_was_read_no_minute_is_evaluated(parts: Parts):
    loop, feed, teller = parts
    feed.down = True
    stop = threading.Event()
    published: list[Status] = []

    def publish(status: Status) -> None:
        published.append(status)
        feed.down = False
        if status.at:
            stop.set()

    loop = Loop(feed, Judge(), teller, answers, Clock(lambda: float(NOW + 5), lambda event, _: event.is_set()))
    loop.run(stop, remember=86400, published=publish)
    assert published[0].error == "http://p: refused"
    assert [hold for _, hold in teller.told] == [True, True, False]
    assert feed.history == [(NOW - MINUTE - 86400, NOW - MINUTE)]
    assert published[-1].at == NOW

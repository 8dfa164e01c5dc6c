"""Minutes from a store into the evaluators."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from slo import specfile
from slo.run.judge import Judges
from slo.run.prometheus_feed import PrometheusFeed
from slo.samples import Samples
from slo.spec import Matcher
from tests.slo.check.test_check import END, Store, story
from toolkit.errors import UnreachableError


class Live(Store):
    """The store of made-up series, which also knows the newest values; `down` makes it refuse."""

    down = False
    asked: int = 0

    def read(self, metric: str, matchers: Sequence[Matcher], start: float, end: float) -> Samples:
        if self.down:
            raise UnreachableError(f"{self.name}: refused")
        return super().read(metric, matchers, start, end)

    def read_at(self, metric: str, matchers: Sequence[Matcher], at: float) -> Samples:
        self.asked += 1
        return self.read(metric, matchers, at - 30, at)


@pytest.fixture
def judges() -> Judges:
    return Judges(specfile.shipped())


def test_minute_by_minute_a_breach_fires_and_is_counted(judges: Judges):
    store = Live(story(20))
    feed = PrometheusFeed(store, judges)
    start = END - 40 * 60
    feed.catch_up(start - 3600, start)
    fired = []
    for at in range(start + 60, END + 1, 60):
        assert feed.minute(at) == 1
        fired.append(len([one for one in judges.firing() if one.alert.slo == "compute"]))
    assert fired == [0] * 28 + [1] * 12
    (row,) = [row for row in judges.budgets() if row.slo == "compute" and row.namespace == "ml"]
    assert (row.budget.good, row.budget.bad, row.objective) == (80, 20, "enforced")


def test_a_minute_asks_for_the_counters_once_when_the_one_before_was_asked_for(judges: Judges):
    store = Live(story(0))
    feed = PrometheusFeed(store, judges)
    feed.minute(END - 60)
    before = store.asked
    feed.minute(END)
    assert store.asked - before == 3


def test_a_store_that_refuses_is_shown_as_down_and_then_as_up(judges: Judges):
    store = Live(story(0))
    feed = PrometheusFeed(store, judges)
    store.down = True
    with pytest.raises(UnreachableError):
        feed.minute(END)
    assert [(row.up, row.error) for row in feed.targets()] == [(False, "http://prometheus:9090: refused")]
    store.down = False
    feed.minute(END)
    assert [(row.up, row.error) for row in feed.targets()] == [(True, "")]


def test_only_those_that_are_counted_stay_known(judges: Judges):
    feed = PrometheusFeed(Live(story(0)), judges)
    feed.minute(END)
    nobody = next(iter(judges._known[()]))._replace(pod="was-never-measured")
    judges._known[()][nobody] = judges._known[()][nobody._replace(pod="train-0")]
    judges.forget()
    assert [who.pod for who in judges._known[()]] == ["train-0"]

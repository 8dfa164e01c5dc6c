"""Ten thousand healthy partitions for a week: whoever carries the pager sleeps."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from slo.evaluate import TILE, evaluate
from slo.sli import BAD, GOOD, IDLE, UNKNOWN, States
from slo.slices import Slices
from slo.spec import Severity
from slo.windows import History
from tests.slo.evaluate.worlds import FIRST, partition, spec

PARTITIONS, MINUTES = 10_000, 7 * 1440
pytestmark = pytest.mark.timeout(300)


def always(rng: np.random.Generator, count: int) -> States:
    """Partitions that want their promise all the time."""
    return np.full((count, MINUTES), GOOD, dtype=np.uint8)


def rarely(rng: np.random.Generator, count: int) -> States:
    """Partitions that want it for a twentieth of the time."""
    return np.where(rng.random((count, MINUTES), dtype=np.float32) < 0.05, GOOD, IDLE).astype(np.uint8)


def short(rng: np.random.Generator, count: int) -> States:
    """Two-hour jobs."""
    found = np.full((count, MINUTES), UNKNOWN, dtype=np.uint8)
    for row, start in enumerate(rng.integers(0, MINUTES - 120, count)):
        found[row, start : start + 120] = GOOD
    return found


@pytest.mark.parametrize("kind", [always, rarely, short])
def test_a_healthy_fleet_pages_at_most_once_a_week(
    kind: Callable[[np.random.Generator, int], States], capsys: pytest.CaptureFixture[str]
):
    rng = np.random.default_rng(11)
    rules = spec(target=0.99)
    raised: Counter[Severity] = Counter()
    for low in range(0, PARTITIONS, 1000):
        states = kind(rng, 1000)
        # Half the budget: a minute that is wanted is bad with probability 0.005.
        states[(states == GOOD) & (rng.random(states.shape, dtype=np.float32) < 0.005)] = BAD
        members = [
            partition(low + number, gpu=(low + number) // 7, node=f"n{(low + number) // 56}") for number in range(1000)
        ]
        found = Slices(tuple(who for who, _ in members), tuple(known for _, known in members), FIRST, states)
        raised.update(one.alert.severity for one in evaluate(rules, found).episodes)
    with capsys.disabled():
        sys.stdout.write(f"\nhealthy, {kind.__name__}: {PARTITIONS:,} partitions, 7 days: {dict(raised)}\n")
    assert raised[Severity.PAGE] <= 1


def test_the_form_that_others_use_would_have_paged_hundreds_of_times():
    """What the check above can see: with a ratio over what exists, and no floor, newborns page."""
    rng = np.random.default_rng(11)
    states = short(rng, 1000)
    states[(states == GOOD) & (rng.random(states.shape, dtype=np.float32) < 0.005)] = BAD
    counts = History(states)
    pages = 0
    for low in range(0, 1000, TILE):
        bad, valid = (each[low : low + TILE] for each in (counts.bad(3600), counts.valid(3600)))
        short_bad = counts.bad(300)[low : low + TILE]
        holds = (bad > 14.4 * 0.01 * valid) & (short_bad > 0)
        pages += int((holds[:, 1:] & ~holds[:, :-1]).sum())
    assert pages > 20

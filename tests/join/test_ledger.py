"""The counters' lives: born together at zero, kept a while after the end, and never credited with time nobody saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from exporter.accounting import Holding, split_time
from exporter.catalogue import PartitionKey
from exporter.ledger import NS, Account, Limits, advance
from exporter.model import Allocations, Pods, Reason
from exporter.partitions import Evidence
from exporter.pipeline import State, step
from exporter.verdict import Guarantee, Outcome
from tests.join.worlds import POLICY, allocations, evidence, gpu, holds, pod, pods, reading, use, uuid

GPU1 = uuid("GPU", 1)
KEY = PartitionKey(GPU1, GPU1, "team", "a", "main")
KEPT = (Guarantee.AVAILABILITY, Outcome.KEPT)
HELD = allocations(holds("a", GPU1))
LIMITS = Limits(keep=60 * NS, gap=5 * NS)


def at(second: float, held: Allocations = HELD, store: Pods | None = None, active: float = 0.5) -> Evidence:
    driver = reading([gpu(1)], {GPU1: use(sm_active=active)}, at=second)
    return evidence(driver, held, pods(pod("a")) if store is None else store, at=second)


def account(story: Sequence[Evidence]) -> Account | None:
    state = State()
    for instant in story:
        state = step(state, instant, POLICY, LIMITS).state
    return state.ledger.accounts.get(KEY)


def known(story: Sequence[Evidence]) -> Account:
    found = account(story)
    assert found is not None
    return found


def test_every_counter_is_born_at_zero_on_the_tick_that_first_sees_the_partition() -> None:
    born = known([at(0, allocations()), at(7)])
    assert set(born.outcomes.values()) == {0}
    assert len(born.outcomes) == 4 * 5
    assert (born.promised, born.delivered, born.borrowed, born.energy) == (0, 0, 0, 0)


def test_time_goes_to_the_verdict_of_its_tick() -> None:
    assert known([at(0), at(1), at(2.5)]).outcomes[KEPT] == round(2.5 * NS)


@pytest.mark.parametrize(("gap", "kept"), [(5.0, 5 * NS), (5.001, 0), (3600.0, 0)])
def test_an_interval_that_nobody_watched_is_blind(gap: float, kept: int) -> None:
    found = known([at(0), at(gap)])
    assert found.outcomes[KEPT] == kept
    assert found.blind.get((Guarantee.AVAILABILITY, Reason.STALE), 0) == round(gap * NS) - kept
    assert (found.promised == 0) is (kept == 0)


def test_a_clock_that_stands_still_adds_nothing() -> None:
    assert known([at(3), at(3), at(2)]).outcomes[KEPT] == 0


def gone(second: float) -> Evidence:
    return at(second, store=pods(deleted=["uid-a"]))


def test_counters_stay_for_a_minute_after_the_partition_has_gone() -> None:
    assert known([at(0), at(1), gone(2), gone(61.9)]).outcomes[KEPT] == NS
    assert account([at(0), at(1), gone(2), gone(62)]) is None


def test_a_partition_that_comes_back_starts_again_at_zero() -> None:
    assert set(known([at(0), at(1), gone(2), at(3)]).outcomes.values()) == {0}


def test_a_pod_of_the_same_name_with_another_uid_starts_again_at_zero() -> None:
    second = pods(pod("a", uid="u2"))
    fresh = [at(t, allocations(holds("a", GPU1), serial=t), second) for t in (2, 3)]
    again = known([at(0), at(1), *fresh])
    assert (again.pod_uid, set(again.outcomes.values())) == ("u2", {0})


def test_the_ledger_alone_tells_another_uid_from_the_same_pod() -> None:
    result = step(step(State(), at(0), POLICY, LIMITS).state, at(1), POLICY, LIMITS)
    (partition,) = result.snapshot.partitions
    other = replace(partition, owner=replace(partition.owner, pod_uid="u2"))
    snapshot = replace(result.snapshot, at=2.0, partitions=(other,))
    found = advance(result.state.ledger, snapshot, result.verdicts, LIMITS).accounts[KEY]
    assert (found.pod_uid, set(found.outcomes.values())) == ("u2", {0})


def test_a_uid_that_becomes_known_is_no_new_pod() -> None:
    unnamed = evidence(reading([gpu(1)]), HELD, pods(pod("a", uid="")), at=0)
    found = known([unnamed, at(1)])
    assert (found.pod_uid, found.outcomes[KEPT]) == ("uid-a", NS)


def test_shares_are_integrated() -> None:
    found = known([at(0), at(1, active=0.25), at(3, active=1.0)])
    assert found.promised == 3 * NS
    assert found.delivered == round(0.25 * NS) + 2 * NS
    assert found.borrowed == 0


def test_use_beyond_the_clock_is_scaled_down_to_it() -> None:
    split = split_time([Holding(0.5, 0.9), Holding(0.5, 0.9)], 1800, visible=True)
    assert (split.delivered, split.borrowed, split.idle_held, split.unsold) == (1000, 800, 0, 0)


def test_a_second_of_a_gpu_is_divided_by_what_was_promised_and_used() -> None:
    split = split_time([Holding(0.25, 0.1), Holding(0.25, 0.4), Holding(0.25, None)], 1000, visible=True)
    assert (split.delivered, split.borrowed, split.idle_held, split.blind, split.unsold) == (350, 150, 150, 250, 100)

"""Histories judged whole and judged minute by minute: both are what counting anew for every minute gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from slo import budget
from slo.entity import Facts
from slo.evaluate import evaluate
from slo.live import Live
from slo.sli import BAD, GOOD, IDLE, UNKNOWN
from slo.slices import Slices, joined, slices
from slo.spec import PartitionSLO, Severity
from slo.verdicts import Alert, AlertName, Episode, Firing
from tests.slo.evaluate.worlds import DAY, FIRST, Counted, fleets, partition, spec, world


def about(alert: Alert) -> tuple[str, ...]:
    labels = alert.labels
    match alert.name:
        case AlertName.PARTITION:
            return (alert.name.value, labels["pod"], labels["burn"])
        case AlertName.UNMET:
            return (alert.name.value, labels["pod"])
        case AlertName.GPU:
            return (alert.name.value, labels["node"], labels["gpu"])
        case _:
            return (alert.name.value, labels.get("node", labels.get("namespace", "")))


def firing_at(found: tuple[Episode, ...], at: int) -> dict[tuple[str, ...], str]:
    return {
        about(one.alert): one.alert.severity.value
        for one in found
        if one.alert.name is not AlertName.TENANT and one.since <= at and (one.until is None or at < one.until)
    }


def live_firings(rules: PartitionSLO, found: Slices) -> list[tuple[Firing, ...]]:
    live = Live(rules)
    return [
        live.advance(FIRST + minute * 60, replace(found, first=FIRST + minute * 60, states=found.states[:, [minute]]))
        for minute in range(found.minutes)
    ]


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_a_history_raises_what_counting_anew_raises(found: Slices):
    rules = spec(target=0.995, keep=0)
    reference = Counted(rules, found)
    judged = evaluate(rules, found)
    for minute in range(0, found.minutes, 7):
        assert firing_at(judged.episodes, FIRST + minute * 60) == reference.holds(minute), minute


@settings(max_examples=40, deadline=None)
@given(fleets())
def test_minute_by_minute_is_the_history(found: Slices):
    rules = spec(target=0.995, keep=300)
    judged = evaluate(rules, found)
    for minute, firing in enumerate(live_firings(rules, found)):
        at = FIRST + minute * 60
        expected = {
            one.alert.key: one.since
            for one in judged.episodes
            if one.since <= at and (one.until is None or at < one.until)
        }
        assert {one.alert.key: one.since for one in firing} == expected, minute


@settings(max_examples=40, deadline=None)
@given(fleets())
def test_budgets_are_the_same_live_and_whole(found: Slices):
    rules = spec()
    live = Live(rules)
    live.replay(found)
    whole = budget.tenants(rules, found)
    assert live.budgets() == {tenant: one for tenant, one in whole.items() if one.valid + one.idle}


def one_row(*parts: tuple[int, int]) -> Slices:
    return world([[state for state, minutes in parts for _ in range(minutes)]], [partition(0)])


def episodes(
    found: Slices, name: AlertName, rules: PartitionSLO | None = None, **labels: str
) -> list[tuple[int, int | None, int]]:
    """Minutes (since, until, began) of an alert's episodes."""
    return [
        ((one.since - FIRST) // 60, None if one.until is None else (one.until - FIRST) // 60, (one.began - FIRST) // 60)
        for one in evaluate(rules or spec(), found).episodes
        if one.alert.name is name and labels.items() <= one.alert.labels.items()
    ]


def test_a_total_breach_at_99_percent_pages_after_nine_bad_minutes_and_ends_five_after():
    found = one_row((GOOD, 60), (BAD, 20), (GOOD, 60))
    # 0.72 bad minutes in five: the last of them leaves the short window five minutes after the breach, then five are kept.
    assert episodes(found, AlertName.PARTITION, burn="fast") == [(68, 89, 60)]


def test_a_condition_that_comes_back_before_the_end_is_one_episode():
    found = one_row((GOOD, 60), (BAD, 14), (GOOD, 8), (BAD, 5), (GOOD, 60))
    assert episodes(found, AlertName.PARTITION, burn="fast") == [(68, 96, 60)]
    assert len(episodes(found, AlertName.PARTITION, spec(keep=0), burn="fast")) == 2


def test_a_newborn_with_two_bad_minutes_pages_nobody():
    assert evaluate(spec(target=0.999), one_row((BAD, 2))).episodes == ()


def test_who_is_rarely_used_and_mostly_starved_has_a_ticket_and_no_page():
    found = one_row(*[part for _ in range(6) for part in ((BAD, 1), (IDLE, 200))])
    assert [minute for minute, _, _ in episodes(found, AlertName.UNMET)] == [804]
    assert episodes(found, AlertName.PARTITION, burn="fast") == []


def test_unknown_minutes_are_neither_good_nor_bad():
    found = one_row((GOOD, 10), (UNKNOWN, 30), (BAD, 10))
    (left,) = evaluate(spec(), found).partitions.values()
    assert (left.good, left.bad, left.unknown, left.idle) == (10, 10, 30, 0)
    assert left.compliance == 0.5


def test_unknown_before_a_birth_and_after_an_end_is_nobodys():
    (left,) = evaluate(spec(), one_row((UNKNOWN, 50), (GOOD, 10), (UNKNOWN, 50))).partitions.values()
    assert (left.good, left.unknown) == (10, 0)


def test_a_budget_is_what_the_target_leaves():
    (left,) = evaluate(spec(), one_row((GOOD, 990), (BAD, 5), (GOOD, 5))).partitions.values()
    assert left.remaining == pytest.approx(0.5)


def test_a_spent_namespace_has_a_ticket():
    found = one_row((GOOD, 5000), (BAD, 60), (GOOD, 1000))
    rules = spec(keep=0)
    # Sixty of 5,060 are more than 1 %; with 6,000 valid slices they are exactly 1 %, which is spent and not overspent.
    assert episodes(found, AlertName.TENANT, rules) == [(5059, 5999, 5000)]


def test_two_nodes_of_a_fleet_are_one_page_when_ten_partitions_burn():
    members = [partition(number, gpu=number // 4, node=f"n{number % 2}") for number in range(12)]
    found = world([[GOOD] * 60 + [BAD] * 20] * 12, members)
    assert episodes(found, AlertName.FLEET) == [(68, None, 60)]
    assert len(episodes(found, AlertName.NODE)) == 2
    few = world(found.states[:9].tolist(), members[:9])
    assert episodes(few, AlertName.FLEET) == []


def test_pages_of_history_are_put_together():
    whole = one_row((GOOD, 30), (BAD, 20), (IDLE, 10))
    cut = [
        replace(whole, first=FIRST + low * 60, states=whole.states[:, low:high]) for low, high in ((0, 25), (25, 60))
    ]
    again = joined(cut)
    assert (again.first, again.states.tolist()) == (whole.first, whole.states.tolist())


def test_an_entity_of_one_page_is_unknown_in_the_others():
    first, second = partition(0), partition(1)
    left, right = world([[GOOD] * 3], [first]), world([[BAD] * 2], [second])
    again = joined([left, replace(right, first=FIRST + 180)])
    assert again.states.tolist() == [[GOOD] * 3 + [UNKNOWN] * 2, [UNKNOWN] * 3 + [BAD] * 2]


def test_a_row_is_used_again_when_its_partition_is_long_gone():
    live = Live(spec())
    for number in range(300):
        who = partition(number)
        at = FIRST // 3600 * 3600 + number * 3600
        page = Slices((who[0],), (who[1],), at, np.array([[BAD]], dtype=np.uint8))
        live.advance(at, page)
    assert live.partitions <= 74
    assert live.bad(3 * DAY).sum() == 72


def test_a_gap_longer_than_the_ring_forgets_the_windows_and_keeps_the_budget():
    live = Live(spec())
    page = one_row((BAD, 10))
    live.replay(page)
    late = FIRST + 5 * DAY
    live.advance(late, replace(page, first=late, states=page.states[:, :1]))
    assert live.bad(3 * DAY).tolist()[0] == 1
    (left,) = live.budgets().values()
    assert left.bad == 11


def test_a_minute_is_never_counted_twice():
    live = Live(spec())
    page = one_row((BAD, 10))
    live.replay(page)
    live.replay(page)
    assert live.bad(3600)[0] == 10


def test_whom_the_objective_is_not_for_is_left_out():
    from slo.grid import Counters

    known = {partition(0)[0]: partition(0)[1], partition(1)[0]: Facts(node="n1", classes={"compute": "soft_cap"})}
    counters = Counters((*known, partition(2)[0]), FIRST, np.zeros((3, 2, 4)))
    assert slices(spec(), counters, known).entities == (partition(0)[0],)


def test_a_budget_forgets_what_is_older_than_its_period():
    live = Live(spec(period=DAY))
    page = one_row((BAD, 60))
    live.replay(page)
    late = one_row((GOOD, 60))
    live.replay(replace(late, first=FIRST + 2 * DAY))
    (left,) = live.budgets().values()
    assert (left.bad, left.good) == (0, 60)


def test_two_of_five_partitions_of_a_gpu_are_no_trouble_of_the_gpu():
    burning, fine = [GOOD] * 60 + [BAD] * 20, [GOOD] * 80
    members = [partition(number) for number in range(5)]
    assert episodes(world([burning] * 2 + [fine] * 3, members), AlertName.GPU) == []
    assert episodes(world([burning] * 2 + [fine] * 2, members[:4]), AlertName.GPU) == [(68, None, 60)]


def test_ten_of_a_hundred_and_one_partitions_are_no_trouble_of_the_fleet():
    burning, fine = [GOOD] * 60 + [BAD] * 20, [GOOD] * 80
    members = [partition(number, gpu=number, node=f"n{number}") for number in range(101)]
    assert episodes(world([burning] * 10 + [fine] * 91, members), AlertName.FLEET) == []
    assert episodes(world([burning] * 10 + [fine] * 90, members[:100]), AlertName.FLEET) == [(68, None, 60)]


def test_a_burn_that_pages_is_not_forgotten_for_a_slow_one_that_does_not_hold():
    rules = spec()
    hard = replace(rules.objectives[0], slow=Severity.PAGE)
    rules = replace(rules, objectives=(hard, rules.objectives[1]))
    found = world([[GOOD] * 60 + [BAD] * 20] * 2, [partition(0), partition(1)])
    assert episodes(found, AlertName.GPU, rules) == [(68, None, 60)]


def test_trouble_of_half_an_hour_ago_is_another_run():
    found = one_row((GOOD, 20), (BAD, 2), (GOOD, 30), (BAD, 20))
    assert [began for _, _, began in episodes(found, AlertName.PARTITION, burn="fast")] == [52]


def test_every_partition_of_a_large_fleet_is_looked_at():
    members = [partition(number, gpu=number, node=f"n{number}") for number in range(120)]
    found = world([[GOOD] * 60 + [BAD] * 20] * 120, members)
    assert len(episodes(found, AlertName.PARTITION, burn="fast")) == 120

"""Isolation: strangers on the device, and neighbours who hold more memory than they were promised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.isolation import isolation
from exporter.model import Consumer, Missing, Partition, PromiseClass, Reading, Reason, Relation
from exporter.verdict import KEPT, Cause, Outcome, Verdict, broken
from tests.judge.made import GIB, POLICY, UNREAD, consumer, device, partition, promised, slice_of

ROGUE, HOST, UNKNOWN = (consumer(each) for each in (Relation.ROGUE, Relation.HOST, Relation.UNKNOWN))
GREEDY = slice_of("b", device(), 21 * GIB)
BLIND = Verdict(Outcome.BLIND, Reason.AMBIGUOUS)


def judged(*placed: Consumer, neighbours: tuple[Partition, ...] = ()) -> Verdict:
    return isolation(neighbours, placed, POLICY)


@pytest.mark.parametrize(
    ("placed", "verdict"),
    [
        ((), KEPT),
        ((consumer(Relation.OWNER),), KEPT),
        ((consumer(Relation.POD),), KEPT),
        ((consumer(Relation.ALLOWED),), KEPT),
        ((ROGUE,), broken(Cause.ROGUE_POD)),
        ((HOST,), broken(Cause.HOST_PROCESS)),
        ((UNKNOWN,), BLIND),
    ],
)
def test_a_process_breaks_isolation_when_it_belongs_to_nobody_on_the_device(
    placed: tuple[Consumer, ...], verdict: Verdict
) -> None:
    assert judged(consumer(Relation.OWNER), *placed) == verdict


@pytest.mark.parametrize("relation", [Relation.ROGUE, Relation.HOST, Relation.UNKNOWN])
def test_a_stranger_that_only_one_join_has_seen_may_be_a_race(relation: Relation) -> None:
    assert judged(consumer(relation, settled=False)) == KEPT
    assert judged(consumer(relation, settled=True)) != KEPT


def test_a_rogue_comes_before_a_host_process_before_a_greedy_neighbour_before_what_cannot_be_told() -> None:
    everything = [ROGUE, HOST, UNKNOWN]
    assert judged(*everything, neighbours=(GREEDY,)) == broken(Cause.ROGUE_POD)
    assert judged(*everything[1:], neighbours=(GREEDY,)) == broken(Cause.HOST_PROCESS)
    assert judged(*everything[2:], neighbours=(GREEDY,)) == broken(Cause.NEIGHBOUR_OVERRUN)
    assert judged(*everything[2:]) == BLIND


@pytest.mark.parametrize(
    ("used", "verdict"),
    [
        (20.0, KEPT),
        (20.39, KEPT),
        (20.41, broken(Cause.NEIGHBOUR_OVERRUN)),
        (60.0, broken(Cause.NEIGHBOUR_OVERRUN)),
    ],
)
def test_a_neighbour_overruns_when_it_holds_more_than_its_promise_and_the_tolerance(
    used: float, verdict: Verdict
) -> None:
    assert judged(neighbours=(slice_of("b", device(), used * GIB),)) == verdict


@pytest.mark.parametrize("other", [partition(memory=None), slice_of("b", device(), 70 * GIB, promise=80 * GIB)])
def test_a_neighbour_without_a_promise_or_within_it_overruns_nothing(other: Partition) -> None:
    assert judged(neighbours=(other,)) == KEPT


def test_a_memory_promise_of_no_class_binds_nobody() -> None:
    other = slice_of("b", device(), 70 * GIB)
    loose = promised(20 * GIB, PromiseClass.NONE)
    assert judged(neighbours=(_with_memory(other, loose),)) == KEPT


def _with_memory(other: Partition, memory: object) -> Partition:
    return replace(other, promise=replace(other.promise, memory=memory))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("used", "promise", "reason"),
    [(UNREAD, 20 * GIB, Reason.TIMEOUT), (GIB, Missing(Reason.NOT_YET), Reason.NOT_YET)],
)
def test_a_neighbour_whose_memory_or_promise_is_not_known_may_overrun_and_nobody_can_tell(
    used: Reading, promise: Reading, reason: Reason
) -> None:
    other = slice_of("b", device(), used, promise=promise)
    assert judged(neighbours=(other,)) == Verdict(Outcome.BLIND, reason)
    assert judged(neighbours=(other, GREEDY)) == broken(Cause.NEIGHBOUR_OVERRUN)


def test_a_list_of_processes_that_cannot_be_read_leaves_isolation_blind_for_its_reason() -> None:
    unread = Missing(Reason.PERMISSION)
    assert isolation((GREEDY,), unread, POLICY) == Verdict(Outcome.BLIND, Reason.PERMISSION)

"""Memory: could the tenant have what it was promised, and if not, who holds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.memory_guarantee import memory
from exporter.model import Consumer, Device, Missing, Partition, Reading, Reason, Relation, Sharing
from exporter.verdict import KEPT, Cause, Outcome, Verdict
from tests.judge.made import GIB, POLICY, UNREAD, consumer, device, partition, slice_of


def full(**readings: Reading) -> Device:
    """A GPU of 80 GiB of which 8 are free, and none is the driver's own."""
    return device(**{"memory_used_bytes": 72 * GIB, "memory_free_bytes": 8 * GIB} | readings)  # type: ignore[arg-type]


def judged(part: Partition, *neighbours: Partition, placed: tuple[Consumer, ...] | Missing = ()) -> Verdict:
    return memory(part, neighbours, placed, POLICY)


def crowd(*sizes: float) -> tuple[Consumer, ...]:
    """Processes of the holders, so that the list explains what the device says is in use."""
    return tuple(consumer(Relation.OWNER, size * GIB, pid=100 + n) for n, size in enumerate(sizes))


@pytest.mark.parametrize(("own", "outcome"), [(12.0, KEPT.outcome), (11.601, KEPT.outcome), (11.599, Outcome.BROKEN)])
def test_two_hundredths_less_are_tolerated_and_no_more(own: float, outcome: Outcome) -> None:
    # 20 GiB are promised: 19.6 are enough, of which 8 are free.
    held = full()
    hog = slice_of("b", held, (72 - own) * GIB)
    assert judged(slice_of("a", held, own * GIB), hog, placed=crowd(own, 72 - own)).outcome is outcome


def test_what_neighbours_hold_within_their_promises_is_nobodys_excess_and_what_is_above_is_theirs_by_size() -> None:
    held = full()
    good, bad, worse = (slice_of(p, held, s * GIB) for p, s in (("g", 18), ("b", 22), ("w", 28)))
    found = judged(slice_of("a", held, 4 * GIB), good, bad, worse, placed=crowd(4, 18, 22, 28))
    # 8 of 20 are missing; 2 and 8 are held in excess.
    assert found.loss == {Cause.NEIGHBOUR: pytest.approx(0.4)}
    assert found.neighbours == {("team", "b"): pytest.approx(0.08), ("team", "w"): pytest.approx(0.32)}


def test_two_containers_of_one_pod_are_one_neighbour() -> None:
    held = full()
    first, second, other = (slice_of(p, held, 23 * GIB) for p in ("b", "b", "c"))
    found = judged(slice_of("a", held, 3 * GIB), first, second, other, placed=crowd(3, 23, 23, 23))
    assert found.neighbours == {("team", "b"): pytest.approx(0.45 * 2 / 3), ("team", "c"): pytest.approx(0.45 / 3)}


def test_a_neighbour_who_was_promised_no_memory_holds_all_of_it_in_excess() -> None:
    held = full()
    neighbour = partition("b", held, memory=None, used_memory_bytes=60 * GIB)
    found = judged(slice_of("a", held, 4 * GIB), neighbour, placed=crowd(4, 60, 8))
    assert found.neighbours == {("team", "b"): pytest.approx(0.4)}


def test_a_rogue_pod_is_a_neighbour_in_excess_with_all_that_it_holds() -> None:
    held = full()
    rogue = consumer(Relation.ROGUE, 50 * GIB, pod="miner")
    found = judged(slice_of("a", held, 2 * GIB), placed=(rogue, *crowd(2, 20)))
    assert found.loss == {Cause.NEIGHBOUR: pytest.approx(0.5)}
    assert found.neighbours == {("other", "miner"): pytest.approx(0.5)}


def test_a_host_process_is_a_cause_of_its_own_beside_the_neighbours() -> None:
    held = full()
    hog, host = slice_of("b", held, 40 * GIB), consumer(Relation.HOST, 20 * GIB)
    found = judged(slice_of("a", held, 2 * GIB), hog, placed=(host, *crowd(2, 40, 10)))
    assert found.loss == {Cause.NEIGHBOUR: pytest.approx(0.25), Cause.HOST_PROCESS: pytest.approx(0.25)}


def test_a_process_that_is_allowed_holds_memory_all_the_same_and_is_blamed_after_those_who_are_not() -> None:
    held = full()
    allowed, hog = consumer(Relation.ALLOWED, 50 * GIB), slice_of("b", held, 26 * GIB)
    found = judged(slice_of("a", held, 2 * GIB), hog, placed=(allowed, *crowd(2, 20)))
    assert found.loss == {Cause.NEIGHBOUR: pytest.approx(0.3), Cause.HOST_PROCESS: pytest.approx(0.2)}


def test_the_drivers_own_reserve_explains_what_is_left_and_no_more() -> None:
    # 80 GiB in all, 72 used or free: 8 are the driver's own; 5 are missing.
    held = device(memory_used_bytes=62 * GIB, memory_free_bytes=10 * GIB)
    found = judged(slice_of("a", held, 5 * GIB), placed=crowd(5, 57))
    assert found.loss == {Cause.RESERVED: pytest.approx(0.25)}


def test_a_known_holder_comes_before_the_drivers_reserve() -> None:
    held = device(memory_used_bytes=62 * GIB, memory_free_bytes=10 * GIB)
    host = consumer(Relation.HOST, 4 * GIB)
    found = judged(slice_of("a", held, 5 * GIB), placed=(host, *crowd(5, 53)))
    assert found.loss == {Cause.HOST_PROCESS: pytest.approx(0.2), Cause.RESERVED: pytest.approx(0.05)}


def test_what_nobody_is_known_to_hold_is_of_unknown_cause() -> None:
    held = full()
    found = judged(slice_of("a", held, 2 * GIB), slice_of("b", held, UNREAD), placed=crowd(2, 70))
    assert found.loss == {Cause.UNKNOWN: pytest.approx(0.5)}
    assert found.neighbours == {}


def test_nobody_is_blamed_for_holding_what_he_was_promised_on_a_device_that_is_not_oversold() -> None:
    held = full()
    found = judged(slice_of("a", held, 2 * GIB), slice_of("b", held, 20 * GIB), placed=crowd(2, 20, 50))
    assert found.loss == {Cause.UNKNOWN: pytest.approx(0.5)}


def test_on_an_oversold_device_all_take_too_much_together_by_what_they_hold() -> None:
    held = full()
    more = {"holders": 5, "replicas": 4.0}
    others = [slice_of(p, held, s * GIB, **more) for p, s in (("b", 20), ("c", 20), ("d", 10), ("e", 20))]
    found = judged(slice_of("a", held, 2 * GIB, **more), *others, placed=crowd(2, 20, 20, 10, 20))
    assert found.loss == {Cause.NEIGHBOUR: pytest.approx(0.5)}
    assert found.neighbours[("team", "d")] == pytest.approx(0.5 * 10 / 70)
    assert found.neighbours[("team", "e")] == pytest.approx(0.5 * 20 / 70)


def test_an_instance_smaller_than_promised_is_the_wrong_profile_in_memory_too() -> None:
    part = partition(
        on=device(1, memory_total_bytes=10 * GIB, memory_used_bytes=GIB, memory_free_bytes=9 * GIB),
        memory=20 * GIB,
        promised_profile="2g.20gb",
        obtainable_memory_bytes=10 * GIB,
    )
    assert judged(part).loss == {Cause.WRONG_PROFILE: pytest.approx(0.5)}


def test_what_a_stranger_holds_of_a_whole_gpu_is_missing_from_it() -> None:
    rogue = consumer(Relation.ROGUE, 16 * GIB, pod="miner")
    found = judged(partition(obtainable_memory_bytes=64 * GIB), placed=(rogue,))
    assert found.loss == {Cause.NEIGHBOUR: pytest.approx(0.2)}
    assert found.neighbours == {("other", "miner"): pytest.approx(0.2)}


def test_nothing_obtainable_is_all_of_it_lost_and_never_more() -> None:
    found = judged(partition(obtainable_memory_bytes=-5 * GIB))
    assert sum(found.loss.values()) == pytest.approx(1.0)


def test_memory_in_use_that_no_listed_process_holds_may_be_our_own() -> None:
    # 12 GiB of our own, of which one process of 6 is not in this tick's list: 14 look obtainable, 20 are.
    held = full()
    found = judged(slice_of("a", held, 6 * GIB), slice_of("b", held, 60 * GIB), placed=crowd(6, 60))
    assert found == Verdict(Outcome.BLIND, Reason.AMBIGUOUS)


def test_a_breach_that_unlisted_memory_could_not_mend_is_one() -> None:
    held = full()
    assert judged(slice_of("a", held, 2 * GIB), slice_of("b", held, 66 * GIB), placed=crowd(2, 66)).loss


def test_a_time_slice_with_a_fair_promise_is_judged_like_an_mps_share() -> None:
    held = full()
    own, hog = (slice_of(p, held, s * GIB, sharing=Sharing.TIME_SLICING) for p, s in (("a", 4), ("b", 68)))
    assert judged(own, hog, placed=crowd(4, 68)).loss == {Cause.NEIGHBOUR: pytest.approx(0.4)}


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (partition(memory=Missing(Reason.NOT_YET)), Reason.NOT_YET),
        (partition(obtainable_memory_bytes=UNREAD), Reason.TIMEOUT),
        (slice_of("a", full(), Missing(Reason.AMBIGUOUS)), Reason.AMBIGUOUS),
        (slice_of("a", full(memory_free_bytes=Missing(Reason.PERMISSION)), GIB), Reason.PERMISSION),
    ],
)
def test_what_cannot_be_read_is_blind_for_its_own_reason(part: Partition, reason: Reason) -> None:
    assert judged(part) == Verdict(Outcome.BLIND, reason)


def test_a_breach_stands_where_its_processes_cannot_be_read_and_nobody_is_blamed_for_it() -> None:
    found = judged(partition(obtainable_memory_bytes=60 * GIB), placed=UNREAD)
    assert found.loss == {Cause.UNKNOWN: pytest.approx(0.25)}


def test_a_promise_of_nothing_is_kept() -> None:
    assert judged(partition(memory=0.0, obtainable_memory_bytes=0.0)) == KEPT


def test_memory_is_not_asked_about_where_none_is_promised() -> None:
    with pytest.raises(ValueError, match="promised"):
        judged(partition(memory=None))


@pytest.mark.parametrize("oversold", [False, True])
def test_absurd_sizes_that_no_sum_can_hold_are_blamed_all_the_same(oversold: bool) -> None:  # noqa: FBT001  # a table's column
    held = full(memory_free_bytes=0.0)
    hogs = [slice_of(name, held, 1e308) for name in ("b", "c")]
    victim = replace(slice_of("a", held, 0.0), replicas=2.0, holders=3 if oversold else 2)
    found = judged(victim, *hogs, placed=(consumer(Relation.HOST, 1e308), *crowd(100)))
    assert found.outcome is Outcome.BROKEN
    assert sum(found.loss.values()) == pytest.approx(1.0)
    assert sum(found.neighbours.values()) == pytest.approx(found.loss[Cause.NEIGHBOUR])

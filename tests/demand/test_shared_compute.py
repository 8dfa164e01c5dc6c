"""Kept, broken, idle or blind on devices that a person can judge by eye."""

from __future__ import annotations

import pytest

from exporter.demand import DEMAND_UNKNOWN, Answer, Evidence, Intruder, Sample
from exporter.model import Missing, Reason
from exporter.shared_compute import DeviceMemory, assess
from tests.demand.devices import POLICY, A, B, C, D, Seen, Use, sample, silence, watch

QUARTERS = {A: 0.25, B: 0.25, C: 0.25, D: 0.25}


@pytest.mark.parametrize(
    ("use", "promises", "answer"),
    [
        pytest.param({A: [0.5], B: [0.5]}, {A: 0.5, B: 0.5}, Answer.KEPT, id="two backlogged halves share evenly"),
        pytest.param({A: [0.25], B: [0.25] * 3}, {A: 0.25, B: 0.25}, Answer.KEPT, id="a hog leaves just the quarter"),
        pytest.param({A: [0.12], B: [0.12] * 7}, {A: 0.25, B: 0.25}, Answer.BROKEN, id="a hog with seven processes"),
        pytest.param({A: [0.25], B: [0.25] * 3}, {A: 0.5, B: 0.5}, Answer.BROKEN, id="a hog against a half"),
        pytest.param({A: [0.04], B: [0.04] * 24}, {A: 0.25, B: 0.25}, Answer.BROKEN, id="starved by twenty-four"),
        pytest.param({A: [0.05], B: [0.95]}, {A: 0.25, B: 0.25}, Answer.KEPT, id="a bursty tenant is content"),
        pytest.param({A: [0.08], B: [0.5]}, {A: 0.25, B: 0.25}, Answer.KEPT, id="the device has time to spare"),
        pytest.param({A: [0.0], B: [0.99]}, {A: 0.25, B: 0.25}, Answer.IDLE, id="an idle process is not starved"),
        pytest.param({B: [0.99]}, {A: 0.25, B: 0.25}, Answer.IDLE, id="no process, no wish"),
        pytest.param({A: [1.0]}, {A: 0.25}, Answer.KEPT, id="alone it takes all"),
    ],
)
def test_a_steady_device_is_judged_as_a_person_would(use: Use, promises: dict[object, float], answer: Answer) -> None:
    assert watch(use, promises).answers[A].answer is answer  # type: ignore[arg-type]


def test_nothing_is_said_in_the_first_seconds() -> None:
    first = watch({A: [0.12], B: [0.12] * 7}, QUARTERS, seconds=3).answers[A]
    assert (first.answer, first.reason) == (Answer.BLIND, Reason.NOT_YET)


def test_a_breach_is_seen_within_a_window() -> None:
    content = watch({A: [0.5], B: [0.5]}, QUARTERS)
    assert content.answers[A].answer is Answer.KEPT
    starved = watch({A: [0.1], B: [0.1] * 9}, QUARTERS, seconds=20, before=content)
    assert starved.answers[A].answer is Answer.BROKEN


@pytest.mark.parametrize(
    ("backlog", "answer"),
    [(True, Answer.BROKEN), (False, Answer.KEPT)],
)
def test_the_workloads_own_word_is_the_strongest_evidence(backlog: bool, answer: Answer) -> None:  # noqa: FBT001  # a table
    said = watch({A: [0.1], B: [0.9]}, QUARTERS, declared={A: backlog}).answers[A]
    assert (said.answer, said.evidence) == (answer, Evidence.DECLARED)


def test_a_tenant_whose_appetite_was_seen_is_short_changed_below_it() -> None:
    # Alone it computed 60 % of the time; its share of three of four turns by others is then not its own wish.
    alone = watch({A: [0.6]}, QUARTERS, seconds=30)
    beside = watch({A: [0.09], B: [0.1] * 9}, QUARTERS, seconds=25, before=alone)
    assert (beside.answers[A].answer, beside.answers[A].evidence) == (Answer.BROKEN, Evidence.APPETITE)


def test_a_tenant_that_gets_what_it_took_when_alone_is_content() -> None:
    alone = watch({A: [0.1]}, QUARTERS, seconds=30)
    beside = watch({A: [0.1], B: [0.3] * 3}, QUARTERS, seconds=25, before=alone)
    assert (beside.answers[A].answer, beside.answers[A].evidence) == (Answer.KEPT, Evidence.APPETITE)


def test_other_processes_have_another_appetite() -> None:
    def other(seen: Seen) -> Sample:
        whole = sample(seen.at + 1, {A: [0.0, 0.09], B: [0.1] * 9}, QUARTERS)
        assert not isinstance(whole.processes, Missing)
        return Sample(at=whole.at, processes=whole.processes[1:], promises=QUARTERS)

    seen = watch({A: [0.6]}, QUARTERS, seconds=30)
    for _ in range(25):
        answers, memory = assess(seen.memory, other(seen), POLICY)
        seen = Seen(answers, memory, seen.at + 1)
    assert seen.answers[A].evidence is not Evidence.APPETITE


def test_processes_that_come_back_as_others_have_another_appetite() -> None:
    seen = watch({A: [0.6]}, QUARTERS, seconds=30)
    seen = watch({B: [0.3]}, QUARTERS, seconds=2, before=seen)
    beside = watch({A: [0.0, 0.09], B: [0.1] * 9}, QUARTERS, seconds=30, before=seen)
    assert beside.answers[A].evidence is not Evidence.APPETITE


def test_a_process_that_was_not_listed_for_a_moment_keeps_its_appetite() -> None:
    seen = watch({A: [0.6]}, QUARTERS, seconds=30)
    seen = watch({B: [0.3]}, QUARTERS, seconds=2, before=seen)
    beside = watch({A: [0.09], B: [0.1] * 9}, QUARTERS, seconds=30, before=seen)
    assert beside.answers[A].evidence is Evidence.APPETITE


def test_an_appetite_is_forgotten_after_ten_minutes() -> None:
    alone = watch({A: [0.6]}, QUARTERS, seconds=30)
    crowd: Use = {A: [0.09], B: [0.1] * 9}
    beside = watch(crowd, QUARTERS, seconds=590, before=alone)
    assert beside.answers[A].evidence is Evidence.APPETITE
    assert watch(crowd, QUARTERS, seconds=20, before=beside).answers[A].evidence is Evidence.QUEUEING


def test_what_was_taken_alone_acquits_what_the_queue_would_condemn() -> None:
    crowd: Use = {A: [0.15], B: [0.17] * 5}
    assert watch(crowd, QUARTERS).answers[A].answer is Answer.BROKEN
    alone = watch({A: [0.15]}, QUARTERS, seconds=30)
    beside = watch(crowd, QUARTERS, before=alone).answers[A]
    assert (beside.answer, beside.evidence) == (Answer.KEPT, Evidence.APPETITE)


def test_a_tenant_that_wants_far_less_than_it_did_is_not_held_to_it() -> None:
    alone = watch({A: [0.6]}, QUARTERS, seconds=30)
    beside = watch({A: [0.02], B: [0.32] * 3}, QUARTERS, before=alone).answers[A]
    assert beside.answer is not Answer.BROKEN


def test_the_missing_share_is_blamed_on_what_neighbours_took_beyond_their_promises() -> None:
    said = watch({A: [0.1], B: [0.1] * 6, C: [0.1] * 3}, QUARTERS).answers[A]
    assert said.answer is Answer.BROKEN
    assert said.entitled is not None
    assert said.delivered == pytest.approx(0.1)
    assert set(said.loss) == {"neighbour"}
    # 0.6 and 0.3 used, 0.25 promised to each: 0.35 and 0.05 beyond.
    assert said.neighbours[B] == pytest.approx(7 * said.neighbours[C])


@pytest.mark.parametrize("intruder", [Intruder.ROGUE_POD, Intruder.HOST_PROCESS])
def test_an_intruder_is_a_cause_of_its_own(intruder: Intruder) -> None:
    said = watch({A: [0.1], intruder: [0.1] * 9}, {A: 0.25}).answers[A]
    assert said.answer is Answer.BROKEN
    assert set(said.loss) == {intruder.value}
    assert not said.neighbours


def test_turning_takes_its_part_first() -> None:
    said = watch({A: [0.095], B: [0.095] * 9}, QUARTERS).answers[A]
    assert said.answer is Answer.BROKEN
    assert 0.0 < said.loss["switching"] < said.loss["neighbour"]


def test_too_many_promises_make_every_neighbour_a_taker() -> None:
    promises = {A: 0.5, B: 0.5, C: 0.5}
    said = watch({A: [0.33], B: [0.33], C: [0.34]}, promises).answers[A]
    assert said.answer is Answer.BROKEN
    assert set(said.neighbours) == {B, C}


def test_use_that_may_be_its_own_lets_nobody_say_broken() -> None:
    certain = watch({A: [0.1], B: [0.1] * 9}, QUARTERS).answers[A]
    doubtful = watch({A: [0.1], B: [0.1] * 7, Intruder.UNPLACED: [0.1] * 2}, QUARTERS).answers[A]
    assert certain.answer is Answer.BROKEN
    assert doubtful.answer is not Answer.BROKEN


@pytest.mark.parametrize("own", [{}, {A: [0.0]}], ids=["no process", "a process that rests"])
def test_a_tenant_that_seems_to_use_nothing_is_not_idle_while_what_works_may_be_its_own(own: Use) -> None:
    busy = {**own, B: [0.5]}
    unplaced = {**busy, Intruder.UNPLACED: [0.4]}
    long = watch(unplaced, QUARTERS).answers[A]
    assert (long.answer, long.reason) == (Answer.BLIND, Reason.AMBIGUOUS)
    brief = watch(lambda second: unplaced if second == 20 else busy, QUARTERS).answers[A]
    assert brief.answer is Answer.IDLE
    resting = watch({**busy, Intruder.UNPLACED: [0.0]}, QUARTERS).answers[A]
    assert resting.answer is Answer.IDLE


def test_a_silent_driver_is_answered_for_from_the_window_and_then_no_more() -> None:
    seen = watch({A: [0.1], B: [0.1] * 9}, QUARTERS)
    timeout = Missing(Reason.TIMEOUT)
    assert silence(seen, 2, QUARTERS, timeout).answers[A].answer is Answer.BROKEN
    later = silence(seen, 4, QUARTERS, timeout).answers[A]
    assert (later.answer, later.reason) == (Answer.BLIND, Reason.TIMEOUT)


def test_after_a_gap_the_window_starts_again() -> None:
    seen = watch({A: [0.1], B: [0.1] * 9}, QUARTERS)
    again = watch({A: [0.1], B: [0.1] * 9}, QUARTERS, seconds=1, before=Seen({}, seen.memory, seen.at + 30))
    assert (again.answers[A].answer, again.answers[A].reason) == (Answer.BLIND, Reason.NOT_YET)


def test_a_clock_that_goes_back_forgets_everything() -> None:
    seen = watch({A: [0.6]}, QUARTERS)
    back = watch({A: [0.6]}, QUARTERS, seconds=1, before=Seen({}, seen.memory, seen.at - 10))
    assert back.answers[A].reason == Reason.NOT_YET
    assert sum(level.seconds for level in back.memory.tracks[A].levels) == 1.0


def test_the_same_instant_twice_counts_once() -> None:
    seen = watch({A: [0.3], B: [0.7]}, QUARTERS)
    answers, memory = assess(seen.memory, sample(seen.at, {A: [0.9], B: [0.1]}, QUARTERS), POLICY)
    assert (dict(answers), memory) == (dict(seen.answers), seen.memory)


STEADY_AND_SMALL: Use = {A: [0.1], B: [0.3] * 3}
"""Tiny bursts that wait a whole turn each, or tiny requests all served: these shares are made by either."""


def test_what_no_share_can_tell_is_blind() -> None:
    said = watch(STEADY_AND_SMALL, QUARTERS).answers[A]
    assert (said.answer, said.reason, said.delivered) == (Answer.BLIND, DEMAND_UNKNOWN, None)


def test_inside_the_error_bar_a_fresh_outcome_stands_for_a_moment() -> None:
    kept = watch({A: [0.24], B: [0.25] * 3}, QUARTERS)
    said = [watch(STEADY_AND_SMALL, QUARTERS, seconds, kept).answers[A].answer for seconds in range(1, 31)]
    first = said.index(Answer.BLIND)
    assert first > 0
    assert said[:first] == [Answer.KEPT] * first
    assert said[-1] is Answer.BLIND


@pytest.mark.parametrize("absurd", [0.0, -1.0, 1.5, float("nan"), float("inf"), 1e-300])
def test_a_promise_that_is_no_share_is_blind_and_spoils_nobody_elses(absurd: float) -> None:
    seen = watch({A: [0.5], B: [0.5]}, {A: 0.5, B: absurd})
    assert seen.answers[A].answer is Answer.KEPT
    assert (seen.answers[B].answer, seen.answers[B].reason) == (Answer.BLIND, Reason.CONTRADICTION)


@pytest.mark.parametrize("absurd", [-0.1, 1.2, float("nan"), float("inf")])
def test_a_share_that_cannot_be_is_a_contradiction(absurd: float) -> None:
    answers, _ = assess(DeviceMemory(), sample(1.0, {A: [absurd]}, QUARTERS), POLICY)
    assert {said.reason for said in answers.values()} == {Reason.CONTRADICTION}


def test_shares_that_add_up_to_far_more_than_the_device_are_a_contradiction() -> None:
    answers, _ = assess(DeviceMemory(), sample(1.0, {A: [0.9], B: [0.9]}, QUARTERS), POLICY)
    assert answers[A].reason == Reason.CONTRADICTION


def test_one_unknown_share_makes_the_tick_unknown() -> None:
    answers, _ = assess(DeviceMemory(), sample(1.0, {A: [Missing(Reason.PERMISSION)], B: [0.5]}, QUARTERS), POLICY)
    assert answers[B].reason == Reason.PERMISSION


def test_one_pid_twice_is_a_contradiction() -> None:
    once = sample(1.0, {A: [0.2], B: [0.2]}, QUARTERS)
    assert not isinstance(once.processes, Missing)
    twice = Sample(at=1.0, processes=(*once.processes, once.processes[0]), promises=QUARTERS)
    answers, _ = assess(DeviceMemory(), twice, POLICY)
    assert answers[A].reason == Reason.CONTRADICTION


def test_minutes_are_remembered_in_a_window() -> None:
    seen = watch({A: [0.2], B: [0.2]}, QUARTERS, seconds=200)
    assert len(seen.memory.tracks[A].entries) <= POLICY.window + 2


def test_a_share_that_whole_percents_hardly_show_is_never_called_broken_from_queueing() -> None:
    small = watch({A: [0.015], B: [0.15] * 6}, QUARTERS, seconds=30).answers[A]
    assert small.answer is Answer.BLIND
    assert watch({A: [0.1], B: [0.15] * 6}, QUARTERS, seconds=30).answers[A].answer is Answer.BROKEN

"""Properties over random and absurd devices: nothing is raised, every sum holds, no order matters."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.catalogue import PartitionKey
from exporter.demand import Answer, Assessment, Evidence, Holder, Intruder, ProcessShare, Sample
from exporter.demand_blame import blame
from exporter.model import Missing, Reason
from exporter.shared_compute import DeviceMemory, assess
from tests.demand.devices import POLICY, A, B, C, D

HOLDERS: list[Holder] = [A, B, C, D, *Intruder]
ANY_NUMBER = st.floats() | st.integers(-3, 3).map(float)
SHARES = st.integers(0, 40).map(lambda percent: percent / 100)


def processes(shares: st.SearchStrategy[object], pids: st.SearchStrategy[int]) -> st.SearchStrategy[object]:
    return st.lists(st.builds(ProcessShare, pids, st.sampled_from(HOLDERS), shares), max_size=8).map(tuple)


ABSURD = st.builds(
    Sample,
    at=ANY_NUMBER,
    processes=processes(ANY_NUMBER | st.just(Missing(Reason.TIMEOUT)), st.integers(-1, 9))
    | st.just(Missing(Reason.PERMISSION)),
    promises=st.dictionaries(st.sampled_from([A, B, C, D]), ANY_NUMBER),
    declared=st.dictionaries(st.sampled_from([A, B, C, D]), st.booleans()),
)


@given(st.lists(ABSURD, max_size=12))
@settings(max_examples=100, deadline=None)
def test_nothing_is_raised_and_everyone_is_answered(samples: list[Sample]) -> None:
    memory = DeviceMemory()
    for each in samples:
        answers, memory = assess(memory, each, POLICY)
        assert set(answers) == set(each.promises)


@st.composite
def stories(draw: st.DrawFn) -> list[Sample]:
    """Half a minute of a device whose tenants change their minds now and then, with late and missing ticks."""
    promises = dict.fromkeys((A, B, C, D), 1 / draw(st.integers(2, 8)))
    at, story = 0.0, []
    for _ in range(draw(st.integers(1, 4))):
        use = [(holder, draw(SHARES)) for holder in draw(st.lists(st.sampled_from(HOLDERS), min_size=1, max_size=10))]
        total = max(1.0, sum(share for _, share in use))
        steady = tuple(ProcessShare(pid, holder, share / total) for pid, (holder, share) in enumerate(use))
        for _ in range(draw(st.integers(1, 14))):
            at += draw(st.sampled_from([1.0, 1.0, 1.0, 1.02, 2.0, 3.0, 40.0]))
            told = draw(st.sampled_from([True] * 9 + [False]))
            story.append(Sample(at=at, processes=steady if told else Missing(Reason.TIMEOUT), promises=promises))
    return story


def judged(story: list[Sample]) -> list[Mapping[PartitionKey, Assessment]]:
    memory, told = DeviceMemory(), []
    for each in story:
        answers, memory = assess(memory, each, POLICY)
        told.append(answers)
    return told


@given(stories())
@settings(max_examples=100, deadline=None)
def test_every_answer_is_of_one_piece(story: list[Sample]) -> None:
    for sample, answers in zip(story, judged(story), strict=True):
        for key, said in answers.items():
            assert (said.reason is not None) == (said.answer is Answer.BLIND)
            assert (said.delivered is not None) == (said.answer in {Answer.KEPT, Answer.BROKEN})
            assert (said.evidence is Evidence.NONE) == (said.answer in {Answer.IDLE, Answer.BLIND})
            assert bool(said.loss) == (said.answer is Answer.BROKEN)
            if said.delivered is not None:
                assert 0.0 <= said.delivered <= 1.0 + 1e-9
            if said.entitled is not None:
                assert 0.0 < said.entitled.low <= said.entitled.likely <= said.entitled.high <= sample.promises[key]


@given(stories())
@settings(max_examples=100, deadline=None)
def test_a_loss_is_divided_without_a_rest(story: list[Sample]) -> None:
    for answers in judged(story):
        for said in answers.values():
            if said.answer is Answer.BROKEN:
                assert said.entitled is not None
                assert said.delivered is not None
                loss = (said.entitled.likely - said.delivered) / said.entitled.likely
                assert 0.0 < loss < 1.0
                assert sum(said.loss.values()) == pytest.approx(loss, abs=1e-12)
                assert sum(said.neighbours.values()) == pytest.approx(said.loss.get("neighbour", 0.0), abs=1e-12)
                assert min((*said.loss.values(), *said.neighbours.values())) >= 0.0


@given(stories(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_processes_and_promises_does_not_matter(story: list[Sample], chance: random.Random) -> None:
    assert judged([shuffled(each, chance) for each in story]) == judged(story)


def shuffled(sample: Sample, chance: random.Random) -> Sample:
    promises = list(sample.promises.items())
    chance.shuffle(promises)
    if isinstance(sample.processes, Missing):
        return Sample(at=sample.at, processes=sample.processes, promises=dict(promises))
    listed = list(sample.processes)
    chance.shuffle(listed)
    return Sample(at=sample.at, processes=tuple(listed), promises=dict(promises))


@given(stories(), st.permutations(range(10)))
@settings(max_examples=30, deadline=None)
def test_the_numbers_of_the_pids_do_not_matter(story: list[Sample], numbers: list[int]) -> None:
    def renumbered(sample: Sample) -> Sample:
        if isinstance(sample.processes, Missing):
            return sample
        other = tuple(ProcessShare(numbers[each.pid], each.holder, each.share) for each in sample.processes)
        return Sample(at=sample.at, processes=other, promises=sample.promises)

    for one, other in zip(judged(story), judged([renumbered(each) for each in story]), strict=True):
        assert {key: said.answer for key, said in one.items()} == {key: said.answer for key, said in other.items()}


@given(stories())
@settings(max_examples=30, deadline=None)
def test_memory_is_bounded(story: list[Sample]) -> None:
    memory = DeviceMemory()
    for each in story:
        _, memory = assess(memory, each, POLICY)
        assert len(memory.tracks) <= 4 + len(Intruder)
        assert all(len(track.entries) <= POLICY.window + 3 for track in memory.tracks.values())
        assert len(memory.worked) <= 10
        assert len(memory.totals) <= POLICY.window


@given(
    st.floats(0.01, 1), st.floats(0, 1), st.dictionaries(st.sampled_from(HOLDERS), st.floats(0, 1)), st.floats(0, 0.1)
)
def test_blame_adds_up_for_any_use(entitled: float, part: float, used: dict[Holder, float], turning: float) -> None:
    causes, neighbours = blame(entitled, entitled * part, used, {A: 0.25, B: 0.25}, turning)
    assert sum(causes.values()) == pytest.approx(1 - part, abs=1e-9)
    assert sum(neighbours.values()) == pytest.approx(causes.get("neighbour", 0.0), abs=1e-12)

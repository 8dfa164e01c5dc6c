"""Which answer comes first: doubt, then a device that is not there, then a contradiction, then the guarantee's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.guarantees import JudgeMemory, judge
from exporter.model import DeviceState, Missing, Partition, Reason, Relation, Sharing, Snapshot, Xid
from exporter.verdict import Cause, Guarantee, Outcome, Verdict
from tests.judge.made import GIB, GPU1, POLICY, consumer, device, partition, slice_of, snapshot


def answers(*instants: Snapshot) -> dict[Guarantee, Verdict]:
    memory, found = JudgeMemory(), None
    for instant in instants:
        verdicts, memory = judge(instant, POLICY, memory)
        (found,) = verdicts.values()
    assert found is not None
    return dict(found)


BAD = device(sm_active=-1.0, memory_used_bytes=-1.0)


def test_in_doubt_everything_is_blind_for_the_doubts_reason_whatever_else_is_wrong() -> None:
    doubted = partition(on=BAD, state=DeviceState.LOST, doubt=Reason.SOURCE_STALE)
    assert list(answers(snapshot(doubted)).values()) == [Verdict(Outcome.BLIND, Reason.SOURCE_STALE)] * 5


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (DeviceState.LOST, Cause.DEVICE_LOST),
        (DeviceState.MISSING, Cause.DEVICE_MISSING),
        (DeviceState.RECONFIGURED, Cause.MIG_RECONFIGURED),
    ],
)
def test_of_a_device_that_is_not_there_only_that_can_be_said(state: DeviceState, cause: Cause) -> None:
    found = answers(snapshot(partition(on=BAD, state=state)))
    assert found.pop(Guarantee.AVAILABILITY).loss == {cause: 1.0}
    assert list(found.values()) == [Verdict(Outcome.BLIND, Reason.DEVICE_LOST)] * 4


def test_a_contradiction_comes_before_the_answer_that_its_readings_would_give() -> None:
    rogue = consumer(Relation.ROGUE, pod="miner")
    honest, bad = device(), device(memory_free_bytes=-1.0)
    for held, outcome in ((honest, Outcome.BROKEN), (bad, Outcome.BLIND)):
        found = answers(snapshot(partition(on=held), consumers={held.uuid: (rogue,)}))
        assert found[Guarantee.ISOLATION].outcome is outcome


def test_a_contradiction_leaves_availability_and_conformance_alone() -> None:
    found = answers(snapshot(partition(on=BAD)))
    assert {g for g, v in found.items() if v.reason is Reason.CONTRADICTION} == {
        Guarantee.COMPUTE,
        Guarantee.MEMORY,
        Guarantee.ISOLATION,
    }


def test_a_dimension_that_is_not_promised_is_not_judged() -> None:
    found = answers(snapshot(partition(compute=None, memory=None)))
    assert set(found) == {Guarantee.AVAILABILITY, Guarantee.CONFORMANCE, Guarantee.ISOLATION}


def test_compute_under_mps_is_blind_because_kernels_run_side_by_side() -> None:
    found = answers(snapshot(slice_of("a", device(), GIB)))
    assert found[Guarantee.COMPUTE] == Verdict(Outcome.BLIND, Reason.MODEL_NOT_APPLICABLE)


def test_compute_is_blind_where_the_gpu_itself_is_not_read() -> None:
    instant = replace(snapshot(partition()), gpus=())
    assert answers(instant)[Guarantee.COMPUTE] == Verdict(Outcome.BLIND, Reason.UNSUPPORTED)


def test_a_device_whose_processes_nobody_read_leaves_isolation_blind() -> None:
    found = answers(snapshot(partition(), consumers={}))
    assert found[Guarantee.ISOLATION].outcome is Outcome.BLIND


def test_a_neighbour_on_another_device_overruns_nothing_here() -> None:
    here, there = device(1), device(2)
    instant = snapshot(slice_of("a", here, GIB), slice_of("b", there, 60 * GIB))
    verdicts, _ = judge(instant, POLICY, JudgeMemory())
    assert {v[Guarantee.ISOLATION].outcome for v in verdicts.values()} == {Outcome.KEPT}


# --- availability over time -------------------------------------------------------------------------------------------


def xid(number: int = 79) -> Xid:
    return Xid(GPU1, number)


def at(seconds: float, *events: Xid, lost: bool = False, ecc: float = 0.0) -> Snapshot:
    held = device(lost=lost, ecc_uncorrected=Missing(Reason.DEVICE_LOST) if lost else ecc)
    state = DeviceState.LOST if lost else DeviceState.PRESENT
    return snapshot(partition(on=held, state=state), at=seconds, events=events)


def available(*instants: Snapshot) -> Verdict:
    return answers(*instants)[Guarantee.AVAILABILITY]


def test_a_gpu_that_answers_again_after_a_loss_has_been_reset_and_its_fault_is_over() -> None:
    assert available(at(0), at(1, xid()), at(10)).loss == {Cause.XID: 1.0}
    assert available(at(0), at(1, xid()), at(2, lost=True)).loss == {Cause.DEVICE_LOST: 1.0}
    assert available(at(0), at(1, xid()), at(2, lost=True), at(10)).outcome is Outcome.KEPT
    assert available(at(0), at(1, ecc=1.0), at(2, lost=True), at(10)).outcome is Outcome.KEPT


def test_a_fault_after_the_reset_breaks_it_again() -> None:
    assert available(at(0, lost=True), at(1, xid()), at(10)).loss == {Cause.XID: 1.0}


def test_a_fatal_xid_is_named_before_an_uncorrectable_error() -> None:
    assert available(at(0), at(1, xid(), ecc=1.0)).loss == {Cause.XID: 1.0}


def test_a_count_of_errors_that_cannot_be_is_no_error() -> None:
    assert available(at(0, ecc=-1.0), at(1, ecc=0.0)).outcome is Outcome.KEPT


# --- conformance ------------------------------------------------------------------------------------------------------


def instance(**changed: object) -> Partition:
    facts = {"attached_memory_bytes": 9984.0 * 2**20} | changed
    return partition(on=device(1, **facts), promised_profile="1g.10gb", sharing=Sharing.MIG)


def test_an_instance_with_a_size_that_cannot_be_is_no_wrong_profile() -> None:
    assert answers(snapshot(instance()))[Guarantee.CONFORMANCE].outcome is Outcome.KEPT
    for absurd in ({"sm_count": -16.0}, {"attached_memory_bytes": -1.0}):
        found = answers(snapshot(instance(**absurd)))[Guarantee.CONFORMANCE]
        assert found == Verdict(Outcome.BLIND, Reason.CONTRADICTION)

"""What is kept, broken or blind: availability and conformance, on worlds made by hand."""

from __future__ import annotations

import pytest

from exporter.ids import parse
from exporter.model import Allocation, Allocations, Missing, Reason, Xid
from exporter.partitions import Evidence
from exporter.pipeline import Result
from exporter.verdict import Cause, Guarantee, Outcome, Verdict
from tests.join.worlds import (
    allocations,
    evidence,
    gpu,
    gpu_id,
    holds,
    instance,
    mig_id,
    pod,
    pods,
    reading,
    think,
    use,
    uuid,
)

GPU1 = uuid("GPU", 1)
WHOLE = allocations(holds("a", GPU1))
STORE = pods(pod("a"))


def answer(result: Result, guarantee: Guarantee) -> Verdict:
    (partition,) = result.snapshot.partitions
    return result.verdicts[partition.key][guarantee]


def held_mig(profile: str = "1g.10gb") -> Allocations:
    return allocations(holds("a", mig_id(1), resource=f"nvidia.com/mig-{profile}"))


def test_a_device_that_is_there_is_available_and_as_promised() -> None:
    result = think(evidence(reading([gpu(1)]), WHOLE, STORE))
    assert answer(result, Guarantee.AVAILABILITY).outcome is Outcome.KEPT
    assert answer(result, Guarantee.CONFORMANCE).outcome is Outcome.KEPT


def test_a_lost_device_is_not_available_and_nothing_else_can_be_told() -> None:
    result = think(evidence(reading([gpu(1, lost=True)]), WHOLE, STORE))
    assert answer(result, Guarantee.AVAILABILITY).loss == {Cause.DEVICE_LOST: 1.0}
    others = (Guarantee.CONFORMANCE, Guarantee.COMPUTE, Guarantee.MEMORY, Guarantee.ISOLATION)
    assert {answer(result, g).reason for g in others} == {Reason.DEVICE_LOST}


@pytest.mark.parametrize(
    ("driver", "held", "cause"),
    [
        (reading([]), WHOLE, Cause.DEVICE_MISSING),
        (reading([gpu(1)]), allocations(holds("a", mig_id(7))), Cause.DEVICE_MISSING),
        (reading([gpu(1, mig=True)]), WHOLE, Cause.MIG_RECONFIGURED),
    ],
)
def test_a_device_that_is_not_there_is_broken_from_the_second_join_on(
    driver: object, held: Allocations, cause: Cause
) -> None:
    instant = evidence(driver, held, STORE)  # type: ignore[arg-type]
    assert answer(think(instant), Guarantee.AVAILABILITY) == Verdict(Outcome.BLIND, Reason.AMBIGUOUS)
    assert answer(think(instant, instant), Guarantee.AVAILABILITY).loss == {cause: 1.0}


def test_a_reshaped_gpu_breaks_its_holder() -> None:
    before = evidence(reading([gpu(1, [instance(1, 9)])]), held_mig(), STORE)
    after = evidence(reading([gpu(1, [instance(2, 9)])]), held_mig(), STORE)
    assert answer(think(before, after, after), Guarantee.AVAILABILITY).loss == {Cause.MIG_RECONFIGURED: 1.0}


def at(seconds: float, *events: Xid, ecc: float = 0.0) -> Evidence:
    mig = gpu(1, [instance(1, 9)])
    used = use()
    fields = {name: getattr(used, name) for name in used.__slots__}
    driver = reading([mig], {mig_id(1): type(used)(**fields | {"ecc_uncorrected": ecc})}, at=seconds, events=events)
    return evidence(driver, held_mig(), STORE, at=seconds)


@pytest.mark.parametrize(("gi", "broken"), [(None, True), (9, True), (3, True)])
def test_a_fatal_xid_breaks_the_instance_it_names_or_the_whole_gpu(gi: int | None, *, broken: bool) -> None:
    # An instance number that no instance has now is charged to the GPU: better too wide than lost.
    result = think(at(0), at(1, Xid(gpu_id(1), 79, gi, None if gi is None else 0)))
    assert (answer(result, Guarantee.AVAILABILITY).loss == {Cause.XID: 1.0}) is broken


def test_an_xid_of_another_instance_does_not_break_this_one() -> None:
    two = gpu(1, [instance(1, 9), instance(2, 3)])
    driver = reading([two], events=(Xid(gpu_id(1), 79, 3, 0),))
    assert answer(think(evidence(driver, held_mig(), STORE)), Guarantee.AVAILABILITY).outcome is Outcome.KEPT


def test_a_fatal_xid_holds_for_a_minute() -> None:
    event = Xid(gpu_id(1), 74, 9, 0)
    assert answer(think(at(0), at(1, event), at(60.9)), Guarantee.AVAILABILITY).outcome is Outcome.BROKEN
    assert answer(think(at(0), at(1, event), at(61)), Guarantee.AVAILABILITY).outcome is Outcome.KEPT


@pytest.mark.parametrize("xid", [13, 31, 43, 45, 63, 94])
def test_an_xid_of_the_application_breaks_nothing(xid: int) -> None:
    result = think(at(0), at(1, Xid(gpu_id(1), xid, 9, 0)))
    assert answer(result, Guarantee.AVAILABILITY).outcome is Outcome.KEPT


def test_an_uncorrectable_error_breaks_when_its_count_grows_and_not_by_being_there() -> None:
    assert answer(think(at(0, ecc=3)), Guarantee.AVAILABILITY).outcome is Outcome.KEPT
    assert answer(think(at(0, ecc=3), at(1, ecc=4)), Guarantee.AVAILABILITY).loss == {Cause.ECC: 1.0}
    assert answer(think(at(0, ecc=3), at(1, ecc=0)), Guarantee.AVAILABILITY).outcome is Outcome.KEPT


def test_a_smaller_instance_than_promised_is_a_breach_by_its_worst_dimension() -> None:
    driver = reading([gpu(1, [instance(1, 9, "1g.10gb")])])
    result = think(evidence(driver, held_mig("2g.20gb"), STORE))
    assert answer(result, Guarantee.CONFORMANCE).loss == {Cause.WRONG_PROFILE: pytest.approx(1 - 9984 / 20096)}


def test_fewer_sms_than_the_profile_are_a_breach_even_with_all_its_memory() -> None:
    driver = reading([gpu(1, [instance(1, 9, "2g.20gb", sms=16.0)])])
    result = think(evidence(driver, held_mig("2g.20gb"), STORE))
    assert answer(result, Guarantee.CONFORMANCE).loss == {Cause.WRONG_PROFILE: pytest.approx(0.5)}


def test_more_than_promised_is_no_breach() -> None:
    driver = reading([gpu(1, [instance(1, 9, "2g.20gb")])])
    result = think(evidence(driver, held_mig("1g.10gb"), STORE))
    assert answer(result, Guarantee.CONFORMANCE).outcome is Outcome.KEPT


def test_a_profile_that_the_catalogue_does_not_list_cannot_be_compared() -> None:
    result = think(evidence(reading([gpu(1, [instance(1, 9)])]), held_mig("1g.11gb"), STORE))
    assert answer(result, Guarantee.CONFORMANCE) == Verdict(Outcome.BLIND, Reason.UNSUPPORTED)


def slices(holders: int, replicas: int, labels: dict[str, str] | None = None) -> Evidence:
    held = [holds(f"p{n}", f"{GPU1}::{n}") for n in range(holders)]
    offered = [f"{GPU1}::{n}" for n in range(replicas)]
    return evidence(
        reading([gpu(1)]),
        allocations(*held, allocatable=offered),
        pods(*(pod(f"p{n}") for n in range(holders)), labels=labels),
    )


def conformance(instant: Evidence) -> set[tuple[Outcome, Reason | None, float]]:
    result = think(instant)
    found = [verdicts[Guarantee.CONFORMANCE] for verdicts in result.verdicts.values()]
    return {(v.outcome, v.reason, sum(v.loss.values())) for v in found}


def test_more_holders_than_replicas_short_change_every_one_of_them() -> None:
    assert conformance(slices(4, 4)) == {(Outcome.KEPT, None, 0)}
    assert conformance(slices(5, 4)) == {(Outcome.BROKEN, None, 1 - 4 / 5)}


def test_a_device_held_whole_and_in_slices_is_oversubscribed() -> None:
    item = Allocation("team", "b", "main", "nvidia.com/gpu", parse(f"{GPU1}::0"))
    held = allocations(holds("a", GPU1), [item])
    assert conformance(evidence(reading([gpu(1)]), held, pods(pod("a"), pod("b")))) == {
        (Outcome.BROKEN, None, 0.5),
        (Outcome.BLIND, Reason.NOT_YET, 0),
    }


def test_mps_limits_that_nobody_reads_back_leave_conformance_blind() -> None:
    labels = {"nvidia.com/gpu.sharing-strategy": "mps"}
    assert conformance(slices(2, 4, labels)) == {(Outcome.BLIND, Reason.UNSUPPORTED, 0)}


def test_without_a_replica_count_a_time_slice_has_no_promise_to_compare() -> None:
    held = allocations(holds("a", f"{GPU1}::0"))
    result = think(evidence(reading([gpu(1)]), held, STORE))
    assert answer(result, Guarantee.CONFORMANCE) == Verdict(Outcome.BLIND, Reason.NOT_YET)
    (partition,) = result.snapshot.partitions
    assert partition.promise.compute is not None
    assert isinstance(partition.promise.compute.amount, Missing)


def test_a_time_slice_is_promised_no_memory_and_has_no_memory_guarantee() -> None:
    result = think(slices(1, 4))
    (verdicts,) = result.verdicts.values()
    assert set(verdicts) == {
        Guarantee.AVAILABILITY,
        Guarantee.CONFORMANCE,
        Guarantee.COMPUTE,
        Guarantee.ISOLATION,
    }

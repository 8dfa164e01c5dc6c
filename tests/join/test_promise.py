"""What is promised in each mode; the recorded nodes hold the common cases, these are the corners."""

from __future__ import annotations

import pytest

from exporter.model import Missing, Partition, PromiseClass, PromiseSource, Reason
from exporter.policy import Policy
from tests.join.worlds import MIB, allocations, evidence, gpu, holds, instance, mig_id, pod, pods, reading, think, uuid

GPU1 = uuid("GPU", 1)
MPS = {"nvidia.com/gpu.sharing-strategy": "mps"}


def only(
    labels: dict[str, str] | None, *ids: str, replicas: int, policy: Policy | None = None, mig: bool = False
) -> Partition:
    base = ids[0].partition("::")[0]
    driver = reading([gpu(1, [instance(1, 9, "2g.20gb")] if mig else [])])
    held = allocations(holds("a", *ids), allocatable=[f"{base}::{n}" for n in range(replicas)])
    (found,) = think(
        evidence(driver, held, pods(pod("a"), labels=labels)), policy=policy or Policy()
    ).snapshot.partitions
    return found


@pytest.mark.parametrize(
    ("replicas", "slots", "share", "mebibytes"),
    [(4, 1, 0.25, 20389), (3, 1, 0.33, 27186), (3, 2, 0.66, 2 * 27186), (7, 1, 0.14, 11651), (48, 1, 0.02, 1699)],
)
def test_an_mps_share_is_what_the_plugin_tells_the_daemon_times_the_slots(
    replicas: int, slots: int, share: float, mebibytes: int
) -> None:
    found = only(MPS, *(f"{GPU1}::{n}" for n in range(slots)), replicas=replicas)
    assert found.promise.compute is not None
    assert found.promise.memory is not None
    assert found.promise.compute.amount == pytest.approx(share)
    assert found.promise.memory.amount == mebibytes * MIB
    assert found.promise.memory.klass is PromiseClass.HARD_CAP


def test_a_slice_of_a_mig_instance_divides_the_instances_share() -> None:
    found = only(None, f"{mig_id(1)}::0", replicas=2, mig=True)
    assert found.promise.compute is not None
    assert found.promise.compute.amount == pytest.approx(32 / 132 / 2)
    assert found.promise.compute.klass is PromiseClass.DECLARED


def test_the_label_of_a_shared_instance_names_its_profile_without_the_shared_mark() -> None:
    labels = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-2g.20gb-SHARED"}
    assert only(labels, f"{mig_id(1)}::0", replicas=2, mig=True).promised_profile == "2g.20gb"


def test_fair_memory_of_time_slices_is_a_promise_of_the_policy() -> None:
    found = only(None, f"{GPU1}::0", replicas=4, policy=Policy(time_slicing_memory_fair=True))
    assert found.promise.memory is not None
    assert found.promise.memory.amount == 81559 * MIB / 4
    assert found.promise.memory.source is PromiseSource.POLICY


def test_without_allocatable_ids_the_label_tells_the_replicas() -> None:
    found = only({"nvidia.com/gpu.replicas": "5"}, f"{GPU1}::0", replicas=0)
    assert found.replicas == 5.0


@pytest.mark.parametrize("text", ["", "0", "-1", "four", "٤", "9" * 4000])
def test_a_label_that_is_no_count_is_no_count(text: str) -> None:
    found = only({"nvidia.com/gpu.replicas": text}, f"{GPU1}::0", replicas=0)
    assert found.replicas == Missing(Reason.NOT_YET)

"""GKE's ids and labels: the number is the device file's minor, an instance is named by its GPU instance, labels tell the mode."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import Missing, Partition
from exporter.pipeline import Result
from tests.join.worlds import allocations, evidence, gpu, gpu_id, holds, instance, mig_id, pod, pods, reading, think

STRATEGY = "cloud.google.com/gke-gpu-sharing-strategy"
CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"

CROSSED = [
    replace(gpu(1), minor=2, index=0),
    replace(gpu(2, [instance(1, 7), instance(2, 9, "3g.40gb")]), minor=1, index=1),
]
"""Minor 1 is the second GPU, cut in two, and minor 2 the first."""


def play(*ids: str, labels: dict[str, str] | None = None) -> Result:
    store = pods(*(pod(f"p{n}") for n in range(len(ids))), labels=labels)
    held = allocations(*(holds(f"p{n}", each) for n, each in enumerate(ids)))
    instant = evidence(reading(CROSSED), held, store)
    return think(instant, replace(instant, at=1.0))


def only(result: Result) -> Partition:
    (partition,) = result.snapshot.partitions
    return partition


@pytest.mark.parametrize(
    ("id_", "labels", "device", "sharing", "compute"),
    [
        ("nvidia2", {}, gpu_id(1), "exclusive", 1.0),
        ("nvidia1/gi7", {}, mig_id(1), "mig", 16 / 132),
        ("nvidia1/gi9", {}, mig_id(2), "mig", 60 / 132),
        ("nvidia2/vgpu3", {STRATEGY: "time-sharing", CLIENTS: "4"}, gpu_id(1), "time-slicing", 0.25),
        ("nvidia2/vgpu3", {STRATEGY: "mps", CLIENTS: "4"}, gpu_id(1), "mps", 0.25),
        ("nvidia1/gi9/vgpu1", {STRATEGY: "time-sharing", CLIENTS: "2"}, mig_id(2), "time-slicing", 30 / 132),
    ],
)
def test_an_id_is_the_device_that_its_minor_means_in_the_mode_that_the_label_tells(
    id_: str, labels: dict[str, str], device: str, sharing: str, compute: float
) -> None:
    partition = only(play(id_, labels=labels))
    assert (partition.key.device, partition.sharing) == (device, sharing)
    promised = partition.promise.compute
    assert promised is not None
    assert promised.amount == pytest.approx(compute)


def test_without_the_count_of_clients_a_slice_is_of_unknown_size() -> None:
    promised = only(play("nvidia2/vgpu0", labels={STRATEGY: "time-sharing"})).promise.compute
    assert promised is not None
    assert isinstance(promised.amount, Missing)


@pytest.mark.parametrize("id_", ["nvidia7", "nvidia2/gi7", "nvidia1/gi3"])
def test_an_id_of_nothing_that_is_there_is_not_resolved(id_: str) -> None:
    result = play(id_)
    assert result.snapshot.partitions == ()
    assert result.snapshot.orphans["unresolved_device_id"] == 1


def test_clients_on_one_device_hold_its_slots_together() -> None:
    labels = {STRATEGY: "time-sharing", CLIENTS: "2"}
    result = play("nvidia2/vgpu0", "nvidia2/vgpu1", "nvidia2/vgpu2", labels=labels)
    assert {partition.holders for partition in result.snapshot.partitions} == {3}
    assert "oversubscribed" in {drift.name for drift in result.drifts}


def test_the_partition_size_of_the_label_is_what_was_promised() -> None:
    size = "cloud.google.com/gke-gpu-partition-size"
    right, wrong = play("nvidia1/gi7", labels={size: "1g.10gb"}), play("nvidia1/gi7", labels={size: "3g.40gb"})
    assert [only(each).promised_profile for each in (right, wrong)] == ["1g.10gb", "3g.40gb"]
    assert ([each.name for each in right.drifts], [each.name for each in wrong.drifts]) == ([], ["wrong_profile"])

"""A node of AMD partitions through the join and the judge as they are: compute and memory cut independently (decision 0008)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import (
    Allocation,
    DeviceUuid,
    DriverReading,
    Gpu,
    GpuUuid,
    Inventory,
    MigInstance,
    Missing,
    Profile,
    Reason,
)
from exporter.partitions import Evidence
from exporter.pipeline import Result
from exporter.records import Sharing
from exporter.sources import podresources_pb2 as pb
from exporter.sources.podresources import held
from exporter.verdict import Cause, Guarantee, Outcome
from tests.join.worlds import GPU_USE, allocations, evidence, facts, pod, pods, process, think, use

GIB = 1 << 30
BDF = "0000:19:00.0"
GPU = GpuUuid("GPU-amd-19000")
UNSUPPORTED = Missing(Reason.UNSUPPORTED)
CUS = 304.0


def xcp(number: int) -> DeviceUuid:
    return DeviceUuid(f"XCP-amd-19000-{number}")


def mi300x(memories: int) -> DriverReading:
    """An MI300X in CPX: eight compute partitions on one or four memories (NPS1, NPS4), or, as no board of today, on eight."""
    own = memories == 8
    size = 192 * GIB // memories
    profile = Profile(
        name=f"cpx_nps{memories}", profile_id=0, slices=1, sm_count=38, memory_bytes=size, memory_is_own=own
    )
    instances = tuple(
        MigInstance(
            uuid=xcp(number),
            index=number,
            gpu_instance=number * memories // 8,  # the memory partition
            compute_instance=number,
            profile=profile.name,
            sm_count=38.0,
            memory_bytes=float(size),
            kind="xcp",
            # The plugin names the first partition as the GPU.
            names=(BDF,) if number == 0 else (f"amdgpu_xcp_{number}",),
        )
        for number in range(8)
    )
    gpu = Gpu(
        uuid=GPU,
        index=0,
        minor=None,
        model="AMD Instinct MI300X",
        architecture="cdna3",
        sm_count=CUS,
        mig_current=True,
        mig_pending=True,
        profiles=(profile,),
        instances=instances,
    )
    uses = {instance.uuid: use((), sm_active=0.6, total=float(size)) for instance in instances}
    # Many counters exist on the first partition alone.
    silent = replace(use((), total=float(size)), engine_active=UNSUPPORTED, sm_active=UNSUPPORTED)
    uses |= {instance.uuid: silent for instance in instances[2:]}
    return DriverReading(
        at=0.0,
        inventory=Inventory(driver="6.12.12", nvml="", gpus=(gpu,)),
        gpus={GPU: GPU_USE},
        devices={DeviceUuid(GPU): use((), total=192.0 * GIB), **uses},
    )


def kubelet(*ids: str) -> list[Allocation]:
    """Pods p0, p1, … that hold these, as the kubelet's answer has them."""
    answer = pb.ListPodResourcesResponse()
    for number, text in enumerate(ids):
        container = answer.pod_resources.add(name=f"p{number}", namespace="team").containers.add(name="main")
        container.devices.add(resource_name="amd.com/cpx_nps1", device_ids=[text])
    return list(held(answer))


def world(memories: int, *ids: str) -> Evidence:
    store = pods(*(pod(f"p{number}") for number in range(len(ids))))
    return evidence(mi300x(memories), allocations(kubelet(*ids)), store)


def answers(result: Result, name: str) -> dict[str, str]:
    (key,) = (p.key for p in result.snapshot.partitions if p.key.pod == name)
    return {str(g): str(verdict.outcome) for g, verdict in result.verdicts[key].items()}


def test_partitions_are_found_by_the_names_that_amds_plugin_gives_them() -> None:
    result = think(world(1, BDF, "amdgpu_xcp_1", "amdgpu_xcp_7"))
    assert [(p.key.gpu, p.key.device, p.sharing) for p in result.snapshot.partitions] == [
        (GPU, xcp(number), Sharing.XCP) for number in (0, 1, 7)
    ]
    assert result.snapshot.orphans["unowned_device"] == 5


def test_an_id_that_no_driver_names_is_not_guessed() -> None:
    instant = world(1, "amdgpu_xcp_30")
    result = think(instant, instant)
    assert result.snapshot.partitions == ()
    assert result.snapshot.orphans["unresolved_device_id"] == 1


@pytest.mark.parametrize(("memories", "promised"), [(1, None), (4, None), (8, 24 * GIB)])
def test_memory_is_promised_where_it_is_the_partitions_own_and_compute_always(
    memories: int, promised: int | None
) -> None:
    (partition,) = think(world(memories, BDF)).snapshot.partitions
    assert partition.promise.compute is not None
    assert partition.promise.compute.amount == pytest.approx(38 / CUS)
    memory = partition.promise.memory
    assert (None if memory is None else memory.amount) == promised


def test_the_judge_takes_them_as_it_takes_any_partition_that_hardware_keeps() -> None:
    result = think(world(1, BDF, "amdgpu_xcp_2"))
    assert answers(result, "p0") == {
        "availability": "kept",
        "conformance": "kept",
        "compute": "kept",
        "isolation": "kept",
    }
    # A counter that is on the first partition alone is unknown on the others: blind, and not idle.
    assert answers(result, "p1")["compute"] == "blind"


def test_who_shares_a_memory_is_measured_by_its_own_processes() -> None:
    instant = world(1, BDF, "amdgpu_xcp_1")
    driver = instant.driver
    assert not isinstance(driver, Missing)
    devices = dict(driver.devices)
    for number, pid in ((0, 10), (1, 11)):
        devices[xcp(number)] = use((process(pid, memory=(30 + number) * GIB),), sm_active=0.5, total=192.0 * GIB)
    table = (facts(10, "uid-p0", "p0-main"), facts(11, "uid-p1", "p1-main"))
    placed = replace(instant, driver=replace(driver, devices=devices), processes={each.pid: each for each in table})
    used = {p.key.pod: p.used_memory_bytes for p in think(placed).snapshot.partitions}
    assert used == {"p0": 30 * GIB, "p1": 31 * GIB}


def test_a_partition_whose_layout_is_changed_is_gone_and_named() -> None:
    before, after = world(1, "amdgpu_xcp_1"), world(1, "amdgpu_xcp_1")
    driver = after.driver
    assert not isinstance(driver, Missing)
    (gpu,) = driver.inventory.gpus
    whole = replace(
        gpu, instances=(replace(gpu.instances[0], uuid=DeviceUuid("XCP-amd-19000-spx"), profile="spx_nps1"),)
    )
    reset = replace(driver, inventory=replace(driver.inventory, gpus=(whole,)), devices={})
    result = think(before, replace(after, at=1.0, driver=reset), replace(after, at=2.0, driver=reset))
    (partition,) = result.snapshot.partitions
    assert result.verdicts[partition.key][Guarantee.AVAILABILITY].loss == {Cause.MIG_RECONFIGURED: 1.0}
    assert result.verdicts[partition.key][Guarantee.COMPUTE].outcome is Outcome.BLIND

"""MIG as the fake driver shows it: sparse slots, shared memory, handles that die, and who may look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.state import Code, FakeDriver, FakeGpuInstance, FakeInstance
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import H100, HIGH, LOW, MIB, SMALL, h100, mixed


def code_of(nvml: Any, call: Callable[[], Any]) -> int:
    with pytest.raises(nvml.NVMLError) as refused:
        call()
    return int(refused.value.value)


def slots(nvml: Any, parent: Any) -> dict[int, Any]:
    found = {}
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(parent)):
        try:
            found[index] = nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, index)
        except nvml.NVMLError_NotFound:
            continue
    return found


def test_slots_without_a_device_are_not_found(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    found = slots(nvml, parent)
    assert {index: nvml.nvmlDeviceGetUUID(handle) for index, handle in found.items()} == {0: LOW, 1: HIGH, 5: SMALL}
    assert [nvml.nvmlDeviceGetIndex(handle) for handle in found.values()] == [0, 1, 5]
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, 7)) == Code.INVALID_ARGUMENT


def test_a_mig_device_says_what_it_is_and_whose(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    high = slots(nvml, parent)[1]
    assert nvml.nvmlDeviceGetName(high) == "NVIDIA H100 80GB HBM3 MIG 2c.3g.40gb"
    assert (nvml.nvmlDeviceGetGpuInstanceId(high), nvml.nvmlDeviceGetComputeInstanceId(high)) == (2, 1)
    assert bool(nvml.nvmlDeviceIsMigDeviceHandle(high))
    assert not bool(nvml.nvmlDeviceIsMigDeviceHandle(parent))
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(high)) == H100
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(HIGH.encode())) == HIGH
    attributes = nvml.nvmlDeviceGetAttributes_v2(high)
    assert (attributes.multiprocessorCount, attributes.memorySizeMB) == (32, 40448)
    assert (attributes.gpuInstanceSliceCount, attributes.computeInstanceSliceCount) == (3, 2)


def test_compute_instances_share_the_memory_of_their_gpu_instance(nvml: Any, become: Become) -> None:
    become(mixed())
    found = slots(nvml, nvml.nvmlDeviceGetHandleByIndex(0))
    low, high, small = (nvml.nvmlDeviceGetMemoryInfo(handle) for handle in found.values())
    assert (low.total, low.used) == (high.total, high.used) == (40448 * MIB, 11091 * MIB)
    assert (small.total, small.used) == (9984 * MIB, 0)


@pytest.mark.parametrize(
    ("call", "on_parent", "on_instance"),
    [
        ("nvmlDeviceGetUtilizationRates", Code.NOT_SUPPORTED, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetPowerUsage", None, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetTotalEnergyConsumption", None, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetCurrentClocksEventReasons", None, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetNumGpuCores", Code.NOT_SUPPORTED, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetRemappedRows", Code.NOT_SUPPORTED, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetRowRemapperHistogram", None, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetAttributes_v2", Code.NOT_SUPPORTED, None),
        ("nvmlDeviceGetGpuInstanceId", Code.NOT_SUPPORTED, None),
        ("nvmlDeviceGetMemoryInfo", None, None),
        ("nvmlDeviceGetBAR1MemoryInfo", None, Code.NOT_SUPPORTED),
        ("nvmlDeviceGetMaxMigDeviceCount", None, Code.INVALID_ARGUMENT),
    ],
)
def test_in_mig_mode_each_handle_answers_what_the_header_says(
    nvml: Any, become: Become, call: str, on_parent: Code | None, on_instance: Code | None
) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    for handle, expected in ((parent, on_parent), (slots(nvml, parent)[0], on_instance)):
        function = getattr(nvml, call)
        if expected is None:
            function(handle)
        else:
            assert code_of(nvml, lambda: function(handle)) == expected  # noqa: B023  # called at once


def test_temperature_and_clocks_of_an_instance_are_refused_in_their_own_ways(nvml: Any, become: Become) -> None:
    become(mixed())
    small = slots(nvml, nvml.nvmlDeviceGetHandleByIndex(0))[5]
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetTemperatureV(small, 0)) == Code.INVALID_ARGUMENT
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetTemperature(small, 0)) == Code.INVALID_ARGUMENT
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetClockInfo(small, 1)) == Code.NOT_SUPPORTED


def test_the_unprivileged_see_instances_and_not_their_sum(nvml: Any, become: Become) -> None:
    become(replace(mixed(), privileged=False))
    parent, whole = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    low = slots(nvml, parent)[0]
    assert nvml.nvmlDeviceGetMemoryInfo(low).used == 11091 * MIB
    assert nvml.nvmlDeviceGetMemoryInfo(whole).total == 46068 * MIB
    for call in (
        nvml.nvmlDeviceGetMemoryInfo,
        nvml.nvmlDeviceGetBAR1MemoryInfo,
        nvml.nvmlDeviceGetComputeRunningProcesses,
        lambda handle: nvml.nvmlDeviceGetGpuInstanceById(handle, 2),
    ):
        assert code_of(nvml, lambda: call(parent)) == Code.NO_PERMISSION  # noqa: B023  # called at once


def test_the_privileged_see_where_a_gpu_instance_lies_even_without_a_compute_instance(
    nvml: Any, become: Become
) -> None:
    board = h100()
    bare = FakeGpuInstance(id=11, profile_id=19, start=1)
    become(FakeDriver(gpus=(replace(board, gpu_instances=(*board.gpu_instances, bare)),)))
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    info = nvml.nvmlGpuInstanceGetInfo(nvml.nvmlDeviceGetGpuInstanceById(parent, 2))
    assert (info.id, info.profileId, info.placement.start, info.placement.size) == (2, 9, 4, 4)
    found = (nvml.c_nvmlGpuInstance_t * 7)()
    count = nvml.c_uint(0)
    nvml.nvmlDeviceGetGpuInstances(parent, 19, found, nvml.byref(count))
    assert [nvml.nvmlGpuInstanceGetInfo(found[place]).id for place in range(count.value)] == [9, 11]
    second = nvml.nvmlGpuInstanceGetComputeInstanceById(nvml.nvmlDeviceGetGpuInstanceById(parent, 2), 1)
    placed = nvml.nvmlComputeInstanceGetInfo(second)
    assert (placed.id, placed.placement.start, placed.placement.size) == (1, 1, 2)
    assert nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(parent, 19) == 2
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetGpuInstanceById(parent, 5)) == Code.NOT_FOUND


def test_a_handle_dies_with_its_instance_and_its_slot_lives_on(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    old = slots(nvml, parent)[5]
    board = h100()
    become(FakeDriver(gpus=(replace(board, instances=board.instances[:2]),)))
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetUUID(old)) == Code.INVALID_ARGUMENT
    anew = FakeInstance(uuid="MIG-new", index=5, gpu_instance=9, profile="1g.10gb")
    become(FakeDriver(gpus=(replace(board, instances=(*board.instances[:2], anew)),)))
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetUUID(old)) == Code.INVALID_ARGUMENT
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, 5)) == "MIG-new"
    # The header warns of this: the old handle is the same slot, and names another device now.
    assert nvml.nvmlDeviceGetUUID(old) == "MIG-new"


def test_a_gpu_instance_handle_dies_when_its_id_is_used_again(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    old = nvml.nvmlDeviceGetGpuInstanceById(parent, 9)
    board = h100()
    anew = replace(board.instances[2], uuid="MIG-new")
    become(FakeDriver(gpus=(replace(board, instances=(*board.instances[:2], anew)),)))
    assert code_of(nvml, lambda: nvml.nvmlGpuInstanceGetInfo(old)) == Code.INVALID_ARGUMENT


def test_switching_mig_off_takes_the_instances_away(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    low = slots(nvml, parent)[0]
    become(FakeDriver(gpus=(replace(h100(), mig_current=0),)))
    assert nvml.nvmlDeviceGetMigMode(parent) == [0, 1]
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(parent) == 0
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetUUID(low)) == Code.INVALID_ARGUMENT
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, 0)) == Code.NOT_SUPPORTED


def catalogue(nvml: Any, parent: Any, version: int) -> dict[int, Any]:
    rows = {}
    for index in range(0x20):
        try:
            rows[index] = nvml.nvmlDeviceGetGpuInstanceProfileInfo(parent, index, version)
        except nvml.NVMLError_NotSupported:
            continue
        except nvml.NVMLError_InvalidArgument:
            break
    return rows


def test_the_catalogue_has_holes_and_names_only_while_mig_is_on(nvml: Any, become: Become) -> None:
    become(mixed())
    parent, other = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    rows = catalogue(nvml, parent, 2)
    assert {index: (row.id, row.name, row.multiprocessorCount) for index, row in rows.items()} == {
        0: (19, "MIG 1g.10gb", 16),
        2: (9, "MIG 3g.40gb", 60),
        4: (0, "MIG 7g.80gb", 132),
    }
    assert nvml.nvmlDeviceGetGpuInstanceProfileInfoById(parent, 9).memorySizeMB == 40448
    become(replace(mixed(), gpus=(replace(h100(), mig_current=0), mixed().gpus[1]), profile_prefix=""))
    assert catalogue(nvml, parent, 2) == {}
    assert {index: row.id for index, row in catalogue(nvml, parent, 1).items()} == {0: 19, 2: 9, 4: 0}
    assert catalogue(nvml, other, 1) == {}

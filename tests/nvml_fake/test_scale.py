"""Large nodes: every device is found, and a call costs no more than a look at the file's time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.state import (
    FakeDriver,
    FakeGpu,
    FakeGpuInstance,
    FakeInstance,
    FakeMemory,
    FakeProcess,
    write,
)
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.test_mig import slots


def node(gpus: int, instances: int, processes: int) -> FakeDriver:
    def board(number: int) -> FakeGpu:
        return FakeGpu(
            uuid=f"GPU-{number}",
            minor=number,
            mig_current=1,
            mig_pending=1,
            max_mig_devices=instances,
            gpm_supported=True,
            gpu_instances=tuple(
                FakeGpuInstance(id=gi, profile_id=19, memory=FakeMemory(total=1 << 30, used=gi))
                for gi in range(instances)
            ),
            instances=tuple(
                FakeInstance(
                    uuid=f"MIG-{number}-{gi}",
                    index=gi,
                    gpu_instance=gi,
                    profile="1g.10gb",
                    processes=tuple(FakeProcess(pid=1 + gi * processes + place) for place in range(processes)),
                )
                for gi in range(instances)
            ),
        )

    return FakeDriver(gpus=tuple(board(number) for number in range(gpus)))


@pytest.mark.parametrize(("gpus", "instances", "processes"), [(16, 8, 64), (74, 7, 1)])
def test_every_device_of_a_large_node_is_found(
    nvml: Any, become: Become, gpus: int, instances: int, processes: int
) -> None:
    become(node(gpus, instances, processes))
    found = set()
    for index in range(nvml.nvmlDeviceGetCount()):
        for slot, handle in slots(nvml, nvml.nvmlDeviceGetHandleByIndex(index)).items():
            assert nvml.nvmlDeviceGetMemoryInfo(handle).used == slot
            assert len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)) == processes
            found.add(nvml.nvmlDeviceGetUUID(handle))
    assert len(found) == gpus * instances


def test_a_state_that_has_not_changed_is_not_parsed_again(nvml: Any, become: Become) -> None:
    large = node(74, 7, 8)
    become(large)
    handle = nvml.nvmlDeviceGetHandleByIndex(73)

    def seconds(calls: int) -> float:
        started = time.perf_counter()
        for _ in range(calls):
            nvml.nvmlDeviceGetPowerUsage(handle)
        return time.perf_counter() - started

    seconds(1)
    unchanged = min(seconds(200) for _ in range(5)) / 200
    changed = []
    for cuda in range(3):
        become(replace(large, cuda=cuda))
        changed.append(seconds(1))
    assert unchanged * 10 < min(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instances": (FakeInstance(uuid="MIG-x", index=0, gpu_instance=9, profile="p"),)}, "no GPU instance 9"),
        ({"instances": (FakeInstance(uuid="MIG-x", index=7, gpu_instance=0, profile="p"),)}, "beyond 2 slots"),
        ({"gpu_instances": (FakeGpuInstance(id=0, profile_id=1),) * 2}, "share an id"),
    ],
)
def test_a_state_that_contradicts_itself_is_not_written(tmp_path: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "state", node(1, 2, 0).changed("GPU-0", **change))
    assert not (tmp_path / "state").exists()

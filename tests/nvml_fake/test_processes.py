"""Process lists and utilisation samples, in and out of MIG mode."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.state import WHOLE_GPU, Code, FakeDriver, FakeProcess, Refused
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import MIB, h100, l40s, mixed
from tests.nvml_fake.test_mig import code_of, slots

LISTS = ("Compute", "Graphics", "MPSCompute")


def pids(nvml: Any, handle: Any, which: str) -> list[int]:
    return [entry.pid for entry in getattr(nvml, f"nvmlDeviceGet{which}RunningProcesses")(handle)]


def test_each_kind_of_process_has_its_list(nvml: Any, become: Become) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    assert {which: pids(nvml, handle, which) for which in LISTS} == {
        "Compute": [201, 202],
        "Graphics": [203],
        "MPSCompute": [204],
    }
    details = [
        [entry.pid for entry in nvml.nvmlDeviceGetRunningProcessDetailList(handle, nvml.nvmlProcessDetailList_v1, mode)]
        for mode in (0, 1, 2)
    ]
    assert details == [[201, 202], [203], [204]]


def test_an_instance_lists_its_own_and_its_parent_lists_all(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    assert [pids(nvml, handle, "Compute") for handle in slots(nvml, parent).values()] == [[101], [102], []]
    listed = nvml.nvmlDeviceGetComputeRunningProcesses(parent)
    assert [(entry.pid, entry.gpuInstanceId, entry.computeInstanceId) for entry in listed] == [(101, 2, 0), (102, 2, 1)]


def test_memory_and_instance_of_a_process_may_be_unknown(nvml: Any, become: Become) -> None:
    become(mixed())
    listed = nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(0))
    assert [entry.usedGpuMemory for entry in listed] == [2296 * MIB, None]
    first = nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(1))[0]
    assert first.gpuInstanceId == first.computeInstanceId == WHOLE_GPU


def test_the_size_protocol_tells_how_many_and_fills_only_what_fits(nvml: Any, become: Become) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    function = nvml._nvmlGetFunctionPointer("nvmlDeviceGetComputeRunningProcesses_v3")
    count, room = nvml.c_uint(1), (nvml.c_nvmlProcessInfo_t * 3)()
    assert function(handle, nvml.byref(count), room) == Code.INSUFFICIENT_SIZE
    assert (count.value, room[0].pid) == (2, 0)
    count.value = 3
    assert function(handle, nvml.byref(count), room) == 0
    assert (count.value, [entry.pid for entry in room]) == (2, [201, 202, 0])
    assert function(handle, nvml.byref(count), None) == Code.INVALID_ARGUMENT


def test_lists_can_be_refused(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(l40s(), processes=Refused(Code.NO_PERMISSION)),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) == Code.NO_PERMISSION


def test_only_who_was_active_has_a_sample(nvml: Any, become: Become) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    since = int((time.time() - 1) * 1e6)
    samples = nvml.nvmlDeviceGetProcessUtilization(handle, since)
    assert [(sample.pid, sample.smUtil, sample.memUtil) for sample in samples] == [(201, 75, 20)]
    assert since < samples[0].timeStamp <= time.time() * 1e6
    details = nvml.nvmlDeviceGetProcessesUtilizationInfo(handle, since)
    assert [(sample.pid, sample.smUtil, sample.memUtil) for sample in details] == [(201, 75, 20)]


@pytest.mark.parametrize(("since", "expected"), [(0, [1, 2]), (1000, [2]), (1999, [2])])
def test_samples_are_those_after_the_time_stamp(nvml: Any, become: Become, since: int, expected: list[int]) -> None:
    stamped = tuple(FakeProcess(pid=pid, sm=10, sampled_at_us=pid * 1000) for pid in (1, 2))
    become(FakeDriver(gpus=(replace(l40s(), processes=stamped),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    samples = nvml.nvmlDeviceGetProcessUtilization(handle, since)
    assert [(sample.pid, sample.timeStamp) for sample in samples] == [(pid, pid * 1000) for pid in expected]
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetProcessUtilization(handle, 2000)) == Code.NOT_FOUND


def test_nobody_active_is_not_found(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(l40s(), processes=(FakeProcess(pid=1),)),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetProcessUtilization(handle, 0)) == Code.NOT_FOUND
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetProcessesUtilizationInfo(handle, 0)) == Code.NOT_FOUND


def test_under_mig_the_size_of_the_samples_is_told_and_the_samples_are_not(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    function = nvml._nvmlGetFunctionPointer("nvmlDeviceGetProcessUtilization")
    count = nvml.c_uint(0)
    assert function(parent, None, nvml.byref(count), nvml.c_ulonglong(0)) == Code.INSUFFICIENT_SIZE
    assert count.value > 0
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetProcessUtilization(parent, 0)) == Code.NOT_SUPPORTED
    low = slots(nvml, parent)[0]
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetProcessUtilization(low, 0)) == Code.INVALID_ARGUMENT
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetProcessesUtilizationInfo(parent, 0)) == Code.NOT_SUPPORTED


def test_processes_of_the_parent_itself_are_of_no_instance(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(h100(), processes=(FakeProcess(pid=9, kind="graphics"),)),)))
    listed = nvml.nvmlDeviceGetGraphicsRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(0))
    assert [(entry.pid, entry.gpuInstanceId) for entry in listed] == [(9, WHOLE_GPU)]

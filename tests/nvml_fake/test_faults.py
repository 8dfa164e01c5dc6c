"""Everything that goes wrong with a driver: refusals, hangs, delays, lost boards, two threads at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.library import FakeLibrary
from tests.fake_nvml.state import Code, FakeDriver, Fault, Faults
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import H100, L40S, LOW, h100, l40s, mixed
from tests.nvml_fake.test_mig import code_of, slots

POWER = "nvmlDeviceGetPowerUsage"


def faulty(*calls: Fault, latency_us: int = 0) -> FakeDriver:
    return replace(mixed(), faults=Faults(calls=calls, latency_us=latency_us))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("device", "refused"),
    [("", {0, 1, "low"}), (L40S, {1}), (H100, {0, "low"}), (LOW, {"low"})],
)
def test_a_call_is_refused_on_the_devices_that_a_fault_names(
    nvml: Any, become: Become, device: str, refused: set[object]
) -> None:
    become(mixed())
    parent, other = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    handles = {0: parent, 1: other, "low": slots(nvml, parent)[0]}
    become(faulty(Fault(call="nvmlDeviceGetMemoryInfo", code=Code.UNKNOWN, device=device)))
    found = set()
    for name, handle in handles.items():
        try:
            nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError_Unknown:
            found.add(name)
        assert nvml.nvmlDeviceGetUUID(handle)
    assert found == refused


def test_a_board_can_be_counted_and_not_be_looked_up(nvml: Any, become: Become) -> None:
    become(faulty(Fault(call="nvmlDeviceGetHandleByIndex_v2", code=Code.NO_PERMISSION, device=L40S)))
    assert nvml.nvmlDeviceGetCount() == 2
    assert nvml.nvmlDeviceGetHandleByIndex(0)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(1)) == Code.NO_PERMISSION


def test_a_fault_may_name_the_gpu_instance_that_is_sampled(nvml: Any, become: Become) -> None:
    become(faulty(Fault(call="nvmlGpmMigSampleGet", code=Code.UNKNOWN, device=LOW)))
    parent, sample = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlGpmSampleAlloc()
    assert code_of(nvml, lambda: nvml.nvmlGpmMigSampleGet(parent, 2, sample)) == Code.UNKNOWN
    nvml.nvmlGpmMigSampleGet(parent, 9, sample)
    nvml.nvmlGpmSampleFree(sample)


@pytest.mark.parametrize(
    ("fault", "call"),
    [
        (Fault(call=POWER, hang=True), lambda nvml, handle: nvml.nvmlDeviceGetPowerUsage(handle)),
        (Fault(call=POWER, hang=True, device=L40S), lambda nvml, handle: nvml.nvmlDeviceGetPowerUsage(handle)),
        (Fault(call="*", hang=True), lambda nvml, _: nvml.nvmlDeviceGetCount()),
        (
            Fault(call="nvmlDeviceGetHandleByIndex_v2", hang=True, device=L40S),
            lambda nvml, _: nvml.nvmlDeviceGetHandleByIndex(1),
        ),
    ],
)
def test_a_call_hangs_until_the_fault_is_gone_and_then_answers(
    nvml: Any, become: Become, library: FakeLibrary, fault: Fault, call: Callable[[Any, Any], object]
) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    become(faulty(fault))
    answers: list[object] = []
    hanging = threading.Thread(target=lambda: answers.append(call(nvml, handle)))
    hanging.start()
    until(lambda: library.in_flight == 1)
    become(replace(faulty(fault), cuda=1))  # another state with the same fault changes nothing
    time.sleep(0.02)
    assert hanging.is_alive()
    become(mixed())
    hanging.join(20)
    assert len(answers) == 1
    assert library.in_flight == 0


def test_two_threads_inside_at_once_are_counted(nvml: Any, become: Become, library: FakeLibrary) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    before = library.concurrent_calls
    nvml.nvmlDeviceGetPowerUsage(handle)
    assert library.concurrent_calls == before
    become(faulty(Fault(call=POWER, hang=True)))
    hanging = threading.Thread(target=nvml.nvmlDeviceGetPowerUsage, args=(handle,))
    hanging.start()
    until(lambda: library.in_flight == 1)
    assert nvml.nvmlDeviceGetUUID(handle) == L40S
    assert library.concurrent_calls == before + 1
    become(mixed())
    hanging.join(20)


@pytest.mark.parametrize(
    "slow",
    [faulty(latency_us=30_000), faulty(Fault(call=POWER, delay_us=30_000, device=L40S))],
)
def test_a_call_takes_its_time(nvml: Any, become: Become, slow: FakeDriver) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    become(slow)
    started = time.monotonic()
    assert nvml.nvmlDeviceGetPowerUsage(handle) == 70_000
    assert time.monotonic() - started >= 0.03


def test_a_board_off_the_bus_answers_nothing_and_may_come_back(nvml: Any, become: Become) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    low = slots(nvml, parent)[0]
    become(mixed().changed(H100, lost=Code.GPU_IS_LOST))
    for call in (nvml.nvmlDeviceGetUUID, nvml.nvmlDeviceGetPowerUsage, nvml.nvmlDeviceGetMemoryInfo):
        for handle in (parent, low):
            assert code_of(nvml, lambda: call(handle)) == Code.GPU_IS_LOST  # noqa: B023  # called at once
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(0)) == Code.GPU_IS_LOST
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(1)) == L40S
    become(FakeDriver(gpus=(l40s(),)))
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetUUID(parent)) == Code.GPU_IS_LOST
    become(FakeDriver(gpus=(l40s(), h100())))
    assert nvml.nvmlDeviceGetUUID(low) == LOW
    assert nvml.nvmlDeviceGetIndex(parent) == 1


def test_a_board_that_needs_a_reset_still_says_who_it_is(nvml: Any, become: Become) -> None:
    become(mixed().changed(L40S, lost=Code.RESET_REQUIRED))
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    assert nvml.nvmlDeviceGetUUID(handle) == L40S
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle)) == Code.RESET_REQUIRED


def test_calls_are_counted_by_name(nvml: Any, become: Become, library: FakeLibrary) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    before, all_before = library.calls(POWER), library.calls()
    for _ in range(3):
        nvml.nvmlDeviceGetPowerUsage(handle)
    assert (library.calls(POWER) - before, library.calls() - all_before) == (3, 3)
    assert library.calls("nvmlNoSuchFunction") == 0

"""Events: each given once, to whom it was registered for, or a timeout."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.state import (
    EVENT_MIG_CONFIG,
    EVENT_XID,
    NOT_SUPPORTED,
    WHOLE_GPU,
    Code,
    FakeDriver,
    FakeEvent,
)
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import H100, L40S, mixed
from tests.nvml_fake.test_mig import code_of, slots


def with_events(*events: FakeEvent) -> FakeDriver:
    return replace(mixed(), events=events)


def xid(sequence: int, number: int, gpu: str = H100, instance: int = WHOLE_GPU) -> FakeEvent:
    return FakeEvent(sequence=sequence, gpu=gpu, data=number, gpu_instance=instance, compute_instance=instance)


@pytest.fixture
def events(nvml: Any) -> Iterator[Any]:
    made = nvml.nvmlEventSetCreate()
    yield made
    nvml.nvmlEventSetFree(made)


def drained(nvml: Any, events: Any) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    while True:
        try:
            event = nvml.nvmlEventSetWait(events, 0)
        except nvml.NVMLError_Timeout:
            return found
        found.append((event.eventType, event.eventData, event.gpuInstanceId))


def test_an_event_is_given_once_with_its_instance(nvml: Any, become: Become, events: Any) -> None:
    become(mixed())
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(0), EVENT_XID | EVENT_MIG_CONFIG, events)
    change = FakeEvent(sequence=3, gpu=H100, type=EVENT_MIG_CONFIG)
    become(with_events(xid(1, 79), xid(2, 31, instance=2), change))
    assert drained(nvml, events) == [
        (EVENT_XID, 79, WHOLE_GPU),
        (EVENT_XID, 31, 2),
        (EVENT_MIG_CONFIG, 0, WHOLE_GPU),
    ]
    become(with_events(xid(1, 79), xid(2, 31, instance=2), change, xid(4, 43)))
    assert drained(nvml, events) == [(EVENT_XID, 43, WHOLE_GPU)]


def test_an_event_names_its_gpu(nvml: Any, become: Become, events: Any) -> None:
    become(with_events(xid(1, 79, gpu=L40S)))
    for index in (0, 1):
        nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(index), EVENT_XID, events)
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlEventSetWait(events, 0).device) == L40S


def test_only_registered_gpus_and_types_are_given(nvml: Any, become: Become, events: Any) -> None:
    queued = (xid(1, 79, gpu=L40S), FakeEvent(sequence=2, gpu=H100, type=0x2), xid(3, 31))
    become(with_events(*queued))
    assert drained(nvml, events) == []
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(0), EVENT_XID, events)
    assert drained(nvml, events) == [(EVENT_XID, 31, WHOLE_GPU)]
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(1), EVENT_XID, events)
    assert drained(nvml, events) == [(EVENT_XID, 79, WHOLE_GPU)]


def test_the_unprivileged_get_events_of_whole_gpus_only(nvml: Any, become: Become, events: Any) -> None:
    become(replace(with_events(xid(1, 31, instance=2), xid(2, 79)), privileged=False))
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(0), EVENT_XID, events)
    assert drained(nvml, events) == [(EVENT_XID, 79, WHOLE_GPU)]


def test_registration_is_refused_for_a_type_or_a_handle_without_events(nvml: Any, become: Become, events: Any) -> None:
    become(mixed())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    low = slots(nvml, parent)[0]
    register = nvml.nvmlDeviceRegisterEvents
    assert code_of(nvml, lambda: register(parent, EVENT_XID | 0x4000, events)) == Code.NOT_SUPPORTED
    assert code_of(nvml, lambda: register(low, EVENT_XID, events)) == Code.NOT_SUPPORTED
    become(mixed().changed(L40S, event_types=NOT_SUPPORTED))
    other = nvml.nvmlDeviceGetHandleByIndex(1)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetSupportedEventTypes(other)) == Code.NOT_SUPPORTED
    assert code_of(nvml, lambda: register(other, EVENT_XID, events)) == Code.NOT_SUPPORTED


def test_waiting_ends_at_the_timeout(nvml: Any, become: Become, events: Any) -> None:
    become(mixed())
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(0), EVENT_XID, events)
    started = time.monotonic()
    assert code_of(nvml, lambda: nvml.nvmlEventSetWait(events, 50)) == Code.TIMEOUT
    assert time.monotonic() - started >= 0.05


def test_waiting_ends_when_an_event_comes(nvml: Any, become: Become, events: Any) -> None:
    become(mixed())
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(0), EVENT_XID, events)
    later = threading.Timer(0.05, become, [with_events(xid(1, 79))])
    later.start()
    assert nvml.nvmlEventSetWait(events, 30_000).eventData == 79
    later.join()


def test_a_lost_gpu_ends_the_wait_after_its_last_event(nvml: Any, become: Become, events: Any) -> None:
    become(mixed())
    nvml.nvmlDeviceRegisterEvents(nvml.nvmlDeviceGetHandleByIndex(0), EVENT_XID, events)
    become(with_events(xid(1, 79)).changed(H100, lost=Code.GPU_IS_LOST))
    assert nvml.nvmlEventSetWait(events, 0).eventData == 79
    assert code_of(nvml, lambda: nvml.nvmlEventSetWait(events, 0)) == Code.GPU_IS_LOST

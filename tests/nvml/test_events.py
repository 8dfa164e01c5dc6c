"""XID errors: which GPU or instance, once each, and from every GPU that has any to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import GpuUuid, Xid
from tests.fake_nvml.state import EVENT_XID, NOT_SUPPORTED, Code, FakeDriver, FakeEvent, FakeGpu, Fault, Faults
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import H100, L40S, l40s, two_slices


def _node() -> FakeDriver:
    return FakeDriver(gpus=(two_slices().gpus[0], l40s()))


def test_an_event_is_of_an_instance_or_of_the_whole_gpu_and_told_once(read: Reader) -> None:
    read(_node())
    queued = (
        FakeEvent(sequence=1, gpu=H100, data=31, gpu_instance=9, compute_instance=0),
        FakeEvent(sequence=2, gpu=L40S, data=79),
        FakeEvent(sequence=3, gpu=H100, data=13, gpu_instance=10),
    )
    told = read(replace(_node(), events=queued))
    assert told.events == (Xid(GpuUuid(H100), 31, 9, 0), Xid(GpuUuid(L40S), 79), Xid(GpuUuid(H100), 13, 10))
    assert read(replace(_node(), events=queued)).events == ()


def test_a_storm_does_not_keep_the_reading_from_ending(read: Reader) -> None:
    read(_node())
    storm = replace(_node(), events=tuple(FakeEvent(sequence=n, gpu=L40S, data=31) for n in range(1, 1201)))
    assert [len(read(storm).events) for _ in range(3)] == [1000, 200, 0]


@pytest.mark.parametrize(
    "board",
    [
        pytest.param(l40s(event_types=EVENT_XID), id="no MIG events"),
        pytest.param(l40s(), id="every kind"),
    ],
)
def test_only_kinds_that_a_board_offers_are_asked_for(machine: Machine, read: Reader, board: FakeGpu) -> None:
    state = replace(_node(), gpus=(two_slices().gpus[0], board))
    before = machine.calls("nvmlDeviceRegisterEvents")
    read(state)
    read(state)
    assert machine.calls("nvmlDeviceRegisterEvents") - before == 2
    queued = (FakeEvent(sequence=1, gpu=L40S, data=31), FakeEvent(sequence=2, gpu=H100, data=48))
    assert [event.xid for event in read(replace(state, events=queued)).events] == [31, 48]


def test_a_board_without_events_is_asked_once_and_the_others_are_heard(machine: Machine, read: Reader) -> None:
    mute = replace(_node(), gpus=(two_slices().gpus[0], l40s(event_types=NOT_SUPPORTED)))
    before = machine.calls("nvmlDeviceGetSupportedEventTypes")
    for _ in range(5):
        read(mute)
    assert machine.calls("nvmlDeviceGetSupportedEventTypes") - before == 2
    queued = (FakeEvent(sequence=1, gpu=L40S, data=31), FakeEvent(sequence=2, gpu=H100, data=48))
    assert [event.xid for event in read(replace(mute, events=queued)).events] == [48]


def test_a_driver_without_event_sets_is_read_all_the_same(machine: Machine, read: Reader) -> None:
    before = machine.calls("nvmlEventSetCreate")
    none = replace(_node(), faults=Faults(calls=(Fault(call="nvmlEventSetCreate", code=Code.NOT_SUPPORTED),)))
    for _ in range(3):
        assert read(none).events == ()
    assert machine.calls("nvmlEventSetCreate") - before == 1


def test_a_wait_that_fails_is_mended_with_a_new_set(machine: Machine, read: Reader) -> None:
    read(_node())
    fault = Fault(call="nvmlEventSetWait_v2", code=Code.UNKNOWN)
    read(replace(_node(), faults=Faults(calls=(fault,))))
    assert machine.live_sets() == 1
    told = read(replace(_node(), events=(FakeEvent(sequence=1, gpu=H100, data=94),)))
    assert told.events == (Xid(GpuUuid(H100), 94),)

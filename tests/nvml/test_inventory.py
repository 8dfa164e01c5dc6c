"""Which devices there are: found through holes, kept without walking, and seen when they change."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from exporter.model import DeviceUuid, DriverReading, Missing, Reason
from tests.fake_nvml.state import EVENT_MIG_CONFIG, Code, FakeDriver, FakeEvent, FakeGpu, FakeProfile, Fault, Faults
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import H100, L40S, gpu_instance, h100, h100_mig, instance, l40s, mig_uuid, two_slices

UNSUPPORTED = Missing(Reason.UNSUPPORTED)
NOT_YET = Missing(Reason.NOT_YET)
WALK = "nvmlDeviceGetMigDeviceHandleByIndex"


def _uuids(reading: DriverReading, gpu: int = 0) -> list[str]:
    return [item.uuid for item in reading.inventory.gpus[gpu].instances]


def _with(state: FakeDriver, *faults: Fault) -> FakeDriver:
    return replace(state, faults=Faults(calls=faults))


def test_instances_are_found_behind_holes(read: Reader) -> None:
    gpu = read(two_slices()).inventory.gpus[0]
    assert [(item.index, item.gpu_instance, item.uuid) for item in gpu.instances] == [
        (0, 9, mig_uuid(1)),
        (3, 10, mig_uuid(2)),
    ]


def test_an_empty_slot_that_answers_invalid_argument_is_empty_too(read: Reader) -> None:
    state = two_slices()
    board = replace(state.gpus[0], max_mig_devices=4, instances=(instance(2, 3, gi=10),))
    refusing = Fault(call=WALK, code=Code.INVALID_ARGUMENT, device=H100)
    assert _uuids(read(replace(state, gpus=(board,)))) == [mig_uuid(2)]
    assert _uuids(read(_with(replace(state, gpus=(replace(board, mig_pending=0),)), refusing))) == []


def test_two_compute_instances_of_one_gpu_instance_share_its_memory_and_have_no_activity(read: Reader) -> None:
    made = (
        instance(1, 0, gi=2, profile="1c.3g.40gb", ci=0),
        instance(2, 1, gi=2, profile="2c.3g.40gb", ci=1, sms=32),
        instance(3, 2, gi=5),
    )
    board = h100_mig(
        instances=made,
        gpu_instances=(gpu_instance(2, profile_id=9, mib=40448, used=1024), gpu_instance(5)),
    )
    state = FakeDriver(gpus=(board,), gpm_window_us=0)
    read(state)
    reading = read(state)
    first, second, alone = (reading.devices[DeviceUuid(mig_uuid(number))] for number in (1, 2, 3))
    assert first.memory_total_bytes == second.memory_total_bytes == 40448 << 20
    assert first.memory_used_bytes == second.memory_used_bytes == 1024
    assert {first.sm_active, second.sm_active, first.engine_active, second.memory_bandwidth} == {UNSUPPORTED}
    assert alone.sm_active == 0.25
    assert [(item.compute_instance, item.sm_count) for item in reading.inventory.gpus[0].instances] == [
        (0, 16.0),
        (1, 32.0),
        (0, 16.0),
    ]


@pytest.mark.parametrize(
    ("board", "sms"),
    [
        pytest.param(h100(), 132.0, id="the full-board profile, MIG mode off"),
        pytest.param(h100(mig_current=1), 132.0, id="the full-board profile, MIG mode on"),
        pytest.param(l40s(), 142.0, id="cores over cores per SM"),
        pytest.param(l40s(cores=18176, compute_capability=(99, 0)), UNSUPPORTED, id="a generation unheard of"),
    ],
)
def test_the_sm_count_is_what_a_promise_is_a_share_of(read: Reader, board: FakeGpu, sms: float | Missing) -> None:
    assert read(FakeDriver(gpus=(board,))).inventory.gpus[0].sm_count == sms


def test_the_catalogue_has_names_while_mig_mode_is_off(read: Reader) -> None:
    on = read(FakeDriver(gpus=(h100(mig_current=1),))).inventory.gpus[0]
    off = read(FakeDriver(gpus=(h100(),))).inventory.gpus[0]
    assert off.profiles == on.profiles
    assert [row.name for row in off.profiles] == ["1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb", "1g.10gb+me", "1g.20gb"]


def test_a_board_that_is_switched_to_mig_mode_is_asked_for_the_names_again(read: Reader) -> None:
    def named(mode: int) -> list[str]:
        row = FakeProfile(index=0, profile_id=19, name="1g.12gb", slices=1, sm_count=16, memory_mib=9984)
        board = h100(mig_current=mode, profiles=(row,))
        return [row.name for row in read(FakeDriver(gpus=(board,))).inventory.gpus[0].profiles]

    assert [named(0), named(1), named(0)] == [["1g.10gb"], ["1g.12gb"], ["1g.10gb"]]


def test_rows_that_cannot_be_named_are_left_out_but_their_sms_count(read: Reader) -> None:
    state = FakeDriver(gpus=(h100(),))
    blind = [Fault(call=f"nvmlDeviceGetMemoryInfo{form}", code=Code.NO_PERMISSION) for form in ("", "_v2")]
    gpu = read(_with(state, *blind)).inventory.gpus[0]
    assert (gpu.profiles, gpu.sm_count) == ((), 132.0)


def test_a_steady_node_is_not_walked_on_every_reading(machine: Machine, read: Reader) -> None:
    first = read(two_slices())
    walked = machine.calls(WALK)
    for _ in range(9):
        assert read(two_slices()).inventory == first.inventory
    assert machine.calls(WALK) == walked
    assert read(two_slices()).inventory.generation == first.inventory.generation
    assert machine.calls(WALK) == walked + 7


def test_an_instance_made_anew_in_the_same_slot_is_seen_at_once_and_gets_no_activity_of_the_old_one(
    read: Reader,
) -> None:
    state = replace(two_slices(), gpm_window_us=0)
    read(state)
    before = read(state)
    anew = replace(state.gpus[0], instances=(instance(8, 0, gi=9), instance(2, 3, gi=10)))
    after = read(replace(state, gpus=(anew,)))
    assert after.inventory.generation == before.inventory.generation + 1
    assert _uuids(after) == [mig_uuid(8), mig_uuid(2)]
    assert before.devices[DeviceUuid(mig_uuid(1))].sm_active == 0.25
    assert after.devices[DeviceUuid(mig_uuid(8))].sm_active == NOT_YET
    assert DeviceUuid(mig_uuid(1)) not in after.devices
    # The neighbour was not touched, so its baseline holds.
    assert after.devices[DeviceUuid(mig_uuid(2))].sm_active == 0.25


def test_an_instance_made_anew_with_the_same_uuid_is_told_by_the_event(read: Reader) -> None:
    state = replace(two_slices(), gpm_window_us=0)
    read(state)
    before = read(state)
    after = read(replace(state, events=(FakeEvent(sequence=1, gpu=H100, type=EVENT_MIG_CONFIG),)))
    assert after.events == ()
    assert after.inventory.gpus == before.inventory.gpus
    assert after.inventory.generation == before.inventory.generation + 1
    assert after.devices[DeviceUuid(mig_uuid(1))].sm_active == NOT_YET


@pytest.mark.parametrize(
    ("event", "readings"), [pytest.param(True, 1, id="told by an event"), pytest.param(False, 10, id="not told")]
)
def test_an_instance_added_beside_the_others_is_found(read: Reader, event: bool, readings: int) -> None:  # noqa: FBT001  # a row of the table
    state = two_slices()
    read(state)
    more = replace(
        state.gpus[0],
        instances=(*state.gpus[0].instances, instance(3, 4, gi=11)),
        gpu_instances=(*state.gpus[0].gpu_instances, gpu_instance(11)),
    )
    told = (FakeEvent(sequence=1, gpu=H100, type=EVENT_MIG_CONFIG),) if event else ()
    found = [len(_uuids(read(replace(state, gpus=(more,), events=told)))) for _ in range(readings)]
    assert found == [2] * (readings - 1) + [3]


def test_a_change_of_mig_mode_is_seen_at_once(read: Reader) -> None:
    whole = FakeDriver(gpus=(h100(),))
    before = read(whole)
    pending = read(FakeDriver(gpus=(h100(mig_pending=1),)))
    assert pending.inventory.gpus[0].mig_pending is True
    assert pending.inventory.generation == before.inventory.generation + 1
    cut = read(two_slices())
    assert cut.inventory.gpus[0].mig_current is True
    assert len(_uuids(cut)) == 2
    assert cut.inventory.generation == before.inventory.generation + 2


def test_a_hiccup_is_no_reconfiguration(read: Reader) -> None:
    steady = read(two_slices())
    names = (WALK, "nvmlDeviceGetUUID", "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount")
    for name in names:
        shaken = _with(two_slices(), Fault(call=name, code=Code.TIMEOUT, device=H100))
        for _ in range(11):
            assert read(shaken).inventory == steady.inventory


@pytest.mark.parametrize("call", ["nvmlDeviceGetName", "nvmlDeviceGetNumGpuCores"])
def test_what_a_board_did_not_tell_at_first_is_asked_again(read: Reader, call: str) -> None:
    state = FakeDriver(gpus=(l40s(),))
    read(_with(state, Fault(call=call, code=Code.TIMEOUT)))
    later = [read(state) for _ in range(10)][-1].inventory.gpus[0]
    assert (later.model, later.sm_count) == ("NVIDIA L40S", 142.0)


def test_a_gpu_that_may_not_be_opened_is_left_out_and_said_once(read: Reader, caplog: pytest.LogCaptureFixture) -> None:
    closed = Fault(call="nvmlDeviceGetHandleByIndex_v2", code=Code.NO_PERMISSION, device=H100)
    state = _with(FakeDriver(gpus=(h100(), l40s())), closed)
    with caplog.at_level(logging.WARNING):
        readings = [read(state) for _ in range(12)]
    assert {tuple(gpu.uuid for gpu in reading.inventory.gpus) for reading in readings} == {(L40S,)}
    assert {reading.inventory.gpus[0].index for reading in readings} == {1}
    assert readings[-1].devices[DeviceUuid(L40S)].utilisation == 0.4
    assert [record.getMessage() for record in caplog.records] == [
        "GPU 0 cannot be opened (permission): it is left out, the others are read"
    ]


def test_gpus_come_and_go(read: Reader) -> None:
    both = read(FakeDriver(gpus=(h100(), l40s())))
    alone = read(FakeDriver(gpus=(l40s(),)))
    again = read(FakeDriver(gpus=(h100(), l40s())))
    assert [(gpu.uuid, gpu.index) for gpu in alone.inventory.gpus] == [(L40S, 0)]
    assert {*alone.devices, *alone.gpus} == {L40S}
    assert again.inventory == replace(both.inventory, generation=both.inventory.generation + 2)


def test_a_node_without_gpus_is_an_empty_inventory(read: Reader) -> None:
    reading = read(FakeDriver())
    assert (reading.inventory.gpus, reading.devices, reading.gpm) == ((), {}, UNSUPPORTED)


def test_what_is_not_supported_is_asked_once_a_generation(machine: Machine, read: Reader) -> None:
    refused = ("nvmlDeviceGetUtilizationRates", "nvmlGpmQueryDeviceSupport", "nvmlDeviceGetMigMode")
    state = _with(FakeDriver(gpus=(l40s(),)), Fault(call=refused[0], code=Code.NOT_SUPPORTED))
    before = [machine.calls(name) for name in refused]
    for _ in range(25):
        assert read(state).devices[DeviceUuid(L40S)].engine_active == UNSUPPORTED
    assert [machine.calls(name) - count for name, count in zip(refused, before, strict=True)] == [1, 1, 1]
    for _ in range(5):
        read(_with(FakeDriver(gpus=(l40s(), h100())), Fault(call=refused[0], code=Code.NOT_SUPPORTED)))
    # Another generation: once more for the L40S, and once for the newcomer.
    assert machine.calls(refused[0]) - before[0] == 3


def test_what_timed_out_is_asked_again(read: Reader) -> None:
    state = FakeDriver(gpus=(l40s(),))
    slow = _with(state, Fault(call="nvmlDeviceGetUtilizationRates", code=Code.TIMEOUT))
    assert read(slow).devices[DeviceUuid(L40S)].utilisation == Missing(Reason.TIMEOUT)
    assert read(state).devices[DeviceUuid(L40S)].utilisation == 0.4

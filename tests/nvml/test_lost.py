"""A GPU that falls off the bus or waits for a reset: it is known as lost, and the others are read on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import DeviceUuid, DriverReading, GpuUuid, Missing, Reason, Xid
from tests.fake_nvml.state import Code, FakeDriver, FakeEvent, Fault, Faults
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import H100, L40S, l40s, mig_uuid, two_slices

LOST = Missing(Reason.DEVICE_LOST)


def _node(lost: int = 0) -> FakeDriver:
    return FakeDriver(gpus=(replace(two_slices().gpus[0], lost=lost), l40s()), gpm_window_us=0)


def _all_lost(reading: DriverReading) -> bool:
    uses = [reading.gpus[GpuUuid(H100)], *(reading.devices[DeviceUuid(u)] for u in (H100, mig_uuid(1), mig_uuid(2)))]
    return all(set(_fields(use)) == {LOST} for use in uses)


def _fields(value: object) -> list[object]:
    names = type(value).__dataclass_fields__.keys() - {"sampled"}  # type: ignore[attr-defined]  # of dcgm-exporter, no reading
    return [getattr(value, name) for name in names]


@pytest.mark.parametrize("code", [Code.GPU_IS_LOST, Code.RESET_REQUIRED])
def test_a_lost_gpu_stays_known_and_comes_back(read: Reader, code: Code) -> None:
    before = read(_node())
    lost = read(_node(lost=code))
    assert [gpu.lost for gpu in lost.inventory.gpus] == [True, False]
    assert lost.inventory.gpus[0] == replace(before.inventory.gpus[0], lost=True)
    assert lost.inventory.generation == before.inventory.generation + 1
    assert _all_lost(lost)
    assert lost.devices[DeviceUuid(L40S)] == before.devices[DeviceUuid(L40S)]
    for _ in range(12):
        still = read(_node(lost=code))
        assert (still.inventory, _all_lost(still)) == (lost.inventory, True)
    back = read(_node())
    assert back.inventory == replace(before.inventory, generation=lost.inventory.generation + 1)
    assert back.gpus == before.gpus
    # What GPM saw before the loss is no baseline for after it.
    assert back.devices[DeviceUuid(mig_uuid(1))].sm_active == Missing(Reason.NOT_YET)
    assert read(_node()).devices[DeviceUuid(mig_uuid(1))].sm_active == 0.25


def test_one_call_that_finds_it_lost_is_enough(read: Reader) -> None:
    read(_node())
    fault = Fault(call="nvmlDeviceGetTotalEnergyConsumption", code=Code.GPU_IS_LOST, device=H100)
    found = [read(replace(_node(), faults=Faults(calls=(fault,)))) for _ in range(3)]
    assert all(_all_lost(reading) for reading in found)
    assert len({reading.inventory for reading in found}) == 1
    assert found[0].inventory.gpus[0].lost


def test_a_lost_gpu_that_is_no_longer_counted_is_still_lost(read: Reader) -> None:
    before = read(_node())
    read(_node(lost=Code.GPU_IS_LOST))
    for _ in range(12):
        gone = read(FakeDriver(gpus=(l40s(),)))
        assert {gpu.uuid: gpu.lost for gpu in gone.inventory.gpus} == {H100: True, L40S: False}
        assert _all_lost(gone)
    assert read(_node()).inventory.gpus == before.inventory.gpus


def test_a_gpu_that_was_lost_before_it_was_ever_seen_is_not_made_up(read: Reader) -> None:
    first = read(_node(lost=Code.GPU_IS_LOST))
    assert [gpu.uuid for gpu in first.inventory.gpus] == [L40S]
    later = [read(_node()) for _ in range(10)]
    assert [gpu.uuid for gpu in later[-1].inventory.gpus] == [H100, L40S]


def test_what_it_refused_before_the_loss_is_asked_again_after_it(read: Reader) -> None:
    sick = Faults(calls=(Fault(call="nvmlDeviceGetUtilizationRates", code=Code.NOT_SUPPORTED),))
    assert read(FakeDriver(gpus=(l40s(),), faults=sick)).devices[DeviceUuid(L40S)].utilisation == Missing(
        Reason.UNSUPPORTED
    )
    read(FakeDriver(gpus=(l40s(lost=Code.RESET_REQUIRED),)))
    read(FakeDriver(gpus=(l40s(),)))
    assert read(FakeDriver(gpus=(l40s(),))).devices[DeviceUuid(L40S)].utilisation == 0.4


def test_a_lost_gpu_is_asked_little(machine: Machine, read: Reader) -> None:
    read(_node())
    read(_node(lost=Code.GPU_IS_LOST))
    before = machine.calls("nvmlDeviceGetPowerUsage")
    for _ in range(5):
        read(_node(lost=Code.GPU_IS_LOST))
    assert machine.calls("nvmlDeviceGetPowerUsage") == before + 5  # the other GPU's


def test_the_events_of_the_others_are_heard_while_one_is_lost(read: Reader) -> None:
    read(_node())
    fell = FakeEvent(sequence=1, gpu=H100, data=79)
    assert read(replace(_node(lost=Code.GPU_IS_LOST), events=(fell,))).events == (Xid(GpuUuid(H100), 79),)
    read(replace(_node(lost=Code.GPU_IS_LOST), events=(fell,)))
    other = FakeEvent(sequence=2, gpu=L40S, data=31)
    heard = read(replace(_node(lost=Code.GPU_IS_LOST), events=(fell, other)))
    assert heard.events == (Xid(GpuUuid(L40S), 31),)
    read(replace(_node(), events=(fell, other)))
    back = FakeEvent(sequence=3, gpu=H100, data=48)
    assert read(replace(_node(), events=(fell, other, back))).events == (Xid(GpuUuid(H100), 48),)


def test_losing_a_gpu_frees_its_samples(machine: Machine, read: Reader) -> None:
    read(_node())
    assert machine.live_samples() == 4
    read(_node(lost=Code.GPU_IS_LOST))
    assert machine.live_samples() == 0

"""Activity between two readings: the window, the samples, and every way in which there is no figure."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from exporter.model import DeviceUuid, DriverReading, Missing, Reason
from exporter.sources.nvml import NvmlDriver
from tests.fake_nvml.state import (
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_SM,
    GPM_TENSOR,
    Code,
    FakeDriver,
    Fault,
    Faults,
    Refused,
)
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import H100, L40S, h100, instance, l40s, mig_uuid, two_slices

UNSUPPORTED, NOT_YET = Missing(Reason.UNSUPPORTED), Missing(Reason.NOT_YET)
WHOLE = DeviceUuid(H100)


def _node(**changes: object) -> FakeDriver:
    return FakeDriver(gpus=(h100(utilisation=77, **changes),), gpm_window_us=0)


def _four(reading: DriverReading, uuid: str = H100) -> tuple[object, ...]:
    use = reading.devices[DeviceUuid(uuid)]
    return use.engine_active, use.sm_active, use.tensor_active, use.memory_bandwidth


def test_a_whole_gpu_has_activity_from_its_second_reading_on(read: Reader) -> None:
    first, second = read(_node()), read(_node())
    assert (_four(first), first.gpm) == ((NOT_YET,) * 4, NOT_YET)
    assert (_four(second), second.gpm) == ((0.5, 0.25, 0.125, 0.0625), True)
    assert (first.devices[WHOLE].utilisation, second.devices[WHOLE].utilisation) == (0.77, 0.77)


def test_walking_the_node_again_does_not_cost_a_baseline(read: Reader) -> None:
    read(_node())
    assert {read(_node()).devices[WHOLE].sm_active for _ in range(22)} == {0.25}


def test_a_board_without_gpm_has_its_utilisation_for_its_engine(read: Reader) -> None:
    read(FakeDriver(gpus=(l40s(),)))
    reading = read(FakeDriver(gpus=(l40s(),)))
    assert _four(reading, L40S) == (0.4, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED)
    assert reading.gpm == UNSUPPORTED


def test_a_board_in_mig_mode_has_no_activity_of_its_own(machine: Machine, read: Reader) -> None:
    before = machine.calls("nvmlGpmSampleGet")
    state = replace(two_slices(), gpm_window_us=0)
    read(state)
    reading = read(state)
    assert _four(reading) == (UNSUPPORTED,) * 4
    assert _four(reading, mig_uuid(1)) == (0.5, 0.25, 0.125, 0.0625)
    # Neither the parent nor, by its own handle, an instance was sampled.
    assert machine.calls("nvmlGpmSampleGet") == before


def test_a_ratio_above_one_is_passed_on(read: Reader) -> None:
    hot = _node(gpm={GPM_GRAPHICS: 100.5, GPM_SM: 129.4, GPM_TENSOR: 0.0, GPM_DRAM: 100.0})
    read(hot)
    assert _four(read(hot)) == (1.005, 1.294, 0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, UNSUPPORTED),
        (math.inf, UNSUPPORTED),
        (Refused(Code.NOT_SUPPORTED), UNSUPPORTED),
        (Refused(Code.NO_PERMISSION), Missing(Reason.PERMISSION)),
        (Refused(Code.NO_DATA), Missing(Reason.ERROR)),
    ],
)
def test_each_metric_has_a_refusal_of_its_own(read: Reader, value: float | Refused, expected: Missing) -> None:
    partial = _node(gpm={GPM_GRAPHICS: 50.0, GPM_SM: value, GPM_TENSOR: 12.5, GPM_DRAM: value})
    read(partial)
    reading = read(partial)
    assert _four(reading) == (0.5, expected, 0.125, expected)
    assert reading.gpm is True


def test_an_engine_that_gpm_does_not_count_is_the_utilisation(read: Reader) -> None:
    idle = _node(gpm={GPM_GRAPHICS: math.nan, GPM_SM: 25.0})
    read(idle)
    assert _four(read(idle)) == (0.77, 0.25, UNSUPPORTED, UNSUPPORTED)


@pytest.mark.parametrize(
    ("call", "code", "expected"),
    [
        ("nvmlGpmSampleAlloc", Code.UNKNOWN, Missing(Reason.ERROR)),
        ("nvmlGpmSampleGet", Code.TIMEOUT, Missing(Reason.TIMEOUT)),
        ("nvmlGpmMetricsGet", Code.TIMEOUT, Missing(Reason.TIMEOUT)),
        ("nvmlGpmMetricsGet", Code.INVALID_ARGUMENT, Missing(Reason.ERROR)),
        ("nvmlGpmQueryDeviceSupport", Code.NO_PERMISSION, Missing(Reason.PERMISSION)),
    ],
)
def test_a_refused_call_is_the_reason_for_all_four(read: Reader, call: str, code: Code, expected: Missing) -> None:
    broken = replace(_node(), faults=Faults(calls=(Fault(call=call, code=code),)))
    read(broken)
    reading = read(broken)
    assert _four(reading) == (expected,) * 4
    assert reading.gpm is False
    read(_node())
    assert read(_node()).devices[WHOLE].sm_active == 0.25


def test_two_readings_closer_than_the_driver_can_tell_apart_give_the_last_figure_again(
    machine: Machine, driver: NvmlDriver
) -> None:
    machine.becomes(_node())
    driver.read(10.0)
    assert _four(driver.read(10.05)) == (NOT_YET,) * 4
    assert _four(driver.read(10.2)) == (0.5, 0.25, 0.125, 0.0625)
    asked = machine.calls("nvmlGpmMetricsGet")
    machine.becomes(_node(gpm={GPM_SM: 99.0}))
    assert _four(driver.read(10.29)) == (0.5, 0.25, 0.125, 0.0625)
    assert machine.calls("nvmlGpmMetricsGet") == asked
    assert driver.read(10.5).devices[WHOLE].sm_active == 0.99


def test_an_average_over_more_than_ten_minutes_is_not_given(machine: Machine, driver: NvmlDriver) -> None:
    machine.becomes(_node())
    driver.read(0.0)
    assert driver.read(600.0).devices[WHOLE].sm_active == 0.25
    assert driver.read(1201.0).devices[WHOLE].sm_active == NOT_YET
    assert driver.read(1202.0).devices[WHOLE].sm_active == 0.25


def test_samples_are_kept_and_used_in_turn(machine: Machine, read: Reader) -> None:
    names = ("nvmlGpmSampleAlloc", "nvmlGpmQueryDeviceSupport")
    before = [machine.calls(name) for name in names]
    state = replace(two_slices(), gpm_window_us=0)
    for _ in range(12):
        read(state)
    assert [machine.calls(name) - count for name, count in zip(names, before, strict=True)] == [4, 1]
    assert machine.live_samples() == 4


def test_an_instance_that_is_gone_gives_its_samples_back(machine: Machine, read: Reader) -> None:
    state = two_slices()
    read(state)
    one = replace(state.gpus[0], instances=(instance(1, 0, gi=9),))
    reading = read(replace(state, gpus=(one,)))
    assert set(reading.devices) == {H100, mig_uuid(1)}
    assert machine.live_samples() == 2

"""Every measured field, and for every way in which it can be refused the reason that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import DeviceUuid, DriverReading, GpuUuid, Missing, Reason, Throttle
from exporter.sources.nvml.inventory import FULL_EVERY
from tests.fake_nvml.state import Code, FakeDriver, FakeMemory, Fault, Faults
from tests.nvml.conftest import Reader
from tests.nvml.nodes import H100, L40S, gpu_instance, h100_mig, instance, l40s, mig_uuid

FIELDS = {
    "nvmlDeviceGetClockInfo": "sm_clock_hertz",
    "nvmlDeviceGetMaxClockInfo": "sm_clock_max_hertz",
    "nvmlDeviceGetPowerUsage": "power_watts",
    "nvmlDeviceGetEnforcedPowerLimit": "power_limit_watts",
    "nvmlDeviceGetTemperature*": "temperature_celsius",
    "nvmlDeviceGetTotalEnergyConsumption": "energy_joules",
    "nvmlDeviceGetCurrentClocks*": "throttle",
    "nvmlDeviceGetMemoryInfo*": "memory_used_bytes",
    "nvmlDeviceGetUtilizationRates": "utilisation",
    "nvmlDeviceGetTotalEccErrors": "ecc_uncorrected",
}
FORMS = {
    "nvmlDeviceGetTemperature*": ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"),
    "nvmlDeviceGetCurrentClocks*": (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ),
    "nvmlDeviceGetMemoryInfo*": ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"),
}
REASONS = {
    Code.NOT_SUPPORTED: Reason.UNSUPPORTED,
    Code.INVALID_ARGUMENT: Reason.UNSUPPORTED,
    Code.FUNCTION_NOT_FOUND: Reason.UNSUPPORTED,
    Code.ARGUMENT_VERSION_MISMATCH: Reason.UNSUPPORTED,
    Code.NO_PERMISSION: Reason.PERMISSION,
    Code.TIMEOUT: Reason.TIMEOUT,
    Code.UNKNOWN: Reason.ERROR,
}


SELDOM = {"nvmlDeviceGetMaxClockInfo", "nvmlDeviceGetEnforcedPowerLimit"}


def _fields(reading: DriverReading) -> dict[str, object]:
    gpu, device = reading.gpus[GpuUuid(L40S)], reading.devices[DeviceUuid(L40S)]
    return {name: getattr(gpu if hasattr(gpu, name) else device, name) for name in FIELDS.values()}


def _faulty(code: Code, *names: str) -> FakeDriver:
    return FakeDriver(gpus=(l40s(),), faults=Faults(calls=tuple(Fault(call=name, code=code) for name in names)))


@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize("call", FIELDS)
def test_a_refusal_is_the_reason_for_one_field_and_for_no_other(read: Reader, call: str, code: Code) -> None:
    whole = _fields(read(FakeDriver(gpus=(l40s(),))))
    assert not any(isinstance(value, Missing) for value in whole.values())
    faulty = _faulty(code, *FORMS.get(call, (call,)))
    for _ in range(FULL_EVERY - 2 if call in SELDOM else 0):
        assert _fields(read(faulty)) == whole  # it is not asked again yet
    read(faulty)
    assert _fields(read(faulty)) == whole | {FIELDS[call]: Missing(REASONS[code])}


@pytest.mark.parametrize("call", FORMS)
def test_an_older_driver_is_asked_in_its_own_words(read: Reader, call: str) -> None:
    whole = _fields(read(FakeDriver(gpus=(l40s(),))))
    older = _fields(read(_faulty(Code.FUNCTION_NOT_FOUND, FORMS[call][0])))
    if FIELDS[call] == "memory_used_bytes":
        whole["memory_used_bytes"] = float(598 << 20)  # what the driver reserves counts as used there
    assert older == whole


def test_units_are_those_of_the_contract(read: Reader) -> None:
    board = l40s(
        sm_clock=1755, sm_clock_max=2520, power_mw=301250, power_limit_mw=350000, temperature=61, energy_mj=1234567,
        throttle=0x24, ecc_corrected=5, ecc_uncorrected=2,
    )  # fmt: skip
    found = _fields(read(FakeDriver(gpus=(board,))))
    assert found == {
        "sm_clock_hertz": 1.755e9,
        "sm_clock_max_hertz": 2.52e9,
        "power_watts": 301.25,
        "power_limit_watts": 350.0,
        "temperature_celsius": 61.0,
        "energy_joules": 1234.567,
        "throttle": frozenset({Throttle.SW_POWER_CAP, Throttle.SW_THERMAL}),
        "memory_used_bytes": 0.0,
        "utilisation": 0.4,
        "ecc_uncorrected": 2.0,
    }


def test_a_value_that_says_it_is_none_is_missing(read: Reader) -> None:
    absent = Missing(Reason.UNSUPPORTED)
    none = 0xFFFFFFFFFFFFFFFF
    board = l40s(
        sm_clock=0xFFFFFFFF, power_mw=0xFFFFFFFF, energy_mj=none, memory=FakeMemory(total=1 << 30, used=none, free=none)
    )  # fmt: skip
    reading = read(FakeDriver(gpus=(board,)))
    found = _fields(reading)
    assert (found["sm_clock_hertz"], found["power_watts"], found["energy_joules"]) == (absent,) * 3
    assert found["memory_used_bytes"] == absent
    assert reading.devices[DeviceUuid(L40S)].memory_total_bytes == 1 << 30


def test_an_instance_counts_the_errors_of_its_sram_and_its_board_all_of_them(read: Reader) -> None:
    made = replace(instance(1, 0, gi=9), ecc_uncorrected_sram=3)
    board = replace(h100_mig(instances=(made,), gpu_instances=(gpu_instance(9),)), ecc_corrected=8, ecc_uncorrected=4)
    devices = read(FakeDriver(gpus=(board,))).devices
    part, whole = devices[DeviceUuid(mig_uuid(1))], devices[DeviceUuid(H100)]
    assert (part.ecc_corrected, part.ecc_uncorrected) == (Missing(Reason.UNSUPPORTED), 3.0)
    assert (whole.ecc_corrected, whole.ecc_uncorrected) == (8.0, 4.0)
    assert part.utilisation == whole.utilisation == Missing(Reason.UNSUPPORTED)

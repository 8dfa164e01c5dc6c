"""What a device and its GPU measure now, field by field: a number in the contract's units, or why there is none."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from exporter.model import DeviceUse, GpuUse, Missing, Process, Reading, Throttle
from exporter.sources.nvml.calls import LOST, UNSUPPORTED, Calls, Spot
from exporter.sources.nvml.gpm import Activity
from exporter.sources.nvml.seldom import Seldom

_NO_VALUE_32: Final = 0xFFFFFFFF
_NO_VALUE_64: Final = 0xFFFFFFFFFFFFFFFF
"""NVML_VALUE_NOT_AVAILABLE: the call succeeded and there is no value."""

_THROTTLE: Final = (
    (0x002, Throttle.APPLICATIONS_CLOCKS),
    (0x004, Throttle.SW_POWER_CAP),
    (0x008, Throttle.HW_SLOWDOWN),
    (0x010, Throttle.SYNC_BOOST),
    (0x020, Throttle.SW_THERMAL),
    (0x040, Throttle.HW_THERMAL),
    (0x080, Throttle.HW_POWER_BRAKE),
    (0x100, Throttle.DISPLAY),
)
"""nvmlClocksEventReason* of nvml.h. Bit 0x1, idle, is no slowdown; 0x200 and 0x400 are no longer reported."""


class Memory(NamedTuple):
    """Bytes of a device's memory; under MIG that of the GPU instance, the same for each of its compute instances."""

    total: Reading
    used: Reading
    free: Reading


class Basics(NamedTuple):
    """What is read of a device before its activity is sampled."""

    memory: Memory
    utilisation: Reading
    ecc_corrected: Reading
    ecc_uncorrected: Reading
    processes: tuple[Process, ...] | Missing


def memory(calls: Calls, spot: Spot) -> Memory:
    """Read the memory of a device.

    The older form of the call, which drivers before R510 have alone, counts what the driver reserves as used.
    """
    lib = calls.lib
    info = calls.ask_first(spot, (lib.nvmlDeviceGetMemoryInfo, lib.nvmlMemory_v2), (lib.nvmlDeviceGetMemoryInfo,))
    if isinstance(info, Missing):
        return Memory(info, info, info)
    return Memory(_bytes(info.total), _bytes(info.used), _bytes(info.free))


def _bytes(value: int) -> Reading:
    return UNSUPPORTED if value == _NO_VALUE_64 else float(value)


def utilisation(calls: Calls, spot: Spot) -> Reading:
    """Read the share of the last sample period (1/6 s to 1 s) in which a kernel ran. Not a MIG device's to ask."""
    rates = calls.ask(spot, calls.lib.nvmlDeviceGetUtilizationRates)
    return rates if isinstance(rates, Missing) else rates.gpu / 100


def ecc(calls: Calls, spot: Spot) -> tuple[Reading, Reading]:
    """Read the volatile counts (corrected, uncorrected) of a whole GPU, over all its memories."""
    lib = calls.lib
    count = lib.nvmlDeviceGetTotalEccErrors
    return (
        _count(calls.ask(spot, count, lib.NVML_MEMORY_ERROR_TYPE_CORRECTED, lib.NVML_VOLATILE_ECC)),
        _count(calls.ask(spot, count, lib.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, lib.NVML_VOLATILE_ECC)),
    )


def instance_ecc(calls: Calls, spot: Spot) -> tuple[Reading, Reading]:
    """Read the same of a MIG device, which has only uncorrected volatile errors of its SRAM to itself (nvml.h)."""
    lib = calls.lib
    of = (lib.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, lib.NVML_VOLATILE_ECC, lib.NVML_MEMORY_LOCATION_SRAM)
    return UNSUPPORTED, _count(calls.ask(spot, lib.nvmlDeviceGetMemoryErrorCounter, *of))


def _count(answer: int | Missing) -> Reading:
    return answer if isinstance(answer, Missing) else float(answer)


def gpu_use(calls: Calls, spot: Spot, seldom: Seldom) -> GpuUse:
    """Read what all devices of a GPU share: clocks (hertz), power (watts), temperature (Celsius), energy (joules).

    The highest clock is the board's, and the power limit is set by hand: both are asked seldom.
    """
    lib = calls.lib
    sensor = lib.NVML_TEMPERATURE_GPU
    heat = ((lib.nvmlDeviceGetTemperatureV, sensor), (lib.nvmlDeviceGetTemperature, sensor))
    return GpuUse(
        sm_clock_hertz=_scaled(calls.ask(spot, lib.nvmlDeviceGetClockInfo, lib.NVML_CLOCK_SM), per_unit=1e6),
        sm_clock_max_hertz=seldom.ask(spot, "highest clock", lambda: _highest_clock(calls, spot)),
        power_watts=_milli(calls.ask(spot, lib.nvmlDeviceGetPowerUsage)),
        power_limit_watts=seldom.ask(
            spot, "power limit", lambda: _milli(calls.ask(spot, lib.nvmlDeviceGetEnforcedPowerLimit))
        ),
        temperature_celsius=_scaled(calls.ask_first(spot, *heat), per_unit=1.0),
        energy_joules=_milli(calls.ask(spot, lib.nvmlDeviceGetTotalEnergyConsumption), no_value=_NO_VALUE_64),
        throttle=_throttle(calls, spot),
    )


def _highest_clock(calls: Calls, spot: Spot) -> Reading:
    return _scaled(calls.ask(spot, calls.lib.nvmlDeviceGetMaxClockInfo, calls.lib.NVML_CLOCK_SM), per_unit=1e6)


def _scaled(answer: int | Missing, *, per_unit: float) -> Reading:
    if isinstance(answer, Missing):
        return answer
    return UNSUPPORTED if answer == _NO_VALUE_32 else answer * per_unit


def _milli(answer: int | Missing, *, no_value: int = _NO_VALUE_32) -> Reading:
    # Divided, not multiplied by 0.001: 312500 mW are 312.5 W to the last bit.
    if isinstance(answer, Missing):
        return answer
    return UNSUPPORTED if answer == no_value else answer / 1000


def _throttle(calls: Calls, spot: Spot) -> frozenset[Throttle] | Missing:
    lib = calls.lib
    forms: tuple[tuple[Any], ...] = (
        (lib.nvmlDeviceGetCurrentClocksEventReasons,),
        (lib.nvmlDeviceGetCurrentClocksThrottleReasons,),  # its name before R535
    )
    bits = calls.ask_first(spot, *forms)
    return bits if isinstance(bits, Missing) else throttle_of(bits)


def throttle_of(bits: int) -> frozenset[Throttle]:
    """Translate the driver's bits into the reasons that hold the clocks down."""
    return frozenset(reason for bit, reason in _THROTTLE if bits & bit)


def device_use(basics: Basics, activity: Activity) -> DeviceUse:
    """Put a device's readings together. Its engine is GPM's word, or where there is no GPM, the utilisation."""
    engine = basics.utilisation if activity.engine == UNSUPPORTED else activity.engine
    return DeviceUse(
        memory_total_bytes=basics.memory.total,
        memory_used_bytes=basics.memory.used,
        memory_free_bytes=basics.memory.free,
        engine_active=engine,
        sm_active=activity.sm,
        tensor_active=activity.tensor,
        memory_bandwidth=activity.bandwidth,
        utilisation=basics.utilisation,
        ecc_corrected=basics.ecc_corrected,
        ecc_uncorrected=basics.ecc_uncorrected,
        processes=basics.processes,
    )


LOST_GPU_USE: Final = GpuUse(
    sm_clock_hertz=LOST,
    sm_clock_max_hertz=LOST,
    power_watts=LOST,
    power_limit_watts=LOST,
    temperature_celsius=LOST,
    energy_joules=LOST,
    throttle=LOST,
)
LOST_DEVICE_USE: Final = device_use(Basics(Memory(LOST, LOST, LOST), LOST, LOST, LOST, LOST), Activity.all(LOST))

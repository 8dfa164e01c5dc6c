"""Single values of the model in the driver's own units and codes: the inverse of what a source does to them."""

from __future__ import annotations

from dataclasses import replace

from exporter.model import DeviceUse, GpuUse, Missing, Process, Reading, Reason, Throttle
from tests.fake_nvml.values import (
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_SM,
    GPM_TENSOR,
    Code,
    FakeMemory,
    FakeProcess,
    Processes,
    Refused,
    Value,
)

_MIB = 1 << 20

_CODES = {
    Reason.UNSUPPORTED: Code.NOT_SUPPORTED,
    Reason.PERMISSION: Code.NO_PERMISSION,
    Reason.TIMEOUT: Code.TIMEOUT,
    Reason.DEVICE_LOST: Code.GPU_IS_LOST,
    Reason.ERROR: Code.UNKNOWN,
}

_BITS = {
    Throttle.APPLICATIONS_CLOCKS: 0x2,
    Throttle.SW_POWER_CAP: 0x4,
    Throttle.HW_SLOWDOWN: 0x8,
    Throttle.SYNC_BOOST: 0x10,
    Throttle.SW_THERMAL: 0x20,
    Throttle.HW_THERMAL: 0x40,
    Throttle.HW_POWER_BRAKE: 0x80,
    Throttle.DISPLAY: 0x100,
}

ABSENT = DeviceUse(
    memory_total_bytes=Missing(Reason.UNSUPPORTED),
    memory_used_bytes=Missing(Reason.UNSUPPORTED),
    memory_free_bytes=Missing(Reason.UNSUPPORTED),
    engine_active=Missing(Reason.UNSUPPORTED),
    sm_active=Missing(Reason.UNSUPPORTED),
    tensor_active=Missing(Reason.UNSUPPORTED),
    memory_bandwidth=Missing(Reason.UNSUPPORTED),
    utilisation=Missing(Reason.UNSUPPORTED),
    ecc_corrected=Missing(Reason.UNSUPPORTED),
    ecc_uncorrected=Missing(Reason.UNSUPPORTED),
    processes=(),
)

UNREAD = GpuUse(
    sm_clock_hertz=Missing(Reason.UNSUPPORTED),
    sm_clock_max_hertz=Missing(Reason.UNSUPPORTED),
    power_watts=Missing(Reason.UNSUPPORTED),
    power_limit_watts=Missing(Reason.UNSUPPORTED),
    temperature_celsius=Missing(Reason.UNSUPPORTED),
    energy_joules=Missing(Reason.UNSUPPORTED),
    throttle=Missing(Reason.UNSUPPORTED),
)


def has_gpm(use: DeviceUse) -> bool:
    """Whether any value that only GPM gives was, or may yet be, read."""
    absent = Missing(Reason.UNSUPPORTED)
    return any(value != absent for value in (use.sm_active, use.tensor_active, use.memory_bandwidth))


def _readings(use: DeviceUse) -> dict[int, Reading]:
    return {
        GPM_GRAPHICS: use.engine_active,
        GPM_SM: use.sm_active,
        GPM_TENSOR: use.tensor_active,
        GPM_DRAM: use.memory_bandwidth,
    }


def metrics_of(use: DeviceUse) -> dict[int, float | Refused]:
    """GPM metrics by id, in percent."""
    return {number: _percent(value) for number, value in _readings(use).items()}


def blend(members: list[tuple[DeviceUse, Reading]]) -> dict[int, float | Refused]:
    """Values of a GPU instance from those of its compute instances: the mean by SMs."""
    if len(members) == 1:
        return metrics_of(members[0][0])
    blended: dict[int, float | Refused] = {}
    for number in _readings(ABSENT):
        values = [(_readings(use)[number], sms) for use, sms in members]
        known = [(v, s) for v, s in values if not isinstance(v, Missing) and not isinstance(s, Missing) and s]
        if not known or len({value for value, _ in values}) == 1:
            blended[number] = _percent(values[0][0])
        else:
            blended[number] = _percent(sum(v * s for v, s in known) / sum(s for _, s in known))
    return blended


def _percent(ratio: Reading) -> float | Refused:
    """GPM's unit. A first reading (NOT_YET) has a value that nobody has read yet."""
    if isinstance(ratio, Missing):
        return 0.0 if ratio.reason is Reason.NOT_YET else Refused(code_of(ratio.reason))
    return ratio * 100


def memory_of(use: DeviceUse) -> FakeMemory | Refused:
    """Bytes; one call answers all three, so that one missing value refuses them all. What is left over is reserved."""
    values = (use.memory_total_bytes, use.memory_used_bytes, use.memory_free_bytes)
    total, used, free = values
    if isinstance(total, Missing) or isinstance(used, Missing) or isinstance(free, Missing):
        missing = next(value for value in values if isinstance(value, Missing))
        return Refused(code_of(missing.reason))
    rest = int(total) - int(used) - int(free)
    return FakeMemory(total=int(total), used=int(used), free=int(free), reserved=max(0, rest))


def processes_of(use: DeviceUse) -> Processes:
    """The process lists with whole percent of SM time; a missing share is a process without a sample."""
    if isinstance(use.processes, Missing):
        return Refused(code_of(use.processes.reason))
    return tuple(_process(process) for process in use.processes)


def _process(process: Process) -> FakeProcess:
    memory, share = process.memory_bytes, process.sm_share
    return FakeProcess(
        pid=process.pid,
        kind=process.kind.value,
        memory_bytes=None if isinstance(memory, Missing) else int(memory),
        sm=0 if isinstance(share, Missing) else round(share * 100),
    )


def throttle_of(use: GpuUse) -> Value:
    """Clock event reasons as bits; never the idle bit, which is no throttle."""
    if isinstance(use.throttle, Missing):
        return Refused(code_of(use.throttle.reason))
    return sum(_BITS[reason] for reason in use.throttle)


def scaled(value: Reading, factor: float) -> Value:
    """The driver's whole number for a value in the contract's unit, or its refusal."""
    return Refused(code_of(value.reason)) if isinstance(value, Missing) else round(value * factor)


def mib(size: float) -> int:
    """Bytes in MiB. Raises ValueError when the driver could not have said that size."""
    if size % _MIB:
        raise ValueError(f"{size} bytes are no whole number of MiB, and the driver counts in MiB")
    return int(size) // _MIB


def code_of(reason: Reason) -> Code:
    """What the driver answers for a value that is missing; NO_DATA where the reason is not the driver's."""
    return _CODES.get(reason, Code.NO_DATA)


def gpu_use_as_read(use: GpuUse) -> GpuUse:
    """In whole MHz, milliwatts, degrees and millijoules."""
    return replace(
        use,
        sm_clock_hertz=_rounded(use.sm_clock_hertz, 1e-6),
        sm_clock_max_hertz=_rounded(use.sm_clock_max_hertz, 1e-6),
        power_watts=_rounded(use.power_watts, 1e3),
        power_limit_watts=_rounded(use.power_limit_watts, 1e3),
        temperature_celsius=_rounded(use.temperature_celsius, 1),
        energy_joules=_rounded(use.energy_joules, 1e3),
    )


def device_use_as_read(use: DeviceUse) -> DeviceUse:
    """Utilisation and process shares in whole percent; GPM ratios as a percentage divided by 100."""
    processes = use.processes
    if not isinstance(processes, Missing):
        processes = tuple(replace(process, sm_share=_rounded(process.sm_share, 100)) for process in processes)
    return replace(
        use,
        engine_active=_divided(use.engine_active),
        sm_active=_divided(use.sm_active),
        tensor_active=_divided(use.tensor_active),
        memory_bandwidth=_divided(use.memory_bandwidth),
        utilisation=_rounded(use.utilisation, 100),
        processes=processes,
    )


def _rounded(value: Reading, factor: float) -> Reading:
    """The inverse is a division by a whole number where it can be, as in a source, so that the floats are the same."""
    if isinstance(value, Missing):
        return value
    whole = round(value * factor)
    return whole / factor if factor >= 1 else whole * round(1 / factor) * 1.0


def _divided(ratio: Reading) -> Reading:
    percent = _percent(ratio)
    return ratio if isinstance(ratio, Missing) or isinstance(percent, Refused) else percent / 100

"""Compute on an exclusive device (whole GPU, MIG instance): nobody can take its SMs, but clocks are everybody's.

Pure. Delivered is the attached share, at most the promise, slowed by min(1, SM clock / reference clock). Demanded while
the engine is busy. The cause of a slow clock is read from the clock event reasons.
"""

from __future__ import annotations

from exporter.model import Device, GpuUse, Missing, Partition, Reading, Reason, Throttle
from exporter.policy import Policy
from exporter.verdict import Cause, Evidence, Outcome, Verdict, blind

_REASONS: tuple[tuple[frozenset[Throttle], Cause], ...] = (
    (frozenset({Throttle.HW_THERMAL, Throttle.SW_THERMAL}), Cause.THERMAL),
    (frozenset({Throttle.SW_POWER_CAP, Throttle.HW_POWER_BRAKE}), Cause.POWER_CAP),
    (frozenset({Throttle.HW_SLOWDOWN}), Cause.HW_SLOWDOWN),
)
"""Most specific first: the driver sets HW_SLOWDOWN beside HW_THERMAL and HW_POWER_BRAKE (nvml.h, clocks event reasons)."""

_ABSURD_HERTZ = 1e11
"""No SM clock is near this; a maximum above it is no maximum."""

_HALF = 0.5
"""A GPU that is busy for less than this may idle its clocks down by itself between kernels."""


_IDLE = Verdict(Outcome.IDLE, evidence=Evidence.BUSY)


def exclusive_compute(partition: Partition, use: GpuUse, policy: Policy) -> Verdict:
    """Answer for one partition whose device is present; `use` are its GPU's clocks and reasons."""
    device, promise = partition.device, partition.promise.compute
    if device is None or promise is None:
        return blind(Reason.UNSUPPORTED)
    engine, promised = device.use.engine_active, promise.amount
    if isinstance(engine, Missing):
        return blind(engine.reason)
    if engine < policy.busy_threshold:
        return _IDLE
    attached = attached_share(partition, device)
    speed = clock_speed(use, policy)
    for reading in (promised, attached, speed):
        if isinstance(reading, Missing):
            return blind(reading.reason)
    if isinstance(promised, Missing) or isinstance(attached, Missing) or isinstance(speed, Missing):
        return blind(Reason.ERROR)
    whole, cause = min(promised, attached), _cause(use)
    # A clock that is low for no reason under a light load has been lowered by the GPU itself, and takes nothing.
    delivered = whole if cause is Cause.UNKNOWN and engine < _HALF else whole * speed
    if delivered >= promised * (1 - policy.compute_tolerance) or promised <= 0:
        return Verdict(Outcome.KEPT, entitled=promised, delivered=delivered, evidence=Evidence.BUSY)
    if whole >= promised and use.throttle == frozenset():
        # Slow, busy, and by the driver held back by nothing: clock and activity were read at different moments.
        return blind(Reason.AMBIGUOUS)
    loss = {
        Cause.WRONG_PROFILE: (promised - whole) / promised,
        cause: (whole - delivered) / promised,
    }
    return Verdict(
        Outcome.BROKEN,
        loss={name: part for name, part in loss.items() if part > 0},
        entitled=promised,
        delivered=delivered,
        evidence=Evidence.BUSY,
    )


def attached_share(partition: Partition, device: Device) -> Reading:
    """The attached device's SMs over the GPU's."""
    if device.kind == "gpu":
        return 1.0
    if partition.gpu is None:
        return Missing(Reason.UNSUPPORTED)
    sms, of_gpu = device.sm_count, partition.gpu.sm_count
    if isinstance(sms, Missing):
        return sms
    if isinstance(of_gpu, Missing):
        return of_gpu
    return sms / of_gpu if sms > 0 and of_gpu > 0 else Missing(Reason.CONTRADICTION)


def clock_speed(use: GpuUse, policy: Policy) -> Reading:
    """The SM clock over the reference clock, at most 1; a busy GPU whose clock stands still contradicts itself."""
    clock, most = use.sm_clock_hertz, use.sm_clock_max_hertz
    if isinstance(clock, Missing):
        return clock
    if isinstance(most, Missing):
        return most
    reference = most * policy.reference_clock
    if reference <= 0:
        return Missing(Reason.UNSUPPORTED)
    return Missing(Reason.CONTRADICTION) if clock <= 0 or most > _ABSURD_HERTZ else min(1.0, clock / reference)


def _cause(use: GpuUse) -> Cause:
    if isinstance(use.throttle, Missing):
        return Cause.UNKNOWN
    return next((cause for reasons, cause in _REASONS if reasons & use.throttle), Cause.UNKNOWN)

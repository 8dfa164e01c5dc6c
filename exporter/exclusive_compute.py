"""Compute on an exclusive device (whole GPU, MIG instance): nobody can take its SMs, but clocks are everybody's.

Pure. Delivered is the attached share, at most the promise, slowed by min(1, SM clock / reference clock). Demanded while
the engine is busy. The cause of a slow clock is read from the clock event reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.model import (
    Device,
    DeviceUse,
    GpuState,
    GpuUse,
    GpuUuid,
    Missing,
    Partition,
    Reading,
    Reason,
    Sampled,
    Throttle,
)
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

_ALWAYS = 0.9
"""A mean from here on is of an engine that was busy nearly all of the time."""

_UNSEEN = 10.0
"""Seconds between two ticks in which a clock may have done anything."""

_HALF = 0.5
"""A GPU that is busy for less than this may idle its clocks down by itself between kernels."""


_IDLE = Verdict(Outcome.IDLE, evidence=Evidence.BUSY)


@dataclass(frozen=True, slots=True)
class Slow:
    """Since when a GPU has been slow in every tick, and the last of them; monotonic seconds."""

    since: float
    seen: float


def slow_since(
    gpus: Iterable[GpuState], now: float, policy: Policy, before: Mapping[GpuUuid, Slow]
) -> dict[GpuUuid, Slow]:
    """The GPUs that are slow, and since when without a break; what ticks far apart did not see is a break."""
    found = {}
    for state in gpus:
        speed = clock_speed(state.use, policy)
        if not isinstance(speed, Missing) and speed < 1 - policy.compute_tolerance:
            last = before.get(state.gpu.uuid)
            since = last.since if last is not None and 0 <= now - last.seen <= _UNSEEN else now
            found[state.gpu.uuid] = Slow(since, now)
    return found


def exclusive_compute(partition: Partition, use: GpuUse, policy: Policy, slow: Slow | None = None) -> Verdict:
    """Answer for one partition whose device is present; `use` are its GPU's clocks and reasons, for how long they are slow."""
    device, promise = partition.device, partition.promise.compute
    if device is None or promise is None:
        return blind(Reason.UNSUPPORTED)
    engine, promised = device.use.engine_active, promise.amount
    if isinstance(engine, Missing):
        return blind(engine.reason)
    sampled = _mean(device.use)
    unwanted = _unwanted(device.use, engine, sampled, policy)
    if unwanted is not None:
        return unwanted
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
    if sampled is not None and not _lasting(sampled, slow, small=whole < promised):
        return blind(Reason.DEMAND_UNKNOWN)
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


def _unwanted(use: DeviceUse, engine: float, sampled: Sampled | None, policy: Policy) -> Verdict | None:
    """The answer where nobody wants the device, or nobody can tell yet; None where it is wanted."""
    # A mean is of a time that has passed; whether anything runs here at all is known of now.
    if sampled is not None and use.processes == ():
        return _IDLE
    if engine >= policy.busy_threshold:
        return None
    run = None if sampled is None else sampled.engine
    if sampled is None or (run is not None and run.most < policy.busy_threshold):
        return _IDLE
    return blind(Reason.NOT_YET)


def _mean(use: DeviceUse) -> Sampled | None:
    """Over what time the engine's activity is a mean, where it is one."""
    return use.sampled if use.sampled is not None and "engine_active" in use.sampled.readings else None


def _lasting(sampled: Sampled, slow: Slow | None, *, small: bool) -> bool:
    """Whether the tenant that is there surely wanted its device for a while, all of which it was slow, or too small.

    Of a lower mean over half a minute nobody can tell which of its seconds were wanted.
    """
    run = sampled.engine
    if run is None or sampled.low_confidence or run.least < _ALWAYS:
        return False
    return small or (slow is not None and slow.since <= run.began)


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

"""Contradictions: readings that cannot all be true, each check with the bug report it comes from.

Pure. A tripped check makes the tick blind for the guarantees that hang on the readings, and is counted under its name.
Two windows of different length may differ honestly, so a contradiction must hold for two ticks in a row; a counter that
went backwards is an event and counts at once, and so does a number that no window explains: below 0, or absurd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.model import Device, DeviceUse, DeviceUuid, Missing, Partition, Reading, Reason, Snapshot
from exporter.policy import Policy
from exporter.verdict import Guarantee

Tripped = tuple[str, DeviceUuid]

_ROUNDING = 0.05
"""Ratios a little above 1 are honest: percentages are rounded and windows differ by a sample."""
_BUSY = 0.5
_PROCESS_ROUNDING = 0.01
_MEMORY_SLACK = 256 * 1024 * 1024
"""Bytes that processes may allocate between the two calls that read their memory and the device's."""
_ABSURD_RATIO = 2.0
_ABSURD_BYTES = float(1 << 60)
"""No device has an exbibyte; NVML's "not available", all bits set, is above it (nvml.h, NVML_VALUE_NOT_AVAILABLE)."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a device and its processes say that is known, for the checks to look at."""

    use: DeviceUse
    holders: Sequence[Partition]
    ratios: list[float]  # of the device, then the shares of its processes
    shares: list[float]
    amounts: list[float]  # of the device's memory
    sizes: list[float]  # of its processes' memory


Check = Callable[[_Told], bool]


def _told(device: Device, holders: Sequence[Partition]) -> _Told:
    use = device.use
    processes = () if isinstance(use.processes, Missing) else use.processes
    shares = _known([process.sm_share for process in processes])
    ratios = _known((use.engine_active, use.sm_active, use.tensor_active, use.memory_bandwidth, use.utilisation))
    memory = (use.memory_total_bytes, use.memory_used_bytes, use.memory_free_bytes, device.attached_memory_bytes)
    sizes = _known([process.memory_bytes for process in processes])
    return _Told(use, holders, ratios + shares, shares, _known(memory), sizes)


def _known(readings: Iterable[Reading]) -> list[float]:
    return [reading for reading in readings if not isinstance(reading, Missing)]


def engine_idle_utilisation_high(told: _Told) -> bool:
    """The engine reads exactly 0 while utilisation, or its processes, are at half or more (NVIDIA/dcgm-exporter#662)."""
    if told.use.engine_active != 0.0:
        return False
    return _at_least(told.use.utilisation, _BUSY) or sum(told.shares) >= _BUSY


def ratio_above_one(told: _Told) -> bool:
    """A ratio is above 1 beyond rounding, or below 0 (NVIDIA/DCGM#152: SM activity of 1.294)."""
    if _outside(told.ratios, -_ROUNDING, 1 + _ROUNDING):
        return True
    return sum(told.shares) > 1 + _ROUNDING + _PROCESS_ROUNDING * len(told.shares)


def absurd_ratio(told: _Told) -> bool:
    """A ratio that is no rounding and no sample too many."""
    return _outside(told.ratios, -_ROUNDING, _ABSURD_RATIO)


def process_memory_above_device(told: _Told) -> bool:
    """The processes of a device hold more memory than the device says is used (NVIDIA/dcgm-exporter#587)."""
    used = told.use.memory_used_bytes
    return not isinstance(used, Missing) and sum(told.sizes) > used * (1 + _ROUNDING) + _MEMORY_SLACK


def absurd_memory(told: _Told) -> bool:
    """An amount of memory that no device has."""
    amounts = told.amounts + told.sizes
    return bool(amounts) and (min(amounts) < 0 or max(amounts) >= _ABSURD_BYTES)


def copied_to_tenants(told: _Told) -> bool:
    """The device's own value stands on two or more tenants (NVIDIA/dcgm-exporter#582, #642)."""
    if len(told.holders) < 2:  # noqa: PLR2004  # two or more
        return False
    return _copied([p.used_memory_bytes for p in told.holders], told.use.memory_used_bytes, _MEMORY_SLACK) or _copied(
        [p.used_compute for p in told.holders], told.use.utilisation, _ROUNDING
    )


def _copied(values: Sequence[Reading], own: Reading, slack: float) -> bool:
    """Two tenants of 0.7 % on a device of 1.4 % all read 1 %: equal values prove a copy only beyond what rounding makes."""
    copies = sum(1 for value in values if value == own)
    return not isinstance(own, Missing) and copies > 1 and own * (copies - 1) > slack


def _at_least(reading: Reading, bound: float) -> bool:
    return not isinstance(reading, Missing) and reading >= bound


def _outside(values: Sequence[float], least: float, most: float) -> bool:
    return bool(values) and (min(values) < least or max(values) > most)


_CHECKS: Mapping[str, tuple[Check, frozenset[Guarantee]]] = {
    "engine_idle_utilisation_high": (engine_idle_utilisation_high, frozenset({Guarantee.COMPUTE})),
    "ratio_above_one": (ratio_above_one, frozenset({Guarantee.COMPUTE})),
    "process_memory_above_device": (
        process_memory_above_device,
        frozenset({Guarantee.MEMORY, Guarantee.ISOLATION}),
    ),
    "copied_to_tenants": (copied_to_tenants, frozenset({Guarantee.COMPUTE, Guarantee.MEMORY, Guarantee.ISOLATION})),
}
_AT_ONCE: Mapping[str, Check] = {
    "ratio_above_one": absurd_ratio,
    "process_memory_above_device": absurd_memory,
}
_BACKWARDS = "counter_backwards"
_STALE = "sample_stale"


@dataclass(frozen=True, slots=True)
class TrustMemory:
    """For how many ticks each check has tripped, the counters last read, and how often each check refused a reading."""

    tripped: Mapping[Tripped, int] = field(default_factory=dict)
    counters: Mapping[tuple[DeviceUuid, str], float] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is not believed on this tick: guarantees by device."""

    distrusted: Mapping[DeviceUuid, frozenset[Guarantee]]

    def of(self, partition: Partition) -> frozenset[Guarantee]:
        """The guarantees of a partition whose readings do not hold together."""
        if not self.distrusted:
            return _NONE
        on_device = self.distrusted.get(DeviceUuid(partition.key.device), _NONE)
        return on_device | self.distrusted.get(DeviceUuid(partition.key.gpu), _NONE)


_NONE: frozenset[Guarantee] = frozenset()


def examine(
    snapshot: Snapshot, holders: Mapping[DeviceUuid, Sequence[Partition]], policy: Policy, memory: TrustMemory
) -> tuple[Trust, TrustMemory]:
    """Run every check on every device."""
    tripped: dict[Tripped, int] = {}
    absurd: set[Tripped] = set()
    for device in snapshot.devices:
        told = _told(device, holders.get(device.uuid, ()))
        for name, (check, _) in _CHECKS.items():
            if check(told):
                tripped[name, device.uuid] = memory.tripped.get((name, device.uuid), 0) + 1
        absurd |= {(name, device.uuid) for name, check in _AT_ONCE.items() if check(told)}
    held = {finding for finding, ticks in tripped.items() if ticks >= policy.hold_ticks} | absurd
    distrusted: dict[DeviceUuid, frozenset[Guarantee]] = {}
    for name, uuid in held:
        distrusted[uuid] = distrusted.get(uuid, frozenset()) | _CHECKS[name][1]
    counters = _counters(snapshot)
    backwards = {key[0] for key, value in counters.items() if value < memory.counters.get(key, value)}
    for uuid in backwards:
        # A device whose counters start over was reset under us: what else it says of this interval is no better.
        distrusted[uuid] = distrusted.get(uuid, frozenset()) | {Guarantee.COMPUTE}
    refused = dict(memory.refused)
    events = [name for name, _ in held] + [_BACKWARDS] * len(backwards)
    if snapshot.doubt is Reason.STALE:
        events.append(_STALE)
    for name in events:
        refused[name] = refused.get(name, 0) + 1
    for name, count in snapshot.refused.items():
        refused[name] = refused.get(name, 0) + count
    return Trust(distrusted), TrustMemory(tripped, counters, refused)


def _counters(snapshot: Snapshot) -> dict[tuple[DeviceUuid, str], float]:
    """Every counter that only a reset may turn back: energy by GPU, ECC by device."""
    found: dict[tuple[DeviceUuid, str], Reading] = {
        (DeviceUuid(state.gpu.uuid), "energy"): state.use.energy_joules for state in snapshot.gpus
    }
    for device in snapshot.devices:
        found[device.uuid, "ecc_corrected"] = device.use.ecc_corrected
        found[device.uuid, "ecc_uncorrected"] = device.use.ecc_uncorrected
    return {key: value for key, value in found.items() if not isinstance(value, Missing)}

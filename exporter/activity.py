"""How busy devices were, from whoever knows it best: the driver first, dcgm-exporter for what the driver does not offer.

Pure. The driver's word (GPM from Hopper on, a whole GPU's utilisation) is of the last second and goes first, reading by reading.
What the driver does not offer at all is taken from dcgm-exporter's page: all activity of MIG instances before Hopper, and what
a whole GPU's SMs did. A reading that the driver offers and could not give is missing; another source's is no stand-in for it.

The page knows instances by numbers that are used again when a GPU is divided anew. So a page whose instances are not the
driver's says nothing of that GPU's instances, and neither does a sample that is older than the layout.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from exporter.dcgm.reading import DcgmDevice, DcgmGpu, DcgmReading, NamedPod
from exporter.dcgm.topology import compare, instance_profile, slices
from exporter.model import (
    DeviceUse,
    DeviceUuid,
    DriverReading,
    EngineRun,
    Gpu,
    GpuUuid,
    MigInstance,
    Missing,
    Reading,
    Reason,
    Sampled,
)

_UNSUPPORTED = Missing(Reason.UNSUPPORTED)
_AMBIGUOUS = Missing(Reason.AMBIGUOUS)
_STALE = Missing(Reason.STALE)
_NOT_YET = Missing(Reason.NOT_YET)

UNRESOLVED = "unresolved_device_id"

_READINGS = ("engine_active", "sm_active", "tensor_active", "memory_bandwidth")

_LARGER_IS_CAPPED = frozenset({"ampere"})
"""Where, of instances of several sizes on one GPU, the larger ones' activity is capped by the smallest's (NVIDIA/DCGM#248)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A GPU's instances, and since when (monotonic seconds) the driver lists just these."""

    instances: tuple[DeviceUuid, ...]
    since: float


@dataclass(frozen=True, slots=True)
class Residents:
    """The processes of a device, and since when (monotonic seconds) each of them has been seen there."""

    pids: frozenset[int]
    since: float


@dataclass(frozen=True, slots=True)
class ActivityMemory:
    """Layouts by GPU, residents by device, and the page last counted."""

    layouts: Mapping[GpuUuid, Layout] = field(default_factory=dict)
    residents: Mapping[DeviceUuid, Residents] = field(default_factory=dict)
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """The driver's reading with what a page adds; what of the page has no place, and what of it is not believed."""

    driver: DriverReading | Missing
    findings: frozenset[tuple[str, str]] = frozenset()
    refused: Mapping[str, int] = field(default_factory=dict)
    named: Mapping[DeviceUuid, tuple[NamedPod, ...]] = field(default_factory=dict)  # whom the page says a device is of


def misnamed(
    named: Mapping[DeviceUuid, tuple[NamedPod, ...]], holders: Collection[tuple[DeviceUuid, str, str]]
) -> dict[DeviceUuid, int]:
    """How many pods a page names on a device which they do not hold. `holders`: device, namespace, pod, by the kubelet."""
    found = {
        uuid: sum((uuid, each.namespace, each.pod) not in holders for each in pods) for uuid, pods in named.items()
    }
    return {uuid: count for uuid, count in found.items() if count}


def with_activity(
    driver: DriverReading | Missing, dcgm: DcgmReading | Missing, now: float, memory: ActivityMemory
) -> tuple[Told, ActivityMemory]:
    """Add a page's activity to the driver's reading. `now` is monotonic seconds."""
    if dcgm == Missing(Reason.NOT_CONFIGURED):
        return Told(driver), memory
    if isinstance(driver, Missing):
        return Told(driver), memory
    layouts = {gpu.uuid: _layout(gpu, memory.layouts.get(gpu.uuid), now) for gpu in driver.inventory.gpus}
    uses = dict(driver.devices)
    residents: dict[DeviceUuid, Residents] = {}
    named: dict[DeviceUuid, tuple[NamedPod, ...]] = {}
    findings: set[tuple[str, str]] = set()
    for gpu in driver.inventory.gpus:
        if gpu.lost:
            continue
        page = _Of(gpu, dcgm if isinstance(dcgm, Missing) else dcgm.gpus.get(gpu.uuid), now, layouts[gpu.uuid].since)
        findings |= page.unresolved()
        for uuid, found in page.devices():
            if uuid in uses:
                residents[uuid] = _residents(uses[uuid], memory.residents.get(uuid), now)
                uses[uuid] = page.filled(uuid, uses[uuid], found, residents[uuid].since)
            if not isinstance(found, Missing) and found.named:
                named[uuid] = found.named
    refused, serial = _refused(dcgm, memory.serial, now)
    told = Told(replace(driver, devices=uses), frozenset(findings), refused, named)
    return told, ActivityMemory(layouts, residents, serial)


def _residents(use: DeviceUse, before: Residents | None, now: float) -> Residents:
    """Who runs on a device; where nobody can tell, nobody is said to have come."""
    if isinstance(use.processes, Missing):
        return Residents(frozenset(), -math.inf) if before is None else before
    pids = frozenset(process.pid for process in use.processes)
    return Residents(pids, before.since if before is not None and pids <= before.pids else now)


def _layout(gpu: Gpu, before: Layout | None, now: float) -> Layout:
    instances = tuple(sorted(each.uuid for each in gpu.instances))
    return before if before is not None and before.instances == instances else Layout(instances, now)


def _refused(dcgm: DcgmReading | Missing, serial: int, now: float) -> tuple[Mapping[str, int], int]:
    """What was not believed of a page that is new: a page stands for many ticks and is counted once."""
    if isinstance(dcgm, Missing) or dcgm.serial == serial:
        return {}, serial
    counted = Counter(dcgm.untrusted)
    counted["sample_stale"] += sum(1 for gpu in dcgm.gpus.values() if now > gpu.good_until)
    return {check: count for check, count in counted.items() if count}, dcgm.serial


class _Of:
    """What a page says of one GPU: None where it has no row of it, Missing where there is no page."""

    def __init__(self, gpu: Gpu, told: DcgmGpu | Missing | None, now: float, since: float) -> None:
        self.gpu, self._told, self._now, self._since = gpu, told, now, since
        self._rows: Mapping[int | None, DcgmDevice] = {}
        if isinstance(told, DcgmGpu):
            self._rows = {each.gpu_instance: each for each in told.devices}
        self._topology = compare(
            {number: each.profile for number, each in self._rows.items() if number is not None},
            {each.gpu_instance: each.profile for each in gpu.instances},
        )

    def unresolved(self) -> frozenset[tuple[str, str]]:
        """Instances of the page that the driver does not list."""
        return frozenset((UNRESOLVED, f"{self.gpu.uuid}/{number}") for number in self._topology.unknown)

    def devices(self) -> Iterator[tuple[DeviceUuid, DcgmDevice | Missing]]:
        """What the page says of each device that can be busy."""
        if self._told is None:
            return
        if self.gpu.mig_current is not True:
            yield DeviceUuid(self.gpu.uuid), self._row(None)
            return
        sharers = Counter(each.gpu_instance for each in self.gpu.instances)
        for instance in self.gpu.instances:
            if sharers[instance.gpu_instance] > 1:
                continue  # the page has one figure for all of them, which is none of theirs
            row = self._row(instance.gpu_instance)
            yield instance.uuid, row if isinstance(row, Missing) else _of_its_own(row, instance, self.gpu)

    def _row(self, gpu_instance: int | None) -> DcgmDevice | Missing:
        told = self._told
        if not isinstance(told, DcgmGpu):
            return _UNSUPPORTED if told is None else told
        if self._now > told.good_until:
            return _STALE
        if not self._topology.same:
            return _AMBIGUOUS
        if told.seen < self._since:
            return _NOT_YET
        return self._rows.get(gpu_instance, _UNSUPPORTED)

    def filled(self, uuid: DeviceUuid, use: DeviceUse, found: DcgmDevice | Missing, since: float) -> DeviceUse:
        """What the driver does not offer of a device, from the page; or why it is not there. It runs what it does since `since`."""
        offered: tuple[Reading, ...] = (use.engine_active, use.sm_active, use.tensor_active, use.memory_bandwidth)
        page: tuple[Reading, ...] = (found,) * len(_READINGS) if isinstance(found, Missing) else _activity(found)
        taken = [theirs if ours == _UNSUPPORTED else ours for ours, theirs in zip(offered, page, strict=True)]
        given = [
            name
            for name, ours, now in zip(_READINGS, offered, taken, strict=True)
            if ours is not now and not isinstance(now, Missing)
        ]
        engine, sm, tensor, bandwidth = taken
        return replace(
            use,
            engine_active=engine,
            sm_active=sm,
            tensor_active=tensor,
            memory_bandwidth=bandwidth,
            sampled=None if not given or isinstance(found, Missing) else self._sampled(uuid, found, since, given),
        )

    def _sampled(self, uuid: DeviceUuid, found: DcgmDevice, since: float, given: Collection[str]) -> Sampled | None:
        told = self._told
        if not isinstance(told, DcgmGpu):
            return None
        least, most = found.engine_least, found.engine_most
        run = None
        if not isinstance(least, Missing) and not isinstance(most, Missing) and since <= told.first_began:
            run = EngineRun(told.first_began, least, most)
        return Sampled(
            source="dcgm",
            began=told.began,
            seen=told.seen,
            interval=told.interval,
            covers=since <= told.began,
            engine=run,
            low_confidence=uuid in self._capped,
            readings=frozenset(given),
        )

    @cached_property
    def _capped(self) -> frozenset[DeviceUuid]:
        """The instances that are larger than the smallest, where that makes them read too low."""
        if self.gpu.architecture not in _LARGER_IS_CAPPED or not self.gpu.instances:
            return frozenset()
        sizes = {each.uuid: slices(each.profile) for each in self.gpu.instances}
        smallest = min(sizes.values())
        return frozenset(uuid for uuid, size in sizes.items() if size > smallest)


def _activity(row: DcgmDevice) -> tuple[Reading, ...]:
    return row.engine, row.sm, row.tensor, row.bandwidth


def _of_its_own(row: DcgmDevice, instance: MigInstance, gpu: Gpu) -> DcgmDevice:
    """A GPU instance's activity as its only compute instance's own.

    Engine, SMs and tensor cores count against the whole GPU instance: a compute instance with a third of its SMs reads a third
    when it is full (NVIDIA/DCGM#138). Memory bandwidth is the GPU instance's, all of which its compute instance may use.
    """
    around_it = instance_profile(instance.profile)
    if around_it == instance.profile:
        return row
    around = next((each.sm_count for each in gpu.profiles if each.name == around_it), None)
    if around is None or isinstance(instance.sm_count, Missing) or instance.sm_count <= 0:
        none = _UNSUPPORTED
        return replace(row, engine=none, engine_least=none, engine_most=none, sm=none, tensor=none)
    times = max(1.0, around / instance.sm_count)
    return replace(
        row,
        engine=_times(row.engine, times),
        engine_least=_times(row.engine_least, times),
        engine_most=_times(row.engine_most, times),
        sm=_times(row.sm, times),
        tensor=_times(row.tensor, times),
    )


def _times(ratio: Reading, times: float) -> Reading:
    return ratio if isinstance(ratio, Missing) else min(1.0, ratio * times)


def activity_sources(use: DeviceUse) -> dict[str, str]:
    """Which source gave each reading of a device's activity, as in `slicewatch_source_up`; what is missing has none.

    The driver has SM, tensor and bandwidth activity from GPM alone. Its engine activity is GPM's where those are, else the
    utilisation.
    """
    taken = frozenset() if use.sampled is None else use.sampled.readings
    values = (use.engine_active, use.sm_active, use.tensor_active, use.memory_bandwidth)
    told = {name: value for name, value in zip(_READINGS, values, strict=True) if not isinstance(value, Missing)}
    by_gpm = any(name not in taken for name in told if name != "engine_active")
    own = "gpm" if by_gpm else "nvml"
    return {name: use.sampled.source if use.sampled is not None and name in taken else own for name in told}

"""How busy devices were, from whoever knows it best: the driver first, dcgm-exporter for what the driver does not offer.

Pure. The driver's word (GPM from Hopper on, a whole GPU's utilisation) is of the last second and goes first, reading by reading.
What the driver does not offer at all is taken from dcgm-exporter's page: all activity of MIG instances before Hopper, and what
a whole GPU's SMs did. A reading that the driver offers and could not give is missing; another source's is no stand-in for it.

The page knows instances by numbers that are used again when a GPU is divided anew. So a page whose instances are not the
driver's says nothing of that GPU's instances, and neither does a sample that is older than the layout.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from exporter.dcgm.reading import DcgmDevice, DcgmGpu, DcgmReading
from exporter.model import (
    DeviceUse,
    DeviceUuid,
    DriverReading,
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

_SLICES = re.compile(r"(?:[0-9]{1,2}c\.)?([0-9]{1,2})g\.", re.ASCII)
_COMPUTE_INSTANCE = re.compile(r"[0-9]{1,2}c\.(.+)", re.ASCII)
_LARGER_IS_CAPPED = frozenset({"ampere"})
"""Where, of instances of several sizes on one GPU, the larger ones' activity is capped by the smallest's (NVIDIA/DCGM#248)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A GPU's instances, and since when (monotonic seconds) the driver lists just these."""

    instances: tuple[DeviceUuid, ...]
    since: float


@dataclass(frozen=True, slots=True)
class ActivityMemory:
    """Layouts by GPU, and the page last counted."""

    layouts: Mapping[GpuUuid, Layout] = field(default_factory=dict)
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """The driver's reading with what a page adds; what of the page has no place, and what of it is not believed."""

    driver: DriverReading | Missing
    findings: frozenset[tuple[str, str]] = frozenset()
    refused: Mapping[str, int] = field(default_factory=dict)


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
    findings: set[tuple[str, str]] = set()
    for gpu in driver.inventory.gpus:
        if gpu.lost:
            continue
        page = _Of(gpu, dcgm if isinstance(dcgm, Missing) else dcgm.gpus.get(gpu.uuid), now, layouts[gpu.uuid].since)
        findings |= page.unresolved()
        for uuid, found in page.devices():
            if uuid in uses:
                uses[uuid] = _filled(uses[uuid], found, page.sampled(uuid))
    refused, serial = _refused(dcgm, memory.serial, now)
    return Told(replace(driver, devices=uses), frozenset(findings), refused), ActivityMemory(layouts, serial)


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
    """What a page says of one GPU, None where it has no row of it; Missing where there is no page."""

    def __init__(self, gpu: Gpu, told: DcgmGpu | Missing | None, now: float, since: float) -> None:
        self.gpu, self.told, self._now, self._since = gpu, told, now, since

    def unresolved(self) -> frozenset[tuple[str, str]]:
        """Instances of the page that the driver does not list. One without a profile has no compute instance, and no MIG device."""
        if self.told is None or isinstance(self.told, Missing):
            return frozenset()
        known = {each.gpu_instance for each in self.gpu.instances}
        strange = [each for each in self.told.devices if each.profile and each.gpu_instance not in known]
        return frozenset((UNRESOLVED, f"{self.gpu.uuid}/{each.gpu_instance}") for each in strange)

    def devices(self) -> Iterator[tuple[DeviceUuid, DcgmDevice | Missing]]:
        """What the page says of each device that can be busy."""
        if self.told is None:
            return
        if self.gpu.mig_current is not True:
            yield DeviceUuid(self.gpu.uuid), _AMBIGUOUS if self.unresolved() else self._row(None)
            return
        held = self.unresolved() or self._missing() or self._otherwise()
        sharers = Counter(each.gpu_instance for each in self.gpu.instances)
        for instance in self.gpu.instances:
            if sharers[instance.gpu_instance] > 1:
                continue  # the page has one figure for all of them, which is none of theirs
            row = _AMBIGUOUS if held else self._row(instance.gpu_instance)
            yield instance.uuid, row if isinstance(row, Missing) else _of_its_own(row, instance, self.gpu)

    def _row(self, gpu_instance: int | None) -> DcgmDevice | Missing:
        if self.told is None or isinstance(self.told, Missing):
            return _UNSUPPORTED if self.told is None else self.told
        if self._now > self.told.good_until:
            return _STALE
        if gpu_instance is not None and self.told.seen < self._since:
            return _NOT_YET
        return next((each for each in self.told.devices if each.gpu_instance == gpu_instance), _UNSUPPORTED)

    def _missing(self) -> bool:
        """Whether the page lacks an instance that the driver lists."""
        if self.told is None or isinstance(self.told, Missing):
            return False
        on_page = {each.gpu_instance for each in self.told.devices}
        return any(each.gpu_instance not in on_page for each in self.gpu.instances)

    def _otherwise(self) -> bool:
        """Whether an instance of the page has another number of slices. Names are not compared: labels round sizes wrongly."""
        if self.told is None or isinstance(self.told, Missing):
            return False
        labelled = {each.gpu_instance: each.profile for each in self.told.devices}
        return any(not _same_slices(labelled.get(each.gpu_instance, ""), each.profile) for each in self.gpu.instances)

    def sampled(self, uuid: DeviceUuid) -> Sampled | None:
        """Where and over what time a device's activity was read."""
        if self.told is None or isinstance(self.told, Missing):
            return None
        return Sampled("dcgm", self.told.began, self.told.seen, self.told.interval, low_confidence=self._capped(uuid))

    def _capped(self, uuid: DeviceUuid) -> bool:
        if self.gpu.architecture not in _LARGER_IS_CAPPED:
            return False
        sizes = {each.uuid: _slices(each.profile) for each in self.gpu.instances}
        return sizes.get(uuid, 0) > min(sizes.values(), default=0)


def _slices(profile: str) -> int:
    """Compute slices of the GPU instance, as its name has them."""
    found = _SLICES.match(profile)
    return 0 if found is None else int(found[1])


def _same_slices(labelled: str, attached: str) -> bool:
    on_page, listed = _slices(labelled), _slices(attached)
    return not on_page or not listed or on_page == listed


def _of_its_own(row: DcgmDevice, instance: MigInstance, gpu: Gpu) -> DcgmDevice:
    """A GPU instance's activity as its only compute instance's own.

    Engine, SMs and tensor cores count against the whole GPU instance: a compute instance with a third of its SMs reads a third
    when it is full (NVIDIA/DCGM#138). Memory bandwidth is the GPU instance's, all of which its compute instance may use.
    """
    inner = _COMPUTE_INSTANCE.match(instance.profile)
    if inner is None:
        return row
    around = next((each.sm_count for each in gpu.profiles if each.name == inner[1]), None)
    if around is None or isinstance(instance.sm_count, Missing) or instance.sm_count <= 0:
        return replace(row, engine=_UNSUPPORTED, sm=_UNSUPPORTED, tensor=_UNSUPPORTED)
    times = max(1.0, around / instance.sm_count)
    return replace(row, engine=_times(row.engine, times), sm=_times(row.sm, times), tensor=_times(row.tensor, times))


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


def _filled(use: DeviceUse, found: DcgmDevice | Missing, sampled: Sampled | None) -> DeviceUse:
    """What the driver does not offer of a device, from the page; or why it is not there either."""
    offered: tuple[Reading, ...] = (use.engine_active, use.sm_active, use.tensor_active, use.memory_bandwidth)
    page: tuple[Reading, ...] = (
        (found,) * len(_READINGS)
        if isinstance(found, Missing)
        else (found.engine, found.sm, found.tensor, found.bandwidth)
    )
    taken = [theirs if ours == _UNSUPPORTED else ours for ours, theirs in zip(offered, page, strict=True)]
    given = frozenset(
        name
        for name, ours, now in zip(_READINGS, offered, taken, strict=True)
        if ours is not now and not isinstance(now, Missing)
    )
    engine, sm, tensor, bandwidth = taken
    return replace(
        use,
        engine_active=engine,
        sm_active=sm,
        tensor_active=tensor,
        memory_bandwidth=bandwidth,
        sampled=None if sampled is None or not given else replace(sampled, readings=given),
    )

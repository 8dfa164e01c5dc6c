"""What the driver says of the simulated node: the readings that a real driver would offer, and the refusals too.

Under MIG there is no utilisation and no share per process; activity comes from GPM, which exists from Hopper on, needs two
samples at least 100 ms apart (nvml.h at nvmlGpmMetricsGet) and is asked per GPU instance. A lost GPU stays in the
inventory and answers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exporter.model import (
    DeviceUse,
    DeviceUuid,
    Gpu,
    GpuUse,
    GpuUuid,
    Inventory,
    MigInstance,
    Missing,
    Placement,
    Process,
    ProcessKind,
    Reading,
    Reason,
)
from exporter.sameness import kept
from exporter.simulator.hardware import Device, SimGpu
from exporter.simulator.node import SimNode
from exporter.simulator.spec import Access, GpuSharing
from exporter.simulator.tenancy import SimProcess

WINDOW = 0.1
"""Shortest seconds between two samples that can be compared."""

_UNSUPPORTED = Missing(Reason.UNSUPPORTED)
_LOST = Missing(Reason.DEVICE_LOST)
_NOT_YET = Missing(Reason.NOT_YET)
_DENIED = Missing(Reason.PERMISSION)


@dataclass(frozen=True, slots=True)
class Activity:
    """A device's counters, in device seconds."""

    busy: float
    sm: float
    tensor: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Every counter of the node at one time."""

    at: float = 0.0
    devices: Mapping[DeviceUuid, Activity] = field(default_factory=dict)
    used: Mapping[int, float] = field(default_factory=dict)


def sample(node: SimNode) -> Sample:
    """Read every counter now."""
    devices = {
        device.uuid: Activity(device.engine.busy, device.totals.sm, device.totals.tensor, device.totals.bandwidth)
        for gpu in node.gpus
        for device in gpu.devices
    }
    return Sample(node.now, devices, {pid: each.client.used for pid, each in node.population.processes.items()})


def inventory(node: SimNode) -> Inventory:
    """List the GPUs and MIG devices of the node."""
    return Inventory(
        driver=node.scenario.driver,
        nvml=node.scenario.nvml,
        gpus=tuple(_gpu(each) for each in node.gpus),
        generation=node.happenings.generation,
    )


def _gpu(gpu: SimGpu) -> Gpu:
    board = gpu.spec.board
    mode: bool | Missing = gpu.mig if board.rows else _UNSUPPORTED
    return Gpu(
        uuid=gpu.uuid,
        index=gpu.index,
        minor=gpu.index,
        model=board.name,
        architecture=board.architecture,
        sm_count=float(board.full_sm_count),
        mig_current=mode,
        mig_pending=mode,
        profiles=tuple(row.profile for row in board.rows),
        instances=tuple(_instance(each) for each in gpu.devices) if gpu.mig else (),
        lost=gpu.lost,
        exclusive_process=gpu.spec.sharing is GpuSharing.MPS,
    )


def _instance(device: Device) -> MigInstance:
    if device.row is None:
        message = f"{device.uuid} is no MIG instance"
        raise ValueError(message)
    profile = device.row.profile
    return MigInstance(
        uuid=device.uuid,
        index=device.index,
        gpu_instance=device.gpu_instance,
        compute_instance=0,
        profile=profile.name,
        sm_count=float(profile.sm_count),
        memory_bytes=float(profile.memory_bytes),
        placement=Placement(profile.profile_id, device.start),
    )


def gpu_uses(node: SimNode) -> dict[GpuUuid, GpuUse]:
    """Read what is GPU-wide."""
    return {gpu.uuid: _gpu_use(gpu) for gpu in node.gpus}


def _gpu_use(gpu: SimGpu) -> GpuUse:
    climate = gpu.climate
    return GpuUse(
        sm_clock_hertz=_LOST if gpu.lost else climate.clock,
        sm_clock_max_hertz=_LOST if gpu.lost else climate.board.clock_max,
        power_watts=_LOST if gpu.lost else climate.power,
        power_limit_watts=_LOST if gpu.lost else climate.limit,
        temperature_celsius=_LOST if gpu.lost else float(round(climate.temperature)),
        energy_joules=_LOST if gpu.lost else climate.energy,
        throttle=_LOST if gpu.lost else climate.throttle,
    )


class DeviceReader:
    """Reads devices against an earlier sample. `before` None: this is the first reading."""

    def __init__(self, node: SimNode, before: Sample | None, now: Sample) -> None:
        self._node = node
        self._before = before
        self._now = now

    def read(self) -> dict[DeviceUuid, DeviceUse]:
        """Read every whole GPU and every MIG instance."""
        uses: dict[DeviceUuid, DeviceUse] = {}
        for gpu in self._node.gpus:
            if gpu.mig:
                uses[gpu.whole.uuid] = _lost() if gpu.lost else self._parent(gpu)
            for device in gpu.devices:
                uses[device.uuid] = _lost() if gpu.lost else self._device(gpu, device)
        return uses

    def _parent(self, gpu: SimGpu) -> DeviceUse:
        used = sum(each.memory.used for each in gpu.devices)
        memory = gpu.whole.memory
        hidden = self._node.happenings.denied(Access.PARENT_MEMORY)
        return DeviceUse(
            memory_total_bytes=_DENIED if hidden else float(memory.total),
            memory_used_bytes=_DENIED if hidden else float(used),
            memory_free_bytes=_DENIED if hidden else float(max(0, memory.total - memory.reserved - used)),
            engine_active=_UNSUPPORTED,
            sm_active=_UNSUPPORTED,
            tensor_active=_UNSUPPORTED,
            memory_bandwidth=_UNSUPPORTED,
            utilisation=_UNSUPPORTED,
            ecc_corrected=float(gpu.corrected),
            ecc_uncorrected=float(gpu.uncorrected),
            processes=_DENIED if self._node.happenings.denied(Access.PROCESSES) else (),
        )

    def _device(self, gpu: SimGpu, device: Device) -> DeviceUse:
        busy, sm, tensor, bandwidth = self._activity(gpu, device)
        utilisation: Reading = _UNSUPPORTED if gpu.mig else _percent(self._busy_since(device))
        return DeviceUse(
            memory_total_bytes=float(device.memory.total),
            memory_used_bytes=float(device.memory.used),
            memory_free_bytes=float(device.memory.free),
            engine_active=busy if gpu.spec.board.gpm else utilisation,
            sm_active=sm,
            tensor_active=tensor,
            memory_bandwidth=bandwidth,
            utilisation=utilisation,
            ecc_corrected=_UNSUPPORTED if gpu.mig else float(gpu.corrected),
            ecc_uncorrected=0.0 if gpu.mig else float(gpu.uncorrected),
            processes=self._processes(gpu, device),
        )

    def _activity(self, gpu: SimGpu, device: Device) -> tuple[Reading, Reading, Reading, Reading]:
        if not gpu.spec.board.gpm:
            return _UNSUPPORTED, _UNSUPPORTED, _UNSUPPORTED, _UNSUPPORTED
        first = None if self._before is None else self._before.devices.get(device.uuid)
        if first is None or self._before is None or self._now.at - self._before.at < WINDOW:
            return _NOT_YET, _NOT_YET, _NOT_YET, _NOT_YET
        last, span = self._now.devices[device.uuid], self._now.at - self._before.at
        return (
            _ratio(last.busy - first.busy, span),
            _ratio(last.sm - first.sm, span),
            _ratio(last.tensor - first.tensor, span),
            _ratio(last.bandwidth - first.bandwidth, span),
        )

    def _span(self) -> tuple[Sample, float]:
        """Return the sample that the driver's own averages start from: at the first reading, the node's start."""
        before = Sample() if self._before is None else self._before
        return before, self._now.at - before.at

    def _busy_since(self, device: Device) -> float:
        before, span = self._span()
        first = before.devices.get(device.uuid)
        return _ratio(self._now.devices[device.uuid].busy - (0.0 if first is None else first.busy), span)

    def _processes(self, gpu: SimGpu, device: Device) -> tuple[Process, ...] | Missing:
        if self._node.happenings.denied(Access.PROCESSES):
            return _DENIED
        found = (self._process(gpu, device, each) for each in self._node.population.on(device))
        return tuple(sorted(found, key=lambda each: each.pid))

    def _process(self, gpu: SimGpu, device: Device, process: SimProcess) -> Process:
        client = gpu.spec.sharing is GpuSharing.MPS and not process.server
        before, span = self._span()
        spent = self._now.used[process.pid] - before.used.get(process.pid, 0.0)
        share = _ratio(spent, span) if self._node.scenario.exact else _percent(_ratio(spent, span))
        return Process(
            pid=process.pid,
            kind=ProcessKind.MPS if client else ProcessKind.COMPUTE,
            memory_bytes=float(device.memory.of(process.pid)),
            sm_share=_UNSUPPORTED if gpu.mig else share,
        )


def steady(before: Mapping[DeviceUuid, DeviceUse], now: Mapping[DeviceUuid, DeviceUse]) -> dict[DeviceUuid, DeviceUse]:
    """Return the readings of now with the objects of before wherever they are equal, as the driver's source does."""
    found: dict[DeviceUuid, DeviceUse] = {}
    for uuid, use in now.items():
        was = before.get(uuid)
        if was is not None and was != use and was.processes == use.processes:
            found[uuid] = replace(use, processes=was.processes)
        else:
            found[uuid] = kept(was, use)
    return found


def _lost() -> DeviceUse:
    return DeviceUse(
        memory_total_bytes=_LOST,
        memory_used_bytes=_LOST,
        memory_free_bytes=_LOST,
        engine_active=_LOST,
        sm_active=_LOST,
        tensor_active=_LOST,
        memory_bandwidth=_LOST,
        utilisation=_LOST,
        ecc_corrected=_LOST,
        ecc_uncorrected=_LOST,
        processes=_LOST,
    )


def _ratio(part: float, span: float) -> float:
    return min(1.0, max(0.0, part / span)) if span > 0.0 else 0.0


def _percent(ratio: float) -> float:
    return round(ratio, 2)

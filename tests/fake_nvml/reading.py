"""From what a source should have read to a driver that says so: the inverse of the NVML source, for round trips.

A `DriverReading` (the simulator's, or one written by hand) becomes the driver state that a correct source reads back as
an equal reading, within NVML's own resolution: whole MHz, milliwatts, millijoules, whole percent of utilisation and
process shares, whole MiB of profiles and attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from exporter.model import DeviceUse, DeviceUuid, DriverReading, Gpu, Missing, Reason
from tests.fake_nvml.boards import architecture_of, gpu_instances_of, instance_of, profile_index, profiles_of
from tests.fake_nvml.translate import (
    ABSENT,
    UNREAD,
    code_of,
    device_use_as_read,
    gpu_use_as_read,
    has_gpm,
    memory_of,
    metrics_of,
    processes_of,
    scaled,
    throttle_of,
)
from tests.fake_nvml.values import (
    NOT_SUPPORTED,
    WHOLE_GPU,
    Code,
    FakeDriver,
    FakeEvent,
    FakeGpu,
    Fault,
    Faults,
    Processes,
)


def from_reading(
    reading: DriverReading, *, privileged: bool = True, faults: Faults | None = None, previous: FakeDriver | None = None
) -> FakeDriver:
    """Return the driver that a correct source reads back as `as_read(reading)`.

    `previous` is the state written before: its events stay in the queue and the new ones are numbered after them.
    Raises ValueError when no driver could answer so (a memory size that is no whole number of MiB, holes in the
    indices).
    """
    boards = sorted(reading.inventory.gpus, key=lambda gpu: gpu.index)
    if [gpu.index for gpu in boards] != list(range(len(boards))):
        raise ValueError("a driver numbers its GPUs from 0 without holes")
    blocked = tuple(fault for gpu in boards for fault in _share_faults(gpu, reading.devices))
    base = faults or Faults()
    return FakeDriver(
        gpus=tuple(_gpu(gpu, reading) for gpu in boards),
        driver=reading.inventory.driver,
        nvml=reading.inventory.nvml,
        privileged=privileged,
        events=_events(reading, previous),
        faults=replace(base, calls=base.calls + blocked),
    )


def as_read(reading: DriverReading) -> DriverReading:
    """Return the reading as it comes back through the driver: what a source's answer is to be compared with.

    Numbers are at NVML's resolution, and catalogues, which are sets to the model, in the order of the driver's index.
    """
    gpus = tuple(_ordered(gpu) for gpu in reading.inventory.gpus)
    return replace(
        reading,
        inventory=replace(reading.inventory, gpus=gpus),
        gpus={uuid: gpu_use_as_read(use) for uuid, use in reading.gpus.items()},
        devices={uuid: device_use_as_read(use) for uuid, use in reading.devices.items()},
    )


def _ordered(gpu: Gpu) -> Gpu:
    full = max(gpu.profiles, key=lambda row: row.slices, default=None)
    return replace(gpu, profiles=tuple(sorted(gpu.profiles, key=lambda row: profile_index(row, full))))


def _events(reading: DriverReading, previous: FakeDriver | None) -> tuple[FakeEvent, ...]:
    queued = previous.events if previous else ()
    first = queued[-1].sequence + 1 if queued else 1
    fresh = (
        FakeEvent(
            sequence=first + place,
            gpu=event.gpu,
            data=event.xid,
            gpu_instance=WHOLE_GPU if event.gpu_instance is None else event.gpu_instance,
            compute_instance=WHOLE_GPU if event.compute_instance is None else event.compute_instance,
        )
        for place, event in enumerate(reading.events)
    )
    return (*queued, *fresh)


def _share_faults(gpu: Gpu, devices: Mapping[DeviceUuid, DeviceUse]) -> list[Fault]:
    """A process share that is missing outside MIG is the utilisation call refusing; all processes share the call."""
    use = devices.get(DeviceUuid(gpu.uuid))
    if use is None or gpu.mig_current is True or isinstance(use.processes, Missing):
        return []
    reasons = {process.sm_share.reason for process in use.processes if isinstance(process.sm_share, Missing)}
    reasons.discard(Reason.NOT_YET)  # the driver's answer is not at fault
    calls = ("nvmlDeviceGetProcessUtilization", "nvmlDeviceGetProcessesUtilizationInfo")
    return [Fault(call=call, code=code_of(reason), device=gpu.uuid) for reason in sorted(reasons)[:1] for call in calls]


def _gpu(gpu: Gpu, reading: DriverReading) -> FakeGpu:
    shared = reading.gpus.get(gpu.uuid, UNREAD)
    own = reading.devices.get(DeviceUuid(gpu.uuid), ABSENT)
    uses = {item.uuid: reading.devices.get(item.uuid, ABSENT) for item in gpu.instances}
    number, capability, cores = architecture_of(gpu)
    slots = [max((row.slices for row in gpu.profiles), default=7), *(item.index + 1 for item in gpu.instances)]
    gpm = reading.gpm is not False and any(has_gpm(use) for use in (own, *uses.values()))
    return FakeGpu(
        uuid=gpu.uuid,
        name=gpu.model,
        minor=NOT_SUPPORTED if gpu.minor is None else gpu.minor,
        compute_mode=NOT_SUPPORTED if isinstance(gpu.exclusive_process, Missing) else 3 * gpu.exclusive_process,
        pci_bus_id=f"00000000:{gpu.index + 1:02X}:00.0",
        architecture=number,
        compute_capability=capability,
        cores=scaled(gpu.sm_count, cores),
        mig_current=scaled(gpu.mig_current, 1),
        mig_pending=scaled(gpu.mig_pending, 1),
        max_mig_devices=max(slots),
        memory=memory_of(own),
        utilisation=scaled(own.utilisation, 100),
        sm_clock=scaled(shared.sm_clock_hertz, 1e-6),
        sm_clock_max=scaled(shared.sm_clock_max_hertz, 1e-6),
        power_mw=scaled(shared.power_watts, 1e3),
        power_limit_mw=scaled(shared.power_limit_watts, 1e3),
        temperature=scaled(shared.temperature_celsius, 1),
        energy_mj=scaled(shared.energy_joules, 1e3),
        throttle=throttle_of(shared),
        ecc_corrected=scaled(own.ecc_corrected, 1),
        ecc_uncorrected=scaled(own.ecc_uncorrected, 1),
        ecc_mode=int({own.ecc_corrected, own.ecc_uncorrected} != {Missing(Reason.UNSUPPORTED)}),
        gpm_supported=gpm,
        gpm=metrics_of(own),
        profiles=profiles_of(gpu.profiles),
        gpu_instances=gpu_instances_of(gpu, uses),
        instances=tuple(instance_of(item, gpu, uses[item.uuid]) for item in gpu.instances),
        processes=_own_processes(gpu, reading.devices),
        lost=Code.GPU_IS_LOST if gpu.lost else 0,
    )


def _own_processes(gpu: Gpu, devices: Mapping[DeviceUuid, DeviceUse]) -> Processes:
    """Those of the GPU itself: in MIG mode the library adds the instances' to the parent's list, as the driver does."""
    own = processes_of(devices.get(DeviceUuid(gpu.uuid), ABSENT))
    if not isinstance(own, tuple) or not gpu.instances:
        return own
    inside = (devices.get(item.uuid, ABSENT).processes for item in gpu.instances)
    pids = {process.pid for processes in inside if not isinstance(processes, Missing) for process in processes}
    return tuple(process for process in own if process.pid not in pids)

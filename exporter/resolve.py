"""Which device an id of the kubelet's means: the driver's inventory, indexed by every spelling that ids come in.

Pure. A device is found by what the driver lists now, else by what it listed before: a MIG instance that was destroyed
under its holder is still that holder's device, and its GPU is known from memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter

from exporter.ids import ClaimId, DeviceId, GpuId, MigId, MigPathId, MinorId, SplitId, UnknownId, claimed_name
from exporter.model import (
    Device,
    DeviceState,
    DeviceUse,
    DeviceUuid,
    DriverReading,
    Gpu,
    GpuUuid,
    Inventory,
    MigInstance,
    Missing,
    Placement,
    Reason,
)

UNKNOWN_GPU = GpuUuid("unknown")
"""The parent of a MIG instance that the kubelet names and the driver has never shown to us."""


def unread(reason: Reason) -> DeviceUse:
    """Readings that are all missing for one reason."""
    missing = Missing(reason)
    return DeviceUse(
        memory_total_bytes=missing,
        memory_used_bytes=missing,
        memory_free_bytes=missing,
        engine_active=missing,
        sm_active=missing,
        tensor_active=missing,
        memory_bandwidth=missing,
        utilisation=missing,
        ecc_corrected=missing,
        ecc_uncorrected=missing,
        processes=missing,
    )


_UNREAD = unread(Reason.ERROR)


def devices_of(reading: DriverReading, seen: Seen, index: Index) -> dict[DeviceUuid, Device]:
    """Every device of a reading: each whole GPU, then its MIG instances, with their readings.

    A device of the same inventory with the same readings is the one that was seen before.
    """
    devices: dict[DeviceUuid, Device] = {}
    before: Mapping[DeviceUuid, Device] = seen.devices if seen.index is index else {}
    for uuid, gpu in index.parents.items():
        use = reading.devices.get(uuid, _UNREAD)
        known = before.get(uuid)
        if known is not None and known.use is use:
            devices[uuid] = known
        else:
            devices[uuid] = _with_size(_device(gpu, uuid, use, index), seen)
    return devices


def _device(gpu: Gpu, uuid: DeviceUuid, use: DeviceUse, index: Index) -> Device:
    instance = index.instances.get(uuid)
    if instance is None:
        return Device(
            gpu=gpu.uuid,
            uuid=uuid,
            kind="gpu",
            index=str(gpu.index),
            model=gpu.model,
            sm_count=gpu.sm_count,
            attached_memory_bytes=use.memory_total_bytes,
            use=use,
            lost=gpu.lost,
        )
    return Device(
        gpu=gpu.uuid,
        uuid=instance.uuid,
        kind=instance.kind,
        index=f"{gpu.index}:{instance.index}",
        model=gpu.model,
        profile=instance.profile,
        gpu_instance=instance.gpu_instance,
        compute_instance=instance.compute_instance,
        sm_count=instance.sm_count,
        attached_memory_bytes=instance.memory_bytes,
        use=use,
        shows_memory=uuid in index.lowest,
        lost=gpu.lost,
    )


def _lowest_compute_instances(gpu: Gpu) -> frozenset[DeviceUuid]:
    lowest: dict[int, MigInstance] = {}
    for instance in gpu.instances:
        known = lowest.get(instance.gpu_instance)
        if known is None or instance.compute_instance < known.compute_instance:
            lowest[instance.gpu_instance] = instance
    return frozenset(instance.uuid for instance in lowest.values())


@dataclass(frozen=True, slots=True)
class Index:
    """What an inventory says by itself, by every spelling that ids come in; made once for each inventory."""

    inventory: Inventory | None
    gpus: Mapping[GpuUuid, Gpu]
    parents: Mapping[DeviceUuid, Gpu]  # of every device, sorted; a GPU is its own
    instances: Mapping[DeviceUuid, MigInstance]
    lowest: frozenset[DeviceUuid]  # of the compute instances of each GPU instance
    by_path: Mapping[tuple[str, int, int], DeviceUuid]
    by_minor: Mapping[int, GpuUuid]
    by_placement: Mapping[tuple[GpuUuid, Placement], DeviceUuid]
    by_name: Mapping[str, Found]


def index(inventory: Inventory | None) -> Index:
    """Index an inventory, which may be none."""
    gpus = () if inventory is None else inventory.gpus
    return Index(
        inventory=inventory,
        gpus={gpu.uuid: gpu for gpu in gpus},
        parents=dict(sorted(_parents(gpus), key=itemgetter(0))),
        instances={instance.uuid: instance for gpu in gpus for instance in gpu.instances},
        lowest=frozenset(uuid for gpu in gpus for uuid in _lowest_compute_instances(gpu)),
        by_path={(g.uuid, i.gpu_instance, i.compute_instance): i.uuid for g in gpus for i in g.instances},
        by_minor={gpu.minor: gpu.uuid for gpu in gpus if gpu.minor is not None},
        by_placement={
            (gpu.uuid, instance.placement): instance.uuid
            for gpu in gpus
            # Two compute instances of one GPU instance lie in the same place: the name means neither.
            for instance in gpu.instances
            if instance.placement is not None
            and sum(instance.gpu_instance == other.gpu_instance for other in gpu.instances) == 1
        },
        by_name={name: found for gpu in gpus for name, found in _names(gpu)},
    )


def _parents(gpus: Iterable[Gpu]) -> Iterator[tuple[DeviceUuid, Gpu]]:
    for gpu in gpus:
        yield DeviceUuid(gpu.uuid), gpu
        yield from ((instance.uuid, gpu) for instance in gpu.instances)


_NOTHING_SEEN = index(None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the driver has shown so far: the last inventory, and every device that a lease may still name."""

    index: Index = _NOTHING_SEEN
    gpus: Mapping[GpuUuid, Gpu] = field(default_factory=dict)
    devices: Mapping[DeviceUuid, Device] = field(default_factory=dict)

    def after(self, world: World, held: Iterable[tuple[GpuUuid, DeviceUuid]]) -> Seen:
        """Remember what is listed now and what is still held; forget the rest, so that memory is bounded."""
        if not world.answered:
            return self
        leased = tuple(held)
        devices = {uuid: world.known[uuid] for _, uuid in leased if uuid in world.known} | dict(world.present)
        gpus = {uuid: world.known_gpus[uuid] for uuid, _ in leased if uuid in world.known_gpus} | dict(world.gpus)
        return Seen(index=world.index, gpus=gpus, devices=devices)


@dataclass(frozen=True, slots=True)
class Found:
    """A device that an id resolved to."""

    gpu: GpuUuid
    uuid: DeviceUuid


@dataclass(frozen=True, slots=True)
class World:
    """The devices of this instant (`present`, sorted), those known from before (`known` holds both), and how to look one up."""

    index: Index
    answered: bool  # the driver answered at this instant
    doubt: Reason | None  # why not
    present: Mapping[DeviceUuid, Device]
    known: Mapping[DeviceUuid, Device]
    known_gpus: Mapping[GpuUuid, Gpu]

    @property
    def gpus(self) -> Mapping[GpuUuid, Gpu]:
        """The GPUs that are listed."""
        return self.index.gpus

    def is_mig_parent(self, device: Device) -> bool:
        """Whether a device is a GPU that is cut into instances, so that nothing runs on it itself."""
        gpu = self.gpus.get(device.gpu)
        return device.kind == "gpu" and gpu is not None and gpu.mig_current is True

    def resolve(self, device: DeviceId) -> Found | None:
        """Find the device that an id means; None when no driver ever showed one and the id does not carry its GPU."""
        match device:
            case GpuId(uuid=uuid):
                return Found(GpuUuid(uuid), DeviceUuid(uuid))
            case MigId(uuid=uuid):
                known = self.known.get(DeviceUuid(uuid))
                if known is not None:
                    return Found(known.gpu, known.uuid)
                return Found(UNKNOWN_GPU, DeviceUuid(uuid)) if self.answered else None
            case MigPathId(gpu=gpu, gpu_instance=gi, compute_instance=ci):
                return self._instance(gpu, gi, ci)
            case MinorId(minor=minor, gpu_instance=gi):
                found = self.index.by_minor.get(minor)
                if found is None:
                    return None
                return Found(found, DeviceUuid(found)) if gi is None else self._instance(found, gi, 0)
            case ClaimId(device=name):
                return self._claimed(name)
            case UnknownId(text=text):
                return self.index.by_name.get(text)
            case SplitId():
                return None

    def _claimed(self, name: str) -> Found | None:
        """The device that a DRA driver means by a name that it did not publish a UUID for."""
        named = claimed_name(name)
        gpu = None if named is None else self.index.by_minor.get(named.minor)
        if named is None or gpu is None:
            return None
        if named.profile_id is None or named.start is None:
            return Found(gpu, DeviceUuid(gpu))
        uuid = self.index.by_placement.get((gpu, Placement(named.profile_id, named.start)))
        return None if uuid is None else Found(gpu, uuid)

    def _instance(self, gpu: str, gpu_instance: int, compute_instance: int) -> Found | None:
        uuid = self.index.by_path.get((gpu, gpu_instance, compute_instance))
        return None if uuid is None else Found(GpuUuid(gpu), uuid)

    def state(self, gpu: GpuUuid, uuid: DeviceUuid) -> DeviceState:
        """Whether a held device is there, as the driver tells it now."""
        if not self.answered:
            return DeviceState.UNKNOWN
        parent = self.gpus.get(gpu)
        if parent is not None and parent.lost:
            return DeviceState.LOST
        if uuid in self.present:
            whole = self.present[uuid].kind == "gpu"
            reshaped = whole and parent is not None and parent.mig_current is True
            return DeviceState.RECONFIGURED if reshaped else DeviceState.PRESENT
        if parent is not None and uuid in self.known:
            return DeviceState.RECONFIGURED
        return DeviceState.MISSING


def _with_size(device: Device, seen: Seen) -> Device:
    """A device that has stopped answering is as large as it was: its promise does not vanish with it."""
    before = seen.devices.get(device.uuid)
    if before is None or not isinstance(device.attached_memory_bytes, Missing):
        return device
    return replace(device, attached_memory_bytes=before.attached_memory_bytes)


def world(driver: DriverReading | Missing, seen: Seen) -> World:
    """Index what the driver says now, or, when it does not answer, what it said last with every reading missing."""
    if isinstance(driver, Missing):
        here = seen.index
        nothing = unread(driver.reason)
        known = seen.devices
        present = {uuid: replace(known[uuid], use=nothing) for uuid in here.parents if uuid in known}
    else:
        here = seen.index if seen.index.inventory is driver.inventory else index(driver.inventory)
        present = devices_of(driver, seen, here)
    return World(
        index=here,
        answered=not isinstance(driver, Missing),
        doubt=driver.reason if isinstance(driver, Missing) else None,
        present=present,
        known={**seen.devices, **present},
        known_gpus={**seen.gpus, **here.gpus},
    )


def _names(gpu: Gpu) -> Iterable[tuple[str, Found]]:
    yield from ((name, Found(gpu.uuid, DeviceUuid(gpu.uuid))) for name in gpu.names)
    yield from ((name, Found(gpu.uuid, each.uuid)) for each in gpu.instances for name in each.names)

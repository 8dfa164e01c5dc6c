"""What a partition uses: its share of the parent GPU, its memory, and what memory it could still get.

Pure. An exclusive device's use is the device's own; a shared device's is summed over the processes that belong to the
partition, and is missing as soon as one process of the device cannot be placed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from exporter.catalogue import PartitionKey
from exporter.consumers import total
from exporter.leases import Lease
from exporter.model import (
    Consumer,
    Device,
    DeviceUse,
    DeviceUuid,
    GpuUuid,
    Missing,
    Reading,
    Reason,
    Relation,
    Role,
    Sharing,
)
from exporter.resolve import World


@dataclass(frozen=True, slots=True)
class Use:
    """Readings of one partition: `compute` as a share of the parent GPU's SM time, memory in bytes."""

    compute: Reading
    memory: Reading
    obtainable: Reading


def use_of(
    lease: Lease,
    here: World,
    sharing: Sharing,
    placed: tuple[Consumer, ...] | Missing,
    crowded: Collection[tuple[GpuUuid, int]],
    together: Collection[PartitionKey] = (),
) -> Use:
    """Measure one partition whose device is present; `placed` are all processes of its device.

    `together` are all who have the device by one claim: what is free to one of them, and what they all use, is theirs.
    """
    device = here.present.get(DeviceUuid(lease.key.device))
    if device is None or here.doubt is not None or device.lost:
        gone = Missing(Reason.DEVICE_LOST if here.doubt is None else here.doubt)
        return Use(gone, gone, gone)
    sampled, memory = _process_sums(lease, placed)
    common = device.gpu_instance is not None and (device.gpu, device.gpu_instance) in crowded
    # A probe with an administrator's access sees the device's readings and has only its own processes' part in them.
    joint = len(together) > 1 or lease.owner.role is not Role.WORKLOAD
    alone = not lease.shared and not common and not joint
    if alone:
        memory = device.use.memory_used_bytes
    return Use(
        compute=sampled if joint and not lease.shared else _compute(lease, here, device, sharing, sampled),
        memory=memory,
        obtainable=_obtainable(
            _joint(placed, together) if len(together) > 1 else memory, device, placed, lease, alone=alone
        ),
    )


def _joint(placed: tuple[Consumer, ...] | Missing, together: Collection[PartitionKey]) -> Reading:
    if isinstance(placed, Missing):
        return placed
    if any(consumer.relation is Relation.UNKNOWN for consumer in placed):
        return Missing(Reason.AMBIGUOUS)
    return total([consumer.process.memory_bytes for consumer in placed if consumer.holder in together])


def _obtainable(
    memory: Reading, device: Device, placed: tuple[Consumer, ...] | Missing, lease: Lease, *, alone: bool
) -> Reading:
    """Own use and what is free. What others hold on an exclusive device stands in the device's use and is not its owner's."""
    if not alone or isinstance(placed, Missing):
        return total((memory, device.use.memory_free_bytes))
    others = (None, lease.key)
    strangers = [
        c.process.memory_bytes for c in placed if (c.relation in _STRANGERS and c.settled) or c.holder not in others
    ]
    held = sum(size for size in strangers if not isinstance(size, Missing))
    return total((memory, device.use.memory_free_bytes, -held))


_STRANGERS = frozenset({Relation.ROGUE, Relation.HOST})


def crowded_instances(here: World, held: Collection[DeviceUuid]) -> frozenset[tuple[GpuUuid, int]]:
    """GPU instances of which more than one compute instance is held: their memory is common to the holders."""
    holders: Counter[tuple[GpuUuid, int]] = Counter()
    for uuid in held:
        device = here.present.get(uuid)
        if device is not None and device.gpu_instance is not None:
            holders[device.gpu, device.gpu_instance] += 1
    return frozenset(instance for instance, count in holders.items() if count > 1)


def _process_sums(lease: Lease, placed: tuple[Consumer, ...] | Missing) -> tuple[Reading, Reading]:
    if isinstance(placed, Missing):
        return placed, placed
    if any(consumer.relation is Relation.UNKNOWN for consumer in placed):
        # One process of the device cannot be placed: it may be ours, so a sum over the known ones would be too low.
        unknown = Missing(Reason.AMBIGUOUS)
        return unknown, unknown
    own = [consumer.process for consumer in placed if consumer.holder == lease.key]
    return total([process.sm_share for process in own]), total([process.memory_bytes for process in own])


def _sm_active(use: DeviceUse) -> Reading:
    """SM activity; a mean over a time in which somebody else may have been here is not this holder's."""
    sampled = use.sampled
    if sampled is None or sampled.covers or "sm_active" not in sampled.readings:
        return use.sm_active
    return Missing(Reason.NOT_YET)


def _compute(lease: Lease, here: World, device: Device, sharing: Sharing, sampled: Reading) -> Reading:
    """Measured use as a share of the parent GPU.

    Under MPS kernels of several clients run side by side, and what the driver's per-process samples mean there is
    unproven, so the use of an MPS share is not told.
    """
    if sharing is Sharing.MPS:
        return Missing(Reason.UNSUPPORTED)
    if lease.shared:
        return sampled
    active = _sm_active(device.use)
    if device.kind == "gpu":
        candidates = (active, sampled, device.use.utilisation)
        return next((c for c in candidates if not isinstance(c, Missing)), active)
    gpu = here.gpus.get(device.gpu)
    of_gpu: Reading = Missing(Reason.DEVICE_LOST) if gpu is None else gpu.sm_count
    if isinstance(active, Missing):
        return active
    if isinstance(device.sm_count, Missing):
        return device.sm_count
    if isinstance(of_gpu, Missing):
        return of_gpu
    return active * device.sm_count / of_gpu if of_gpu > 0 else Missing(Reason.CONTRADICTION)

"""The MIG devices of one board: walk the sparse list of handles and read what each one is.

A MIG device is a compute instance inside a GPU instance. Handles are found by index, indices have holes, a handle dies
with its instance and may come back as another one (nvml.h on nvmlDeviceGetMigDeviceHandleByIndex).
"""

from __future__ import annotations

from exporter.model import DeviceUuid, MigInstance, Missing, Placement, Reading, Reason
from exporter.sources.nvml.calls import Calls, Spot, address
from exporter.sources.nvml.profiles import MIB

Member = tuple[Spot, MigInstance]
"""An instance with its handle."""

_ABSENT = frozenset({Reason.UNSUPPORTED, Reason.ERROR})
"""An empty slot answers NOT_FOUND, on some drivers INVALID_ARGUMENT (utkuozdemir/nvidia_gpu_exporter)."""


def walk(calls: Calls, parent: Spot, before: tuple[Member, ...], *, anew: bool) -> tuple[Member, ...]:
    """Return the instances of a GPU in MIG mode, in the order of their indices.

    An instance that was there all the time keeps its spot, unless the driver said that the layout is `anew`. A slot
    that the driver cannot answer for just now (a timeout, say) keeps what was there before: a hiccup is no
    reconfiguration.
    """
    standing = {} if anew else {spot.uuid: spot for spot, _ in before if still_there(calls, spot)}
    known = {instance.index: (spot, instance) for spot, instance in before}
    slots = calls.ask(parent, calls.lib.nvmlDeviceGetMaxMigDeviceCount)
    if isinstance(slots, Missing):
        return tuple(known.values())
    members = []
    for index in range(slots):
        found = _slot(calls, parent, index)
        if not isinstance(found, Missing):
            spot, instance = found
            members.append((same_spot(standing.get(spot.uuid), spot), instance))
        elif found.reason not in _ABSENT and index in known:
            members.append(known[index])
    return tuple(members)


def _slot(calls: Calls, parent: Spot, index: int) -> Member | Missing:
    handle = calls.attempt(parent.gpu, calls.lib.nvmlDeviceGetMigDeviceHandleByIndex, parent.handle, index)
    if isinstance(handle, Missing):
        return handle
    uuid = calls.attempt(parent.gpu, calls.lib.nvmlDeviceGetUUID, handle)
    if isinstance(uuid, Missing):
        return uuid
    return _member(calls, parent, Spot(parent.gpu, DeviceUuid(uuid), handle), index)


def _member(calls: Calls, parent: Spot, spot: Spot, index: int) -> Member | Missing:
    lib = calls.lib
    gpu_instance = calls.attempt(spot.gpu, lib.nvmlDeviceGetGpuInstanceId, spot.handle)
    compute_instance = calls.attempt(spot.gpu, lib.nvmlDeviceGetComputeInstanceId, spot.handle)
    if isinstance(gpu_instance, Missing):
        return gpu_instance
    if isinstance(compute_instance, Missing):
        return compute_instance
    name = calls.attempt(spot.gpu, lib.nvmlDeviceGetName, spot.handle)
    attributes = calls.attempt(spot.gpu, lib.nvmlDeviceGetAttributes_v2, spot.handle)
    if isinstance(attributes, Missing):
        sms: Reading = attributes
        size: Reading = attributes
    else:
        sms, size = float(attributes.multiprocessorCount), float(attributes.memorySizeMB * MIB)
    return spot, MigInstance(
        uuid=spot.uuid,
        index=index,
        gpu_instance=gpu_instance,
        compute_instance=compute_instance,
        profile="" if isinstance(name, Missing) else profile_of_name(name),
        sm_count=sms,
        memory_bytes=size,
        placement=_placement(calls, parent, gpu_instance),
    )


def _placement(calls: Calls, parent: Spot, gpu_instance: int) -> Placement | None:
    """Where a GPU instance lies; the driver tells it to root alone (nvml.h on nvmlDeviceGetGpuInstanceById)."""
    handle = calls.attempt(parent.gpu, calls.lib.nvmlDeviceGetGpuInstanceById, parent.handle, gpu_instance)
    if isinstance(handle, Missing):
        return None
    found = calls.attempt(parent.gpu, calls.lib.nvmlGpuInstanceGetInfo, handle)
    return None if isinstance(found, Missing) else Placement(found.profileId, found.placement.start)


def profile_of_name(name: str) -> str:
    """Return the profile in a MIG device's name, `NVIDIA H100 80GB HBM3 MIG 1g.10gb`; empty when it names none."""
    return f" {name}".partition(" MIG ")[2]


def still_there(calls: Calls, spot: Spot) -> bool:
    """Whether the handle still stands for the instance it stood for: one cheap call, against a walk of six.

    A timeout or a missing permission says nothing about the handle, and neither does a lost GPU.
    """
    uuid = calls.attempt(spot.gpu, calls.lib.nvmlDeviceGetUUID, spot.handle)
    return uuid == spot.uuid or (isinstance(uuid, Missing) and uuid.reason not in _ABSENT)


def same_spot(before: Spot | None, now: Spot) -> Spot:
    """Return the spot of before where it is of the same device by the same handle, so that it can be told as such."""
    if before is not None and before.uuid == now.uuid and address(before.handle) == address(now.handle):
        return before
    return now

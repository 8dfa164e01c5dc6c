"""What leases and offers add up to: slots held and offered, who shares a claim, which leases a device has. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from exporter.ids import DeviceId, GpuId, MigId, MigPathId, MinorId, SplitId, UnknownId
from exporter.leases import Lease, Leases
from exporter.model import Allocations, DeviceUuid, GpuUuid, Missing
from exporter.records import Role
from exporter.resolve import World


def slots_held(leases: Leases) -> Counter[DeviceUuid]:
    """How many slots of each device are held by all leases together; an administrator's access holds none."""
    held: Counter[DeviceUuid] = Counter()
    for key, lease in leases.by_key.items():
        if lease.owner.role is not Role.ADMIN:
            held[DeviceUuid(key.device)] += lease.slots
    return held


def sharers(leases: Leases) -> Counter[tuple[DeviceUuid, str]]:
    """How many containers have each device of each claim together."""
    return Counter(
        (DeviceUuid(key.device), lease.grant.claim)
        for key, lease in leases.by_key.items()
        if lease.grant is not None and lease.grant.claim and lease.grant.role is Role.WORKLOAD
    )


def replicas_offered(allocations: Allocations | Missing, world: World) -> Mapping[DeviceUuid, int]:
    """How many slots of each device the plugin offers: the distinct replica ids of GetAllocatableResources."""
    if isinstance(allocations, Missing) or isinstance(allocations.allocatable, Missing):
        return {}
    offered: dict[DeviceUuid, set[DeviceId]] = defaultdict(set)
    for _, device in allocations.allocatable:
        if not isinstance(device, UnknownId) and device.replica is not None:
            found = world.resolve(device)
            if found is not None:
                offered[found.uuid].add(device)
    return {uuid: len(ids) for uuid, ids in offered.items()}


def offers(allocations: Allocations | Missing, world: World) -> frozenset[DeviceUuid]:
    """The devices that plugins offer, in slots or whole; empty where the kubelet does not say, or has no plugin of GPUs."""
    if isinstance(allocations, Missing) or isinstance(allocations.allocatable, Missing):
        return frozenset()
    named = {
        DeviceUuid(device.uuid) for _, device in allocations.allocatable if isinstance(device, GpuId | MigId | SplitId)
    }
    numbered = (
        world.resolve(device) for _, device in allocations.allocatable if isinstance(device, MigPathId | MinorId)
    )
    return frozenset(named | {found.uuid for found in numbered if found is not None})


def guesses(allocations: Allocations | Missing) -> Mapping[str, Collection[tuple[str, str]]]:
    """Pods (namespace, name) by the GPU of which the kubelet has given them a part; with HAMi it may be another one."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for item in () if isinstance(allocations, Missing) else allocations.items:
        if isinstance(item.device, SplitId):
            found[item.device.uuid].add((item.namespace, item.pod))
    return found


def holders_of(leases: Leases) -> Mapping[tuple[GpuUuid, DeviceUuid], tuple[Lease, ...]]:
    """Leases by device."""
    held: dict[tuple[GpuUuid, DeviceUuid], list[Lease]] = defaultdict(list)
    for key, lease in leases.by_key.items():
        held[(GpuUuid(key.gpu), DeviceUuid(key.device))].append(lease)
    return {device: tuple(items) for device, items in held.items()}

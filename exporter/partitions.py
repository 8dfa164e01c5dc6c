"""One lease as a partition of the snapshot, and the evidence of one instant that it is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.catalogue import PartitionKey
from exporter.dcgm.reading import DcgmReading
from exporter.leases import Lease
from exporter.model import (
    UNREAD,
    Allocations,
    Consumer,
    Device,
    DeviceState,
    DeviceUuid,
    DriverReading,
    GpuUuid,
    Missing,
    Partition,
    Pods,
    ProcessTable,
    Promise,
    Reading,
    Reason,
)
from exporter.records import DaemonKey, HookKey, Limit, Prepared, Sharing
from exporter.resolve import World
from exporter.sharing import sharing_seen, underlying_of
from exporter.standing import AGAINST_DEVICE, DEVICE, Standing
from exporter.usage import use_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the sources say at one instant; each answer or why there is none.

    `allocations` may be the last good answer; `allocations_stale` says that it is older than it is good for.
    """

    node: str
    at: float
    driver: DriverReading | Missing
    allocations: Allocations | Missing
    pods: Pods | Missing
    processes: ProcessTable | Missing
    allocations_stale: bool = False
    declared: Mapping[tuple[str, str], bool | Missing] = field(default_factory=dict)
    hooks: Mapping[HookKey, Limit | Missing] = field(default_factory=dict)  # as read back
    daemons: Mapping[DaemonKey, Limit | Missing] = field(default_factory=dict)  # as read back
    prepared: tuple[Prepared, ...] = ()  # by a DRA driver's checkpoint
    dcgm: DcgmReading | Missing = field(default_factory=lambda: Missing(Reason.NOT_CONFIGURED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What every partition of one join is made from."""

    evidence: Evidence
    here: World
    standing: Standing
    consumers: Mapping[DeviceUuid, tuple[Consumer, ...] | Missing]
    confirmed: frozenset[tuple[str, str]]
    # Of the join before, where the same stands: what is equal is taken over, with its promise.
    before: Mapping[PartitionKey, Partition] = field(default_factory=dict)
    consumers_before: Mapping[DeviceUuid, tuple[Consumer, ...] | Missing] = field(default_factory=dict)


def partition_of(lease: Lease, joined: Joined) -> Partition:
    """Make the partition of one lease."""
    here, key = joined.here, lease.key
    gpu_uuid, uuid = GpuUuid(key.gpu), DeviceUuid(key.device)
    device = here.known.get(uuid)
    facts = joined.standing.facts[key]
    doubt = _doubt(joined, facts.state, lease)
    limit = _limit(lease, joined)
    placed = joined.consumers.get(uuid, Missing(Reason.DEVICE_LOST if here.doubt is None else here.doubt))
    before = joined.before.get(key)
    if (
        before is not None
        and before.device is device
        and joined.consumers_before.get(uuid) is placed
        and before.doubt is doubt
        and before.limit == limit
    ):
        return before
    sharing = facts.sharing or sharing_seen(device)
    underlying = underlying_of(sharing, lease, device)
    use = use_of(lease, here, underlying, placed, joined.standing.crowded, facts.together)
    return Partition(
        key=key,
        owner=lease.owner,
        resource=lease.resource,
        sharing=sharing,
        slots=lease.slots,
        promised_profile=lease.promised_profile,
        profile_source=lease.profile_source,
        state=facts.state,
        doubt=doubt,
        device=device,
        gpu=here.known_gpus.get(gpu_uuid),
        replicas=facts.replicas,
        holders=facts.holders,
        consumers=placed if isinstance(placed, Missing) else tuple(c for c in placed if c.holder == key),
        used_compute=use.compute,
        used_memory_bytes=use.memory,
        obtainable_memory_bytes=use.obtainable,
        promise=_promise(before, device, sharing),
        grant=lease.grant,
        underlying=underlying if underlying is not sharing else None,
        joint=facts.joint,
        limit=limit,
        illegible=facts.illegible,
    )


def _promise(before: Partition | None, device: Device | None, sharing: Sharing) -> Promise:
    """What was promised at the join before: it holds on where the same stands, on a device of the same size."""
    if before is None or before.sharing is not sharing or _size(before.device) != _size(device):
        return UNREAD
    return before.promise


def _size(device: Device | None) -> tuple[Reading, Reading] | None:
    return None if device is None else (device.sm_count, device.attached_memory_bytes)


_NO_LIMIT = Missing(Reason.UNSUPPORTED)


def _limit(lease: Lease, joined: Joined) -> Limit | Missing:
    """What the enforcer has set: for the container, for its claim, or for all that have its resource."""
    gpu = joined.here.known_gpus.get(GpuUuid(lease.key.gpu))
    if lease.grant is not None and lease.grant.sharing is Sharing.HAMI:
        return joined.evidence.hooks.get((lease.owner.pod_uid, lease.key.container, lease.key.device), _NO_LIMIT)
    if gpu is None or not joined.evidence.daemons:
        return _NO_LIMIT
    if lease.grant is not None and lease.grant.claim:
        return joined.evidence.daemons.get((lease.grant.claim, lease.key.device), _NO_LIMIT)
    return joined.evidence.daemons.get((lease.resource, str(gpu.index)), _NO_LIMIT)


def _doubt(joined: Joined, state: DeviceState, lease: Lease) -> Reason | None:
    if joined.evidence.allocations_stale:
        return Reason.SOURCE_STALE
    if joined.here.doubt is not None:
        return joined.here.doubt
    if state in AGAINST_DEVICE and (DEVICE, lease.key.device) not in joined.confirmed:
        return Reason.AMBIGUOUS
    return None

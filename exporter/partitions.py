"""One lease as a partition of the snapshot, and the evidence of one instant that it is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.catalogue import PartitionKey
from exporter.dcgm.reading import DcgmReading
from exporter.leases import Lease
from exporter.model import (
    Allocations,
    Consumer,
    DeviceState,
    DeviceUuid,
    DriverReading,
    GpuUuid,
    Missing,
    Partition,
    Pods,
    ProcessTable,
    Reason,
)
from exporter.records import DaemonKey, HookKey, Limit, Prepared, Sharing
from exporter.resolve import World
from exporter.sharing import replicas_of, sharing_of, underlying_of
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


DEVICE = "missing_device"
AGAINST_DEVICE = frozenset({DeviceState.MISSING, DeviceState.RECONFIGURED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What every partition of one join is made from."""

    evidence: Evidence
    here: World
    labels: Mapping[str, str]
    consumers: Mapping[DeviceUuid, tuple[Consumer, ...] | Missing]
    confirmed: frozenset[tuple[str, str]]
    offered: Mapping[DeviceUuid, int]
    held: Mapping[DeviceUuid, int]
    crowded: frozenset[tuple[GpuUuid, int]]
    holders: Mapping[tuple[GpuUuid, DeviceUuid], Sequence[Lease]]
    joint: Mapping[tuple[DeviceUuid, str], int]


def partition_of(lease: Lease, joined: Joined) -> Partition:
    """Make the partition of one lease."""
    here = joined.here
    gpu_uuid, uuid = GpuUuid(lease.key.gpu), DeviceUuid(lease.key.device)
    device = here.known.get(uuid)
    state = here.state(gpu_uuid, uuid)
    sharing = sharing_of(lease, joined.labels, device)
    placed = joined.consumers.get(uuid, Missing(Reason.DEVICE_LOST if here.doubt is None else here.doubt))
    underlying = underlying_of(sharing, lease, device)
    use = use_of(lease, here, underlying, placed, joined.crowded, _together(lease, joined))
    return Partition(
        key=lease.key,
        owner=lease.owner,
        resource=lease.resource,
        sharing=sharing,
        slots=lease.slots,
        promised_profile=lease.promised_profile,
        profile_source=lease.profile_source,
        state=state,
        doubt=_doubt(joined, state, lease),
        device=device,
        gpu=here.known_gpus.get(gpu_uuid),
        replicas=replicas_of(lease, joined.labels, joined.offered),
        holders=joined.held[uuid],
        consumers=placed if isinstance(placed, Missing) else tuple(c for c in placed if c.holder == lease.key),
        used_compute=use.compute,
        used_memory_bytes=use.memory,
        obtainable_memory_bytes=use.obtainable,
        grant=lease.grant,
        underlying=underlying if underlying is not sharing else None,
        joint=1 if lease.grant is None else max(1, joined.joint[uuid, lease.grant.claim]),
        limit=_limit(lease, joined),
        illegible=_illegible(lease, joined.evidence.pods),
    )


def _together(lease: Lease, joined: Joined) -> tuple[PartitionKey, ...]:
    """Who has the device by the lease's claim."""
    claim = "" if lease.grant is None else lease.grant.claim
    if not claim:
        return ()
    held = joined.holders.get((GpuUuid(lease.key.gpu), DeviceUuid(lease.key.device)), ())
    return tuple(each.key for each in held if each.grant is not None and each.grant.claim == claim)


def _limit(lease: Lease, joined: Joined) -> Limit | Missing:
    """What the enforcer has set for the container, else for the daemon that serves its resource."""
    gpu = joined.here.known_gpus.get(GpuUuid(lease.key.gpu))
    none = Missing(Reason.UNSUPPORTED)
    if lease.grant is not None and lease.grant.sharing is Sharing.HAMI:
        return joined.evidence.hooks.get((lease.owner.pod_uid, lease.key.container, lease.key.device), none)
    return none if gpu is None else joined.evidence.daemons.get((lease.resource, str(gpu.index)), none)


def _illegible(lease: Lease, pods: Pods | Missing) -> Reason | None:
    """Why the record of what the lease was promised cannot be read."""
    if lease.grant is None or lease.grant.legible:
        return None
    if lease.grant.sharing is not Sharing.DRA:
        return Reason.ERROR
    claims = pods if isinstance(pods, Missing) else pods.claims
    return claims.reason if isinstance(claims, Missing) else Reason.NOT_YET


def _doubt(joined: Joined, state: DeviceState, lease: Lease) -> Reason | None:
    if joined.evidence.allocations_stale:
        return Reason.SOURCE_STALE
    if joined.here.doubt is not None:
        return joined.here.doubt
    if state in AGAINST_DEVICE and (DEVICE, lease.key.device) not in joined.confirmed:
        return Reason.AMBIGUOUS
    return None

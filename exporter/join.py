"""The join: driver, kubelet, API server and procfs at one instant, made into one snapshot.

Pure and total: it never raises on odd input, never invents a partition and never drops one. What it cannot place is an
orphan, and counted. A finding that may be a race between sources counts from its second join in a row on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.catalogue import PartitionKey
from exporter.consumers import consumers_of, index_pods
from exporter.leases import Lease, Leases, hold, holders_of, replicas_offered, sharers, slots_held
from exporter.model import (
    Allocations,
    Consumer,
    Device,
    DeviceState,
    DeviceUuid,
    DriverReading,
    GpuState,
    GpuUse,
    GpuUuid,
    Missing,
    Partition,
    Pods,
    ProcessTable,
    Reason,
    Relation,
    Snapshot,
)
from exporter.policy import Policy
from exporter.records import DaemonKey, HookKey, Limit, Prepared, Sharing
from exporter.resolve import Seen, World, world
from exporter.sharing import replicas_of, sharing_of, underlying_of
from exporter.usage import crowded_instances, use_of


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


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A finding that may be a race: in how many joins in a row it was made, and the kubelet's answer at the first."""

    joins: int
    serial: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the join remembers: devices seen, leases, findings that wait for a second join, and the node's labels."""

    seen: Seen = field(default_factory=Seen)
    leases: Leases = field(default_factory=Leases)
    suspected: Mapping[tuple[str, str], Suspicion] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


_DEVICE = "missing_device"
_AGAINST_DEVICE = frozenset({DeviceState.MISSING, DeviceState.RECONFIGURED})


def join(evidence: Evidence, memory: Memory, policy: Policy) -> tuple[Snapshot, Memory]:
    """Join one instant's evidence with what is remembered; returns the snapshot and the new memory."""
    here = world(evidence.driver, memory.seen)
    labels = _labels(evidence.pods, memory)
    holding = hold(memory.leases, evidence.allocations, evidence.pods, here, labels, evidence.prepared)
    holders = holders_of(holding.leases)
    consumers = _consumers(evidence, here, holders, policy)
    findings = holding.oddities | _gone(here, holding.leases) | _strangers(consumers)
    suspected = _suspected(findings, memory.suspected, evidence)
    confirmed = _confirmed(suspected, evidence, policy)
    consumers = {uuid: _settled(uuid, found, confirmed) for uuid, found in consumers.items()}
    held = slots_held(holding.leases)
    joined = _Joined(
        evidence=evidence,
        here=here,
        labels=labels,
        consumers=consumers,
        confirmed=confirmed,
        offered=replicas_offered(evidence.allocations, here),
        held=held,
        crowded=crowded_instances(here, held),
        holders=holders,
        joint=sharers(holding.leases),
    )
    snapshot = Snapshot(
        node=evidence.node,
        at=evidence.at,
        driver="" if here.inventory is None else here.inventory.driver,
        nvml="" if here.inventory is None else here.inventory.nvml,
        gpus=_gpus(evidence.driver, here),
        devices=tuple(here.present[uuid] for uuid in sorted(here.present)),
        partitions=tuple(_partition(lease, joined) for lease in holding.leases.by_key.values()),
        consumers=consumers,
        orphans=_orphans(joined),
        events=() if isinstance(evidence.driver, Missing) else evidence.driver.events,
        doubt=here.doubt,
        declared=evidence.declared,
    )
    return snapshot, Memory(memory.seen.after(here, holders), holding.leases, suspected, labels)


def _suspected(
    findings: frozenset[tuple[str, str]], before: Mapping[tuple[str, str], Suspicion], evidence: Evidence
) -> dict[tuple[str, str], Suspicion]:
    new = Suspicion(0, _serial(evidence))
    known = ((finding, before.get(finding, new)) for finding in findings)
    return {finding: Suspicion(last.joins + 1, last.serial) for finding, last in known}


def _confirmed(
    suspected: Mapping[tuple[str, str], Suspicion], evidence: Evidence, policy: Policy
) -> frozenset[tuple[str, str]]:
    """Findings that are no race any more. A pod that starts works before the kubelet is asked the next time.

    So a rogue is one only when an answer of the kubelet that is newer than the finding does not list it either.
    """
    serial = _serial(evidence)
    return frozenset(
        finding
        for finding, suspicion in suspected.items()
        if suspicion.joins >= policy.hold_joins and (finding[0] != _ROGUE or serial > suspicion.serial)
    )


def _serial(evidence: Evidence) -> int:
    return 0 if isinstance(evidence.allocations, Missing) else evidence.allocations.serial


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
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


def _labels(pods: Pods | Missing, memory: Memory) -> Mapping[str, str]:
    if isinstance(pods, Missing) or isinstance(pods.node_labels, Missing):
        return memory.labels
    return pods.node_labels


def _consumers(
    evidence: Evidence,
    here: World,
    holders: Mapping[tuple[GpuUuid, DeviceUuid], Sequence[Lease]],
    policy: Policy,
) -> dict[DeviceUuid, tuple[Consumer, ...] | Missing]:
    pods = index_pods(evidence.pods)
    return {
        uuid: consumers_of(device, holders.get((device.gpu, uuid), ()), evidence.processes, pods, policy)
        for uuid, device in sorted(here.present.items())
        # Under MIG the parent's list repeats the instances' processes.
        if not _is_mig_parent(here, device)
    }


def _is_mig_parent(here: World, device: Device) -> bool:
    gpu = here.gpus.get(device.gpu)
    return device.kind == "gpu" and gpu is not None and gpu.mig_current is True


def _gone(here: World, leases: Leases) -> frozenset[tuple[str, str]]:
    return frozenset(
        (_DEVICE, key.device)
        for key in leases.by_key
        if here.state(GpuUuid(key.gpu), DeviceUuid(key.device)) in _AGAINST_DEVICE
    )


_ROGUE = "rogue_process"
_STRANGE = {
    Relation.ROGUE: _ROGUE,
    Relation.HOST: "host_process",
    Relation.UNKNOWN: "unknown_process",
}


def _strangers(consumers: Mapping[DeviceUuid, tuple[Consumer, ...] | Missing]) -> frozenset[tuple[str, str]]:
    return frozenset(
        _stranger(uuid, consumer)
        for uuid, found in consumers.items()
        if not isinstance(found, Missing)
        for consumer in found
        if consumer.relation in _STRANGE
    )


def _settled(
    uuid: DeviceUuid, found: tuple[Consumer, ...] | Missing, confirmed: frozenset[tuple[str, str]]
) -> tuple[Consumer, ...] | Missing:
    """Mark the strangers that this join is the first to see."""
    if isinstance(found, Missing) or not any(consumer.relation in _STRANGE for consumer in found):
        return found
    return tuple(replace(c, settled=c.relation not in _STRANGE or _stranger(uuid, c) in confirmed) for c in found)


def _stranger(uuid: DeviceUuid, consumer: Consumer) -> tuple[str, str]:
    return _STRANGE[consumer.relation], f"{uuid} {consumer.process.pid}"


_OF_RECORDS = (
    "overruled_device_id",
    "unknown_claim",
    "unclaimed_device",
    "unprepared_claim",
    "misprepared_claim",
)
"""Kinds that only schedulers' records make; most nodes have no such records, and their pages no such rows."""


def _orphans(joined: _Joined) -> dict[str, int]:
    """Count what could not be placed; a kind about which the sources say nothing now is left out, not 0."""
    evidence, here = joined.evidence, joined.here
    found = Counter(kind for kind, _ in joined.confirmed)
    told: list[str] = []
    orphans: dict[str, int] = {}
    if not isinstance(evidence.allocations, Missing):
        told += ["unresolved_device_id", "conflict"]
        told += [kind for kind in _OF_RECORDS if found[kind]]
        if not isinstance(evidence.pods, Missing):
            told += ["terminal_pod", "unknown_pod"]
        if here.answered:
            told.append(_DEVICE)
            orphans["unowned_device"] = sum(
                1 for uuid, device in here.present.items() if not joined.held[uuid] and not _is_mig_parent(here, device)
            )
    if any(not isinstance(placed, Missing) for placed in joined.consumers.values()):
        told += _STRANGE.values()
    return orphans | {kind: found[kind] for kind in told}


def _gpus(driver: DriverReading | Missing, here: World) -> tuple[GpuState, ...]:
    nothing = _unread_gpu(Reason.ERROR if here.doubt is None else here.doubt)
    uses: Mapping[GpuUuid, GpuUse] = {} if isinstance(driver, Missing) else driver.gpus
    return tuple(GpuState(gpu=gpu, use=uses.get(gpu.uuid, nothing)) for _, gpu in sorted(here.gpus.items()))


def _unread_gpu(reason: Reason) -> GpuUse:
    missing = Missing(reason)
    return GpuUse(
        sm_clock_hertz=missing,
        sm_clock_max_hertz=missing,
        power_watts=missing,
        power_limit_watts=missing,
        temperature_celsius=missing,
        energy_joules=missing,
        throttle=missing,
    )


def _partition(lease: Lease, joined: _Joined) -> Partition:
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


def _together(lease: Lease, joined: _Joined) -> tuple[PartitionKey, ...]:
    """Who has the device by the lease's claim."""
    claim = "" if lease.grant is None else lease.grant.claim
    if not claim:
        return ()
    held = joined.holders.get((GpuUuid(lease.key.gpu), DeviceUuid(lease.key.device)), ())
    return tuple(each.key for each in held if each.grant is not None and each.grant.claim == claim)


def _limit(lease: Lease, joined: _Joined) -> Limit | Missing:
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


def _doubt(joined: _Joined, state: DeviceState, lease: Lease) -> Reason | None:
    if joined.evidence.allocations_stale:
        return Reason.SOURCE_STALE
    if joined.here.doubt is not None:
        return joined.here.doubt
    if state in _AGAINST_DEVICE and (_DEVICE, lease.key.device) not in joined.confirmed:
        return Reason.AMBIGUOUS
    return None

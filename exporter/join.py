"""The join: driver, kubelet, API server and procfs at one instant, made into one snapshot.

Pure and total: it never raises on odd input, never invents a partition and never drops one. What it cannot place is an
orphan, and counted. A finding that may be a race between sources counts from its second join in a row on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exporter.activity import ActivityMemory, Told, misnamed, with_activity
from exporter.consumers import carried, consumers_of
from exporter.ids import ClaimId
from exporter.leases import Leases
from exporter.model import (
    Consumer,
    DeviceUuid,
    DriverReading,
    GpuState,
    GpuUse,
    GpuUuid,
    Missing,
    Pods,
    ProcessTable,
    Reason,
    Relation,
    Snapshot,
)
from exporter.partitions import Evidence, Joined, partition_of
from exporter.policy import Policy
from exporter.resolve import Seen, World, world
from exporter.standing import DEVICE, Standing, stand


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A finding that may be a race: in how many joins in a row it was made, and the kubelet's answer at the first."""

    joins: int
    serial: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the join remembers: devices seen, what stands, findings that wait for a second join, labels, who pids were."""

    seen: Seen = field(default_factory=Seen)
    standing: Standing = field(default_factory=Standing)
    suspected: Mapping[tuple[str, str], Suspicion] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    activity: ActivityMemory = field(default_factory=ActivityMemory)
    processes: ProcessTable | Missing = field(default_factory=dict)

    @property
    def leases(self) -> Leases:
        """Who holds what."""
        return self.standing.leases


def join(evidence: Evidence, memory: Memory, policy: Policy, last: Snapshot | None = None) -> tuple[Snapshot, Memory]:
    """Join one instant's evidence with what is remembered; returns the snapshot and the new memory.

    `last` is the snapshot of the join before with its promises, if it was joined by the same policy: what is the same now is
    taken over from it. The snapshot that is returned is the same with and without it, but for promises that are read.
    """
    told, activity = with_activity(evidence.driver, evidence.dcgm, evidence.at, memory.activity)
    here = world(told.driver, memory.seen)
    labels = _labels(evidence.pods, memory)
    standing = stand(memory.standing, evidence.allocations, evidence.pods, evidence.prepared, here, labels)
    before = last if standing.facts is memory.standing.facts else None
    consumers = _consumers(evidence, here, standing, policy, before, memory.processes)
    findings = standing.oddities | _strangers(consumers) | told.findings
    suspected = _suspected(findings, memory.suspected, evidence)
    confirmed = _confirmed(suspected, evidence, policy)
    consumers = {uuid: _settled(uuid, found, confirmed) for uuid, found in consumers.items()}
    joined = Joined(
        evidence=evidence,
        here=here,
        standing=standing,
        consumers=consumers,
        confirmed=confirmed,
        before={} if before is None else {partition.key: partition for partition in before.partitions},
        consumers_before={} if before is None else before.consumers,
    )
    inventory = here.index.inventory
    snapshot = Snapshot(
        node=evidence.node,
        at=evidence.at,
        driver="" if inventory is None else inventory.driver,
        nvml="" if inventory is None else inventory.nvml,
        gpus=_gpus(evidence.driver, here),
        devices=tuple(here.present.values()),
        partitions=tuple(partition_of(lease, joined) for lease in standing.leases.by_key.values()),
        consumers=consumers,
        orphans=_orphans(joined),
        events=() if isinstance(evidence.driver, Missing) else evidence.driver.events,
        doubt=here.doubt,
        declared=evidence.declared,
        refused=told.refused,
        misnamed=_misnamed(told, standing.leases) if told.named else {},
        mig_config=_reconfiguring(labels),
        found=confirmed,
    )
    seen = memory.seen.after(here, standing.holders)
    return snapshot, Memory(seen, standing, suspected, labels, activity, evidence.processes)


def _misnamed(told: Told, leases: Leases) -> dict[DeviceUuid, int]:
    return misnamed(told.named, {(DeviceUuid(key.device), key.namespace, key.pod) for key in leases.by_key})


_CONFIG_STATE = "nvidia.com/mig.config.state"
_UNSETTLED = frozenset({"pending", "rebooting", "failed"})


def _reconfiguring(labels: Mapping[str, str]) -> str:
    """What mig-manager says of a change of layout that has not come to its end (mig-parted reconfigure-mig.sh)."""
    state = labels.get(_CONFIG_STATE, "")
    return state if state in _UNSETTLED else ""


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


def _labels(pods: Pods | Missing, memory: Memory) -> Mapping[str, str]:
    if isinstance(pods, Missing) or isinstance(pods.node_labels, Missing):
        return memory.labels
    return pods.node_labels


def _consumers(
    evidence: Evidence,
    here: World,
    standing: Standing,
    policy: Policy,
    last: Snapshot | None,
    then: ProcessTable | Missing,
) -> dict[DeviceUuid, tuple[Consumer, ...] | Missing]:
    """Place the processes of every device; who was placed at the join before is not placed again."""
    found: dict[DeviceUuid, tuple[Consumer, ...] | Missing] = {}
    before = {} if last is None else last.consumers
    for uuid, device in here.present.items():
        if here.is_mig_parent(device):
            continue  # under MIG the parent's list repeats the instances' processes
        again = carried(before[uuid], device.use.processes, then, evidence.processes) if uuid in before else None
        holders = standing.holders.get((device.gpu, uuid), ())
        guessed = standing.guessed.get(device.gpu, ())
        found[uuid] = again or consumers_of(device, holders, evidence.processes, standing.pods, policy, guessed)
    return found


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
    if isinstance(found, Missing):
        return found
    known = [c.relation not in _STRANGE or _stranger(uuid, c) in confirmed for c in found]
    if all(consumer.settled is settled for consumer, settled in zip(found, known, strict=True)):
        return found
    return tuple(replace(consumer, settled=settled) for consumer, settled in zip(found, known, strict=True))


def _stranger(uuid: DeviceUuid, consumer: Consumer) -> tuple[str, str]:
    return _STRANGE[consumer.relation], f"{uuid} {consumer.process.pid}"


_OF_CLAIMS = ("unknown_claim", "unclaimed_device", "unprepared_claim", "misprepared_claim")
"""Kinds that only claims make; a node without claims has no such rows."""


def _orphans(joined: Joined) -> dict[str, int]:
    """Count what could not be placed; a kind about which the sources say nothing now is left out, not 0."""
    evidence, here = joined.evidence, joined.here
    found = Counter(kind for kind, _ in joined.confirmed)
    told: list[str] = []
    orphans: dict[str, int] = {}
    if not isinstance(evidence.allocations, Missing):
        told += ["unresolved_device_id", "conflict"]
        if any(isinstance(item.device, ClaimId) for item in evidence.allocations.items):
            told += _OF_CLAIMS
        elif here.answered and joined.standing.offers:
            told += ["unoffered_device", "stale_offer"]
        if not isinstance(evidence.pods, Missing):
            told += ["terminal_pod", "unknown_pod"]
            if any(pod.grants for pod in evidence.pods.items):
                told.append("overruled_device_id")
        if here.answered:
            told.append(DEVICE)
            orphans["unowned_device"] = sum(
                1
                for uuid, device in here.present.items()
                if not joined.standing.held[uuid] and not here.is_mig_parent(device)
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

"""The join: driver, kubelet, API server and procfs at one instant, made into one snapshot.

Pure and total: it never raises on odd input, never invents a partition and never drops one. What it cannot place is an
orphan, and counted. A finding that may be a race between sources counts from its second join in a row on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.activity import ActivityMemory, with_activity
from exporter.consumers import consumers_of, index_pods
from exporter.ids import ClaimId
from exporter.leases import Lease, Leases, hold
from exporter.model import (
    Consumer,
    Device,
    DeviceUuid,
    DriverReading,
    GpuState,
    GpuUse,
    GpuUuid,
    Missing,
    Pods,
    Reason,
    Relation,
    Snapshot,
)
from exporter.partitions import AGAINST_DEVICE, DEVICE, Evidence, Joined, partition_of
from exporter.policy import Policy
from exporter.resolve import Seen, World, world
from exporter.tallies import guesses, holders_of, offers, replicas_offered, sharers, slots_held
from exporter.usage import crowded_instances


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
    activity: ActivityMemory = field(default_factory=ActivityMemory)


def join(evidence: Evidence, memory: Memory, policy: Policy) -> tuple[Snapshot, Memory]:
    """Join one instant's evidence with what is remembered; returns the snapshot and the new memory."""
    told, activity = with_activity(evidence.driver, evidence.dcgm, evidence.at, memory.activity)
    here = world(told.driver, memory.seen)
    labels = _labels(evidence.pods, memory)
    holding = hold(memory.leases, evidence.allocations, evidence.pods, here, labels, evidence.prepared)
    holders = holders_of(holding.leases)
    consumers = _consumers(evidence, here, holders, policy)
    findings = (
        holding.oddities | _gone(here, holding.leases) | _strangers(consumers) | _stale(evidence, here) | told.findings
    )
    suspected = _suspected(findings, memory.suspected, evidence)
    confirmed = _confirmed(suspected, evidence, policy)
    consumers = {uuid: _settled(uuid, found, confirmed) for uuid, found in consumers.items()}
    held = slots_held(holding.leases)
    joined = Joined(
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
        partitions=tuple(partition_of(lease, joined) for lease in holding.leases.by_key.values()),
        consumers=consumers,
        orphans=_orphans(joined),
        events=() if isinstance(evidence.driver, Missing) else evidence.driver.events,
        doubt=here.doubt,
        declared=evidence.declared,
        refused=told.refused,
        mig_config=_reconfiguring(labels),
        found=confirmed,
    )
    return snapshot, Memory(memory.seen.after(here, holders), holding.leases, suspected, labels, activity)


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
    holders: Mapping[tuple[GpuUuid, DeviceUuid], Sequence[Lease]],
    policy: Policy,
) -> dict[DeviceUuid, tuple[Consumer, ...] | Missing]:
    pods, guessed = index_pods(evidence.pods), guesses(evidence.allocations)
    return {
        uuid: consumers_of(
            device,
            holders.get((device.gpu, uuid), ()),
            evidence.processes,
            pods,
            policy,
            guessed.get(device.gpu, ()),
        )
        for uuid, device in sorted(here.present.items())
        # Under MIG the parent's list repeats the instances' processes.
        if not _is_mig_parent(here, device)
    }


def _is_mig_parent(here: World, device: Device) -> bool:
    gpu = here.gpus.get(device.gpu)
    return device.kind == "gpu" and gpu is not None and gpu.mig_current is True


def _gone(here: World, leases: Leases) -> frozenset[tuple[str, str]]:
    return frozenset(
        (DEVICE, key.device)
        for key in leases.by_key
        if here.state(GpuUuid(key.gpu), DeviceUuid(key.device)) in AGAINST_DEVICE
    )


def _stale(evidence: Evidence, here: World) -> frozenset[tuple[str, str]]:
    """Where what the device plugin offers is not what the driver has: it does not look again by itself.

    A GPU whose plugin offers it whole in spite of its instances (strategy `none`) is offered.
    """
    found = offers(evidence.allocations, here)
    if not here.answered or not found:
        return frozenset()
    there = [device for device in here.present.values() if not device.lost and not _is_mig_parent(here, device)]
    unoffered = [device.uuid for device in there if not found & {device.uuid, DeviceUuid(device.gpu)}]
    return frozenset(
        [("unoffered_device", uuid) for uuid in unoffered]
        + [("stale_offer", uuid) for uuid in found - here.present.keys()]
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
        elif here.answered and offers(evidence.allocations, here):
            told += ["unoffered_device", "stale_offer"]
        if not isinstance(evidence.pods, Missing):
            told += ["terminal_pod", "unknown_pod"]
            if any(pod.grants for pod in evidence.pods.items):
                told.append("overruled_device_id")
        if here.answered:
            told.append(DEVICE)
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

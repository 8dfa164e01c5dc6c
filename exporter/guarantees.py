"""The judge: for each partition and guarantee, kept, broken, idle or blind at this tick.

Pure: a snapshot with promises, the policy and the judge's own small memory in; verdicts and the new memory out. One
function a guarantee. This version judges availability and conformance; the other guarantees are blind, `not_judged`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.catalogue import PartitionKey
from exporter.model import (
    DeviceState,
    DeviceUuid,
    Missing,
    Partition,
    Promised,
    Reading,
    Reason,
    Sharing,
    Snapshot,
    Xid,
)
from exporter.policy import FATAL_XIDS, Policy
from exporter.promise import named_profile


class Outcome(StrEnum):
    """The answer of one tick."""

    KEPT = "kept"
    BROKEN = "broken"
    IDLE = "idle"
    BLIND = "blind"


class Guarantee(StrEnum):
    """The questions asked of a partition."""

    AVAILABILITY = "availability"
    CONFORMANCE = "conformance"
    MEMORY = "memory"
    COMPUTE = "compute"
    ISOLATION = "isolation"


class Cause(StrEnum):
    """What took the missing part; the words are label values of the contract."""

    DEVICE_LOST = "device_lost"
    DEVICE_MISSING = "device_missing"
    MIG_RECONFIGURED = "mig_reconfigured"
    XID = "xid"
    ECC = "ecc"
    WRONG_PROFILE = "wrong_profile"
    UNENFORCED = "unenforced"
    OVERSUBSCRIBED = "oversubscribed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One guarantee's answer: `loss` is the fraction of the promise lost per second while broken, by cause."""

    outcome: Outcome
    reason: Reason | None = None
    loss: Mapping[Cause, float] = field(default_factory=dict)


KEPT = Verdict(Outcome.KEPT)


def blind(reason: Reason) -> Verdict:
    """It cannot be told, and why."""
    return Verdict(Outcome.BLIND, reason)


def broken(cause: Cause, fraction: float = 1.0) -> Verdict:
    """It does not hold, and what part of the promise is lost to what."""
    return Verdict(Outcome.BROKEN, loss={cause: fraction})


Verdicts = Mapping[PartitionKey, Mapping[Guarantee, Verdict]]


@dataclass(frozen=True, slots=True)
class JudgeMemory:
    """Until when a device is out of order for an XID or an uncorrectable error, and the last ECC counts (monotonic s)."""

    xid_until: Mapping[DeviceUuid, float] = field(default_factory=dict)
    ecc_until: Mapping[DeviceUuid, float] = field(default_factory=dict)
    ecc_seen: Mapping[DeviceUuid, float] = field(default_factory=dict)


def judge(snapshot: Snapshot, policy: Policy, memory: JudgeMemory) -> tuple[Verdicts, JudgeMemory]:
    """Answer every guarantee that applies, for every partition."""
    remembered = _remember(snapshot, policy, memory)
    verdicts = {
        partition.key: {
            guarantee: _answer(guarantee, partition, snapshot, policy, remembered) for guarantee in applying(partition)
        }
        for partition in snapshot.partitions
    }
    return verdicts, remembered


def applying(partition: Partition) -> tuple[Guarantee, ...]:
    """Which guarantees have series: compute and memory only where that dimension is promised."""
    always = (Guarantee.AVAILABILITY, Guarantee.CONFORMANCE)
    memory = () if partition.promise.memory is None else (Guarantee.MEMORY,)
    compute = () if partition.promise.compute is None else (Guarantee.COMPUTE,)
    return (*always, *memory, *compute, Guarantee.ISOLATION)


def _answer(
    guarantee: Guarantee, partition: Partition, snapshot: Snapshot, policy: Policy, memory: JudgeMemory
) -> Verdict:
    if partition.doubt is not None:
        return blind(partition.doubt)
    if guarantee is Guarantee.AVAILABILITY:
        return _availability(partition, snapshot.at, memory)
    if partition.state is not DeviceState.PRESENT:
        # The device is not there: nothing more can be said of it than that it is not available.
        return blind(Reason.DEVICE_LOST)
    if guarantee is Guarantee.CONFORMANCE:
        return _conformance(partition, policy)
    return blind(Reason.NOT_JUDGED)


_GONE = {
    DeviceState.LOST: Cause.DEVICE_LOST,
    DeviceState.MISSING: Cause.DEVICE_MISSING,
    DeviceState.RECONFIGURED: Cause.MIG_RECONFIGURED,
}


def _availability(partition: Partition, now: float, memory: JudgeMemory) -> Verdict:
    """Is the device there and in order. Causes by precedence: lost, missing, reconfigured, xid, ecc."""
    gone = _GONE.get(partition.state)
    if gone is not None:
        return broken(gone)
    ids = (DeviceUuid(partition.key.device), DeviceUuid(partition.key.gpu))
    if any(memory.xid_until.get(uuid, now) > now for uuid in ids):
        return broken(Cause.XID)
    if any(memory.ecc_until.get(uuid, now) > now for uuid in ids):
        return broken(Cause.ECC)
    return KEPT


def _conformance(partition: Partition, policy: Policy) -> Verdict:
    """Is the attached device the promised one, and is it promised to no more holders than it has slots."""
    replicas = partition.replicas
    if not isinstance(replicas, Missing) and partition.holders > replicas:
        return broken(Cause.OVERSUBSCRIBED, 1 - replicas / partition.holders)
    if partition.sharing is Sharing.MPS:
        # The limits live in the control daemon, which this version does not ask.
        return blind(Reason.UNSUPPORTED)
    if partition.promised_profile:
        return _profile_conformance(partition, policy)
    return blind(replicas.reason) if isinstance(replicas, Missing) else KEPT


def _profile_conformance(partition: Partition, policy: Policy) -> Verdict:
    profile, device = named_profile(partition), partition.device
    if profile is None or device is None:
        return blind(Reason.UNSUPPORTED)
    for attached in (device.sm_count, device.attached_memory_bytes):
        if isinstance(attached, Missing):
            return blind(attached.reason)
    missing_sms = _missing(device.sm_count, profile.sm_count, 0.0)
    missing_memory = _missing(device.attached_memory_bytes, profile.memory_bytes, policy.memory_tolerance)
    worst = max(missing_sms, missing_memory)
    return broken(Cause.WRONG_PROFILE, worst) if worst > 0 else KEPT


def _missing(attached: Reading, promised: float, tolerance: float) -> float:
    """The fraction of the promise that is not attached, 0 within the tolerance."""
    if isinstance(attached, Missing) or attached >= promised * (1 - tolerance):
        return 0.0
    return 1 - attached / promised


def _remember(snapshot: Snapshot, policy: Policy, memory: JudgeMemory) -> JudgeMemory:
    now = snapshot.at
    xid_until = {uuid: until for uuid, until in memory.xid_until.items() if until > now}
    for event in snapshot.events:
        if event.xid in FATAL_XIDS:
            xid_until[device_of_event(event, snapshot)] = now + policy.xid_seconds
    ecc_until = {uuid: until for uuid, until in memory.ecc_until.items() if until > now}
    ecc_seen = dict(memory.ecc_seen)
    for device in snapshot.devices:
        count = device.use.ecc_uncorrected
        if isinstance(count, Missing):
            continue
        if count > ecc_seen.get(device.uuid, count):
            ecc_until[device.uuid] = now + policy.xid_seconds
        ecc_seen[device.uuid] = count
    listed = {device.uuid for device in snapshot.devices}
    return JudgeMemory(xid_until, ecc_until, {u: c for u, c in ecc_seen.items() if u in listed})


def device_of_event(event: Xid, snapshot: Snapshot) -> DeviceUuid:
    """The instance that an XID names, else the whole GPU."""
    if event.gpu_instance is not None:
        for device in snapshot.devices:
            same_instance = device.gpu == event.gpu and device.gpu_instance == event.gpu_instance
            if same_instance and event.compute_instance in {None, device.compute_instance}:
                return device.uuid
    return DeviceUuid(event.gpu)


def amount(promised: Promised | None) -> Reading:
    """The size of a promise; `NOT_CONFIGURED` where nothing is promised."""
    return Missing(Reason.NOT_CONFIGURED) if promised is None else promised.amount

"""Where what is held, promised, enforced and attached have come apart: each such drift by name, with how bad it is.

Pure: reads one tick's snapshot and verdicts. Nothing is judged anew here: a drift that breaks a promise is a verdict already,
and stands here by the same name that people look for. Drifts that a snapshot has only counted are told with their count.

| number | name | seen by |
|---|---|---|
| D1 | `wrong_profile`, `larger_profile` | attached SMs and bytes against the promised profile's |
| D2 | `mig_reconfigured` | a held instance that is no longer there, while its GPU is |
| D3 | `mig_reconfiguring` | the node's label `nvidia.com/mig.config.state` |
| D4 | `mig_mode_pending` | the driver's current and pending MIG mode |
| D5 | `stale_plugin` | what the device plugin offers against what the driver has, both ways |
| D6 | `claim_drift` | a claim that is not prepared, or prepared or handed out otherwise than allocated |
| D7 | `oversubscribed` | slots held and offered; amounts on record and what there is |
| D8 | `rogue_process` | a process of a pod that holds nothing of the device |
| D9 | `host_process` | a process of no pod |
| D10 | `idle_owner` | a partition without activity for ten minutes |
| D11 | `terminal_pod` | pods that have ended and are still listed |
| D12 | `overruled_id` | the kubelet's id against the record of what was given |
| D13 | `unenforced`, `unguarded` | limits read back against the promise; the compute mode under MPS |
| D14 | `other_container` | a process of a container that does not hold the device, in a pod that does |
| D15 | `several_slots` | ids of one container on one device |
| D16 | `device_lost` | the driver answers GPU_IS_LOST |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from exporter.catalogue import PartitionKey
from exporter.conformance import oversold
from exporter.model import DeviceState, Missing, Partition, Relation, Sharing, Snapshot
from exporter.policy import Policy
from exporter.promise import named_profile
from exporter.records import Role
from exporter.verdict import Cause, Guarantee, Outcome, Verdict, Verdicts

IDLE_SECONDS = 600.0
"""Without activity for longer, a partition is held and not used."""


class Severity(StrEnum):
    """How bad a drift is, worst first."""

    BREACH = "breach"
    AT_RISK = "at_risk"
    WARNING = "warning"
    WASTE = "waste"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Drift:
    """One drift. `where` is a device's UUID, or empty for the node; `holder` the partition that it is about.

    `who` are the pods, containers, claims, devices or commands that it is about where that is no partition, a few of them.
    """

    number: int
    name: str
    severity: Severity
    where: str = ""
    holder: PartitionKey | None = None
    count: int = 1
    who: tuple[str, ...] = ()


_MOST_NAMED = 8


Idle = Mapping[PartitionKey, float]
"""Since when each partition has shown no activity (monotonic seconds)."""


def find(snapshot: Snapshot, verdicts: Verdicts, policy: Policy, idle: Idle) -> tuple[tuple[Drift, ...], Idle]:
    """Return every drift of one tick, the worst first, and since when each partition has been idle."""
    since = {
        partition.key: idle.get(partition.key, snapshot.at)
        for partition in snapshot.partitions
        if _is_idle(partition, verdicts)
    }
    found = [
        *_of_node(snapshot),
        *_counted(snapshot),
        *(drift for partition in snapshot.partitions for drift in _of_partition(partition, verdicts)),
        *_of_claims(snapshot),
        *_oversold(snapshot, policy),
        *_strangers(snapshot),
        *_unused(snapshot, since),
    ]
    order = list(Severity)
    found.sort(key=lambda drift: (order.index(drift.severity), drift.number, drift.where, drift.holder or ()))
    return tuple(found), since


def _of_node(snapshot: Snapshot) -> Iterator[Drift]:
    if snapshot.mig_config:
        yield Drift(3, "mig_reconfiguring", Severity.AT_RISK)
    for state in snapshot.gpus:
        current, pending = state.gpu.mig_current, state.gpu.mig_pending
        if not isinstance(current, Missing) and not isinstance(pending, Missing) and current != pending:
            yield Drift(4, "mig_mode_pending", Severity.AT_RISK, state.gpu.uuid)


_COUNTED = (
    ("unoffered_device", 5, "stale_plugin", Severity.WARNING),
    ("stale_offer", 5, "stale_plugin", Severity.WARNING),
    ("unprepared_claim", 6, "claim_drift", Severity.AT_RISK),
    ("unclaimed_device", 6, "claim_drift", Severity.AT_RISK),
    ("misprepared_claim", 6, "claim_drift", Severity.BREACH),
    ("terminal_pod", 11, "terminal_pod", Severity.INFO),
    ("overruled_device_id", 12, "overruled_id", Severity.INFO),
)


def _counted(snapshot: Snapshot) -> Iterator[Drift]:
    held = {partition.grant.odd for partition in snapshot.partitions if partition.grant is not None}
    for kind, number, name, severity in _COUNTED:
        count = snapshot.orphans.get(kind, 0)
        if count and kind not in held:  # else it is told of those who hold it
            yield Drift(
                number, name, severity, count=count, who=_named(who for of, who in snapshot.found if of == kind)
            )


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names))[:_MOST_NAMED])


def _of_partition(partition: Partition, verdicts: Verdicts) -> Iterator[Drift]:
    answers = verdicts.get(partition.key, {})
    for guarantee, causes in _BROKEN.items():
        for cause in answers[guarantee].loss if guarantee in answers else ():
            if cause in causes:
                number, name = causes[cause]
                severity = Severity.AT_RISK if cause is Cause.OVERSUBSCRIBED else Severity.BREACH
                yield Drift(number, name, severity, partition.key.device, partition.key)
    for check, (number, name, severity) in _ASKED:
        if check(partition):
            yield Drift(number, name, severity, partition.key.device, partition.key)


def _of_claims(snapshot: Snapshot) -> Iterator[Drift]:
    """Holders whose claim is not as it was allocated, once that is no race any more."""
    settled = {kind for kind, _ in snapshot.found}
    for partition in snapshot.partitions:
        kind = "" if partition.grant is None else partition.grant.odd
        if kind in settled:
            severity = next((how for of, _, _, how in _COUNTED if of == kind), Severity.AT_RISK)
            yield Drift(6, "claim_drift", severity, partition.key.device, partition.key)


_BROKEN: Mapping[Guarantee, Mapping[Cause, tuple[int, str]]] = {
    Guarantee.AVAILABILITY: {
        Cause.MIG_RECONFIGURED: (2, "mig_reconfigured"),
        Cause.DEVICE_LOST: (16, "device_lost"),
    },
    Guarantee.CONFORMANCE: {
        Cause.WRONG_PROFILE: (1, "wrong_profile"),
        Cause.OVERSUBSCRIBED: (7, "oversubscribed"),
        Cause.UNENFORCED: (13, "unenforced"),
    },
}


def _larger(partition: Partition) -> bool:
    """More is attached than was promised: nobody is worse off, and what is said of the node is not so."""
    profile, device = named_profile(partition), partition.device
    if profile is None or device is None or partition.state is not DeviceState.PRESENT:
        return False
    return not isinstance(device.sm_count, Missing) and device.sm_count > profile.sm_count


def _unguarded(partition: Partition) -> bool:
    """Under MPS a process that is no client can take the device: its compute mode does not keep it out."""
    of_plugin = partition.mode is Sharing.MPS and partition.grant is None
    return of_plugin and partition.gpu is not None and partition.gpu.exclusive_process is False


def _other_container(partition: Partition) -> bool:
    if isinstance(partition.consumers, Missing):
        return False
    return any(consumer.relation is Relation.POD for consumer in partition.consumers)


_ASKED: tuple[tuple[Callable[[Partition], bool], tuple[int, str, Severity]], ...] = (
    (_larger, (1, "larger_profile", Severity.INFO)),
    (_unguarded, (13, "unguarded", Severity.AT_RISK)),
    (_other_container, (14, "other_container", Severity.INFO)),
    (lambda partition: partition.slots > 1, (15, "several_slots", Severity.INFO)),
)


_BY_PODS = frozenset({Sharing.HAMI, Sharing.KAI})


def _oversold(snapshot: Snapshot, policy: Policy) -> Iterator[Drift]:
    """Parts on record that come to more than the device, where nobody but the pods themselves stands for the records.

    What one tenant writes on its pod must not break another's conformance, and so is told here alone.
    """
    by_device: dict[str, list[Partition]] = {}
    for partition in snapshot.partitions:
        if partition.sharing in _BY_PODS:
            by_device.setdefault(partition.key.device, []).append(partition)
    for device, holders in sorted(by_device.items()):
        if oversold(holders, policy, vouched=_BY_PODS) > 0:
            yield Drift(7, "oversubscribed", Severity.AT_RISK, device)


def _strangers(snapshot: Snapshot) -> Iterator[Drift]:
    held = {partition.key.device for partition in snapshot.partitions}
    for uuid, consumers in snapshot.consumers.items():
        settled = [] if isinstance(consumers, Missing) else [each for each in consumers if each.settled]
        rogues = [each for each in settled if each.relation is Relation.ROGUE]
        hosts = [each for each in settled if each.relation is Relation.HOST]
        if rogues:
            bad = Severity.BREACH if uuid in held else Severity.WARNING
            who = _named(f"{each.namespace}/{each.pod}" for each in rogues)
            yield Drift(8, "rogue_process", bad, uuid, count=len(rogues), who=who)
        if hosts:
            bad = Severity.BREACH if uuid in held else Severity.INFO
            yield Drift(9, "host_process", bad, uuid, count=len(hosts), who=_named(each.command for each in hosts))


def _is_idle(partition: Partition, verdicts: Verdicts) -> bool:
    """Whether a workload that was promised compute wants none of it now, or has no process that could."""
    if partition.owner.role is not Role.WORKLOAD or partition.doubt is not None:
        return False
    compute: Verdict | None = verdicts.get(partition.key, {}).get(Guarantee.COMPUTE)
    return partition.consumers == () or (compute is not None and compute.outcome is Outcome.IDLE)


def _unused(snapshot: Snapshot, since: Idle) -> Iterator[Drift]:
    for key, begin in since.items():
        if snapshot.at - begin >= IDLE_SECONDS:
            yield Drift(10, "idle_owner", Severity.WASTE, key.device, key)

"""Compute on time-sliced devices, as the judge asks for it: what one tick of each device says, and the answers as verdicts.

Pure. The thinking is in `exporter.shared_compute`; here the snapshot is turned into its samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.catalogue import PartitionKey
from exporter.demand import Assessment, DemandPolicy, Holder, Intruder, ProcessShare, Sample
from exporter.model import Consumer, DeviceUuid, Missing, Partition, Reason, Relation, Sharing, Snapshot
from exporter.policy import Policy
from exporter.shared_compute import DeviceMemory, assess
from exporter.verdict import Cause, Evidence, Neighbour, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """What is remembered of every shared device."""

    devices: Mapping[DeviceUuid, DeviceMemory] = field(default_factory=dict)


_INTRUDERS = {
    Relation.ROGUE: Intruder.ROGUE_POD,
    Relation.HOST: Intruder.HOST_PROCESS,
    Relation.ALLOWED: Intruder.HOST_PROCESS,
}


_TURNS = frozenset({Sharing.TIME_SLICING, Sharing.HAMI, Sharing.KAI})
"""Modes in which processes take turns on the device. A hook that holds a tenant back looks as if it thought in between, so
that what it is entitled to is underestimated under HAMi: the answer errs towards kept."""


def judge_shared(
    snapshot: Snapshot,
    holders: Mapping[DeviceUuid, Sequence[Partition]],
    policy: Policy,
    memory: SharedMemory,
) -> tuple[Mapping[PartitionKey, Verdict], SharedMemory]:
    """Answer compute for the partitions of time-sliced devices."""
    demand = DemandPolicy(
        tolerance=policy.compute_tolerance, window=policy.compute_window, appetite_seconds=policy.appetite_seconds
    )
    verdicts: dict[PartitionKey, Verdict] = {}
    devices: dict[DeviceUuid, DeviceMemory] = {}
    for uuid, partitions in holders.items():
        if not any(partition.mode in _TURNS for partition in partitions):
            continue
        sample = _sample(uuid, partitions, snapshot)
        answers, devices[uuid] = assess(memory.devices.get(uuid, DeviceMemory()), sample, demand)
        verdicts |= {key: _verdict(answer) for key, answer in answers.items()}
    return verdicts, SharedMemory(devices)


def _sample(uuid: DeviceUuid, partitions: Sequence[Partition], snapshot: Snapshot) -> Sample:
    placed = snapshot.consumers.get(uuid, Missing(Reason.DEVICE_LOST if snapshot.doubt is None else snapshot.doubt))
    promises = {p.key: amount for p in partitions if (amount := _promised(p)) is not None}
    return Sample(
        at=snapshot.at,
        processes=placed if isinstance(placed, Missing) else tuple(_share(consumer) for consumer in placed),
        promises=promises,
        declared=_declared(promises, snapshot),
    )


def _promised(partition: Partition) -> float | None:
    promise = partition.promise.compute
    if promise is None:
        # By the record it was promised none: who it is is known, and what it takes is beyond its promise.
        return None if partition.grant is None else 0.0
    return None if isinstance(promise.amount, Missing) else promise.amount


def _share(consumer: Consumer) -> ProcessShare:
    known = _INTRUDERS.get(consumer.relation, Intruder.UNPLACED) if consumer.settled else Intruder.UNPLACED
    holder: Holder = consumer.holder or known
    return ProcessShare(consumer.process.pid, holder, consumer.process.sm_share)


def _declared(promises: Mapping[PartitionKey, float], snapshot: Snapshot) -> dict[PartitionKey, bool]:
    found = {key: snapshot.declared.get((key.namespace, key.pod)) for key in promises}
    return {key: backlog for key, backlog in found.items() if isinstance(backlog, bool)}


def _verdict(assessment: Assessment) -> Verdict:
    neighbours: dict[Neighbour, float] = {}
    for key, part in assessment.neighbours.items():
        who = (key.namespace, key.pod)
        neighbours[who] = neighbours.get(who, 0.0) + part
    unknown = Missing(Reason.DEMAND_UNKNOWN)
    return Verdict(
        Outcome(assessment.answer),
        reason=None if assessment.reason is None else Reason(assessment.reason),
        loss={Cause(cause): part for cause, part in assessment.loss.items() if part > 0},
        neighbours=neighbours,
        entitled=unknown if assessment.entitled is None else assessment.entitled.likely,
        delivered=unknown if assessment.delivered is None else assessment.delivered,
        evidence=Evidence(assessment.evidence),
    )

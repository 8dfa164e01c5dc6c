"""The judge: for each partition and guarantee, kept, broken, idle or blind at this tick.

Pure: a snapshot with promises, the policy and the judge's own small memory in; verdicts and the new memory out. Each
guarantee is a module of its own; this one asks them, and answers blind where their readings cannot be believed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.availability import Faults, availability, remember
from exporter.catalogue import PartitionKey
from exporter.conformance import conformance
from exporter.exclusive_compute import Slow, exclusive_compute, slow_since
from exporter.isolation import isolation
from exporter.memory_guarantee import memory as memory_verdict
from exporter.model import (
    DeviceState,
    DeviceUuid,
    GpuUse,
    GpuUuid,
    Missing,
    Partition,
    Reason,
    Role,
    Sharing,
    Snapshot,
)
from exporter.policy import Policy
from exporter.shared import SharedMemory, judge_shared
from exporter.trust import Trust, TrustMemory, examine
from exporter.verdict import IDLE, Guarantee, Verdict, Verdicts, applying, blind

_GONE = Missing(Reason.DEVICE_LOST)
_EXCLUSIVE = frozenset({Sharing.EXCLUSIVE, Sharing.MIG, Sharing.XCP})


@dataclass(frozen=True, slots=True)
class JudgeMemory:
    """What the judge remembers between ticks."""

    faults: Faults = field(default_factory=Faults)
    trust: TrustMemory = field(default_factory=TrustMemory)
    shared: SharedMemory = field(default_factory=SharedMemory)
    slow: Mapping[GpuUuid, Slow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every answer of one tick is made from."""

    snapshot: Snapshot
    policy: Policy
    faults: Faults
    trust: Trust
    holders: Mapping[DeviceUuid, Sequence[Partition]]
    gpus: Mapping[GpuUuid, GpuUse]
    shared: Mapping[PartitionKey, Verdict]
    slow: Mapping[GpuUuid, Slow]


def judge(snapshot: Snapshot, policy: Policy, memory: JudgeMemory) -> tuple[Verdicts, JudgeMemory]:
    """Answer every guarantee that applies, for every partition."""
    holders: dict[DeviceUuid, list[Partition]] = defaultdict(list)
    for partition in snapshot.partitions:
        holders[DeviceUuid(partition.key.device)].append(partition)
    faults = remember(snapshot, policy, memory.faults)
    trust, trusted = examine(snapshot, holders, policy, memory.trust)
    shared, seen = judge_shared(snapshot, holders, policy, memory.shared)
    bench = _Bench(
        snapshot=snapshot,
        policy=policy,
        faults=faults,
        trust=trust,
        holders=holders,
        gpus={state.gpu.uuid: state.use for state in snapshot.gpus},
        shared=shared,
        slow=slow_since(snapshot.gpus, snapshot.at, policy, memory.slow),
    )
    verdicts = {partition.key: _answers(partition, bench) for partition in snapshot.partitions}
    return verdicts, JudgeMemory(faults, trusted, seen, bench.slow)


def _answers(partition: Partition, bench: _Bench) -> Mapping[Guarantee, Verdict]:
    """Answer every guarantee that applies to one partition, in the order of `applying`."""
    applies = applying(partition)
    if partition.doubt is not None:
        return dict.fromkeys(applies, blind(partition.doubt))
    found = {Guarantee.AVAILABILITY: availability(partition, bench.snapshot.at, bench.faults)}
    if partition.state is not DeviceState.PRESENT:
        # The device is not there: nothing more can be said of it than that it is not available.
        return found | dict.fromkeys(applies[1:], blind(Reason.DEVICE_LOST))
    if partition.owner.role is not Role.WORKLOAD:
        # A placeholder or a probe wants no more than the device to be there.
        return found | dict.fromkeys(applies[1:], IDLE)
    holders = bench.holders[DeviceUuid(partition.key.device)]
    distrusted = bench.trust.of(partition)
    for guarantee in applies[1:]:
        if guarantee is Guarantee.CONFORMANCE:
            found[guarantee] = conformance(partition, holders, bench.policy)
        elif guarantee in distrusted:
            found[guarantee] = blind(Reason.CONTRADICTION)
        else:
            found[guarantee] = _measured(guarantee, partition, holders, bench)
    return found


def _measured(guarantee: Guarantee, partition: Partition, holders: Sequence[Partition], bench: _Bench) -> Verdict:
    """Answer from readings that are believed."""
    if guarantee is Guarantee.COMPUTE:
        return _compute(partition, bench)
    neighbours = [other for other in holders if other is not partition]
    placed = bench.snapshot.consumers.get(DeviceUuid(partition.key.device), _GONE)
    if guarantee is Guarantee.MEMORY:
        return memory_verdict(partition, neighbours, placed, bench.policy)
    return isolation(neighbours, placed, bench.policy)


def _compute(partition: Partition, bench: _Bench) -> Verdict:
    mode = partition.mode
    if mode in _EXCLUSIVE:
        use = bench.gpus.get(GpuUuid(partition.key.gpu))
        if use is None:
            return blind(Reason.UNSUPPORTED)
        return exclusive_compute(partition, use, bench.policy, bench.slow.get(GpuUuid(partition.key.gpu)))
    if mode is Sharing.MPS:
        # Kernels of MPS clients run side by side, not in turns: the model of turns does not hold.
        return blind(Reason.MODEL_NOT_APPLICABLE)
    return bench.shared.get(partition.key) or blind(Reason.DEMAND_UNKNOWN)

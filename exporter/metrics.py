"""From the joined node to samples: which rows each metric of the contract has now.

Pure. A reading that is missing has no row; counters have theirs from birth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from exporter import catalogue as c
from exporter.exposition import Distribution, Family, columns, distributions, family
from exporter.ledger import NS, Ledger
from exporter.model import (
    Device,
    DeviceUuid,
    GpuUuid,
    Missing,
    Partition,
    Reading,
    Reason,
    Relation,
    Snapshot,
    Throttle,
)
from exporter.verdict import Guarantee, Outcome, Verdicts

_UJ = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """One source's health: `last_success` is Unix seconds, None when it has never answered; `detail` says why it is down."""

    name: str
    up: bool
    last_success: float | None
    durations: Distribution
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What the program says of itself."""

    version: str
    python: str
    ticks: Distribution
    sources: tuple[SourceHealth, ...]
    untrusted: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(c.CHECKS, 0))


def families(snapshot: Snapshot, verdicts: Verdicts, ledger: Ledger, own: Own) -> Iterator[Family]:
    """Yield every family of the contract with its rows, in the order of the catalogue."""
    yield from _devices(snapshot)
    yield from _gpus(snapshot, ledger)
    yield from _partitions(snapshot, verdicts)
    yield from _accounts(ledger)
    yield from _gpu_accounts(ledger)
    yield from _own(snapshot, own)


def _devices(snapshot: Snapshot) -> Iterator[Family]:
    devices = snapshot.devices
    keys = [_device_key(device.gpu, device.uuid) for device in devices]
    uses = [device.use for device in devices]
    yield columns(c.DEVICE_INFO, [_device_info(device, snapshot) for device in devices], [1.0] * len(devices))
    shown = [device.shows_memory for device in devices]
    totals = [use.memory_total_bytes if here else _ELSEWHERE for use, here in zip(uses, shown, strict=True)]
    used = [use.memory_used_bytes if here else _ELSEWHERE for use, here in zip(uses, shown, strict=True)]
    yield columns(c.DEVICE_MEMORY_TOTAL, keys, totals)
    yield columns(c.DEVICE_MEMORY_USED, keys, used)
    yield columns(c.DEVICE_SM_COUNT, keys, [device.sm_count for device in devices])
    yield columns(c.DEVICE_ENGINE_ACTIVE, keys, [use.engine_active for use in uses])
    yield columns(c.DEVICE_SM_ACTIVE, keys, [use.sm_active for use in uses])
    yield columns(c.DEVICE_TENSOR_ACTIVE, keys, [use.tensor_active for use in uses])
    yield columns(c.DEVICE_MEMORY_BANDWIDTH, keys, [use.memory_bandwidth for use in uses])
    yield columns(
        c.DEVICE_ECC,
        [c.EccKey(key.gpu, key.device, kind) for key in keys for kind in ("corrected", "uncorrected")],
        [count for use in uses for count in (use.ecc_corrected, use.ecc_uncorrected)],
    )


_ELSEWHERE = Missing(Reason.NOT_CONFIGURED)
"""Memory that is shown on another compute instance of the same GPU instance."""


@lru_cache(maxsize=4096)
def _device_key(gpu: str, device: str) -> c.DeviceKey:
    return c.DeviceKey(gpu, device)


def _device_info(device: Device, snapshot: Snapshot) -> c.DeviceInfoKey:
    return c.DeviceInfoKey(
        gpu=device.gpu,
        device=device.uuid,
        node=snapshot.node,
        position=device.index,
        model=device.model,
        kind=device.kind,
        profile=device.profile,
        gpu_instance=_text(device.gpu_instance),
        compute_instance=_text(device.compute_instance),
        driver=snapshot.driver,
    )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _gpus(snapshot: Snapshot, ledger: Ledger) -> Iterator[Family]:
    keys = [c.GpuKey(state.gpu.uuid) for state in snapshot.gpus]
    uses = [state.use for state in snapshot.gpus]
    yield columns(c.DEVICE_SM_CLOCK, keys, [use.sm_clock_hertz for use in uses])
    yield columns(c.DEVICE_SM_CLOCK_MAX, keys, [use.sm_clock_max_hertz for use in uses])
    yield columns(c.DEVICE_POWER, keys, [use.power_watts for use in uses])
    yield columns(c.DEVICE_POWER_LIMIT, keys, [use.power_limit_watts for use in uses])
    yield columns(c.DEVICE_TEMPERATURE, keys, [use.temperature_celsius for use in uses])
    yield columns(c.DEVICE_ENERGY, keys, [use.energy_joules for use in uses])
    counted = [(key.gpu, ledger.gpus[GpuUuid(key.gpu)]) for key in keys if GpuUuid(key.gpu) in ledger.gpus]
    yield columns(
        c.DEVICE_THROTTLED,
        [c.ThrottleKey(gpu, reason) for gpu, _ in counted for reason in Throttle],
        [account.throttled[reason] for _, account in counted for reason in Throttle],
        unit=NS,
    )
    yield columns(c.DEVICE_XID, list(ledger.xids.keys()), list(ledger.xids.values()))


def _partitions(snapshot: Snapshot, verdicts: Verdicts) -> Iterator[Family]:
    partitions = snapshot.partitions
    keys = [partition.key for partition in partitions]
    ones = [1.0] * len(partitions)
    yield columns(c.PARTITION_INFO, [_partition_info(p, snapshot.node) for p in partitions], ones)
    promises = [key for p in partitions for key in _promise_info(p)]
    yield columns(c.PROMISE_INFO, promises, [1.0] * len(promises))
    computes = [p.promise.compute for p in partitions]
    memories = [p.promise.memory for p in partitions]
    yield columns(c.PROMISED_COMPUTE, keys, [_NOT_PROMISED if p is None else p.amount for p in computes])
    yield columns(c.PROMISED_MEMORY, keys, [_NOT_PROMISED if p is None else p.amount for p in memories])
    compute = [verdicts[key].get(Guarantee.COMPUTE) for key in keys]
    yield columns(c.ENTITLED_COMPUTE, keys, [_NOT_PROMISED if v is None else v.entitled for v in compute])
    yield columns(c.DELIVERED_COMPUTE, keys, [_NOT_PROMISED if v is None else v.delivered for v in compute])
    answered = zip(keys, compute, strict=True)
    decided = [c.EvidenceKey(*key, v.evidence) for key, v in answered if v is not None and v.evidence is not None]
    yield columns(c.DEMAND_INFO, decided, [1.0] * len(decided))
    yield columns(c.USED_COMPUTE, keys, [p.used_compute for p in partitions])
    yield columns(c.USED_MEMORY, keys, [p.used_memory_bytes for p in partitions])
    yield columns(c.OBTAINABLE_MEMORY, keys, [p.obtainable_memory_bytes for p in partitions])
    yield columns(c.PARTITION_PROCESSES, keys, _processes(snapshot))


_NOT_PROMISED = Missing(Reason.NOT_CONFIGURED)


def _processes(snapshot: Snapshot) -> list[Reading]:
    """How many processes each partition has. One that cannot be placed may be anybody's on its device: 0 would be a claim."""
    unplaced = {
        device
        for device, found in snapshot.consumers.items()
        if not isinstance(found, Missing) and any(consumer.relation is Relation.UNKNOWN for consumer in found)
    }
    return [_count(partition, unplaced) for partition in snapshot.partitions]


def _count(partition: Partition, unplaced: Collection[DeviceUuid]) -> Reading:
    found = partition.consumers
    if isinstance(found, Missing):
        return found
    return _AMBIGUOUS if partition.key.device in unplaced else len(found)


_AMBIGUOUS = Missing(Reason.AMBIGUOUS)


def _partition_info(partition: Partition, node: str) -> c.PartitionInfoKey:
    return c.PartitionInfoKey(
        *partition.key,
        node=node,
        pod_uid=partition.owner.pod_uid,
        workload_kind=partition.owner.workload_kind,
        workload=partition.owner.workload,
        resource=partition.resource,
        sharing=partition.sharing,
        slots=str(partition.slots),
        profile=partition.promised_profile,
    )


def _promise_info(partition: Partition) -> Iterator[c.PromiseInfoKey]:
    for dimension, promised in (("compute", partition.promise.compute), ("memory", partition.promise.memory)):
        if promised is not None:
            yield c.PromiseInfoKey(*partition.key, dimension, promised.klass, promised.enforcer, promised.source)


def _accounts(ledger: Ledger) -> Iterator[Family]:
    accounts = ledger.accounts
    yield columns(
        c.GUARANTEE_SECONDS,
        [key for partition, account in accounts.items() for key in _outcome_keys(partition, tuple(account.outcomes))],
        [spent for account in accounts.values() for spent in account.outcomes.values()],
        unit=NS,
    )
    yield columns(
        c.LOST_SECONDS,
        [c.CauseKey(*key, *of) for key, account in accounts.items() for of in account.lost],
        [lost for account in accounts.values() for lost in account.lost.values()],
        unit=NS,
    )
    yield columns(
        c.LOST_TO_NEIGHBOUR,
        [
            c.NeighbourKey(*key, guarantee, *who)
            for key, account in accounts.items()
            for guarantee, who in account.to_neighbour
        ],
        [lost for account in accounts.values() for lost in account.to_neighbour.values()],
        unit=NS,
    )
    yield columns(
        c.BLIND_SECONDS,
        [c.BlindKey(*key, *of) for key, account in accounts.items() for of in account.blind],
        [lost for account in accounts.values() for lost in account.blind.values()],
        unit=NS,
    )
    yield columns(
        c.SHARE_SECONDS,
        [share for key in accounts for share in _share_keys(key)],
        [v for account in accounts.values() for v in (account.promised, account.delivered, account.borrowed)],
        unit=NS,
    )
    yield columns(c.PARTITION_ENERGY, list(accounts), [account.energy for account in accounts.values()], unit=_UJ)


_KEPT = 1024
"""Partitions whose keys are kept, now and lately gone; each takes some 4 KiB."""


@lru_cache(maxsize=_KEPT)
def _outcome_keys(key: c.PartitionKey, outcomes: tuple[tuple[Guarantee, Outcome], ...]) -> tuple[c.OutcomeKey, ...]:
    """The keys of one partition's outcomes; they are most of a page's rows, and the same on every tick."""
    return tuple(c.OutcomeKey(*key, guarantee, outcome) for guarantee, outcome in outcomes)


@lru_cache(maxsize=_KEPT)
def _share_keys(key: c.PartitionKey) -> tuple[c.ShareKey, ...]:
    return tuple(c.ShareKey(*key, kind) for kind in c.SHARE_KINDS)


def _gpu_accounts(ledger: Ledger) -> Iterator[Family]:
    yield columns(
        c.ACCOUNTED_SECONDS,
        [c.StateKey(gpu, state) for gpu in ledger.gpus for state in c.ACCOUNT_STATES],
        [getattr(account.states, state) for account in ledger.gpus.values() for state in c.ACCOUNT_STATES],
        unit=NS,
    )


def _own(snapshot: Snapshot, own: Own) -> Iterator[Family]:
    keyed = [(c.SourceKey(source.name), source) for source in own.sources]
    yield family(c.SOURCE_UP, [(key, float(source.up)) for key, source in keyed])
    yield distributions(c.SOURCE_READ_DURATION, [(key, source.durations) for key, source in keyed])
    succeeded = [(key, s.last_success) for key, s in keyed if s.last_success is not None]
    yield family(c.SOURCE_LAST_SUCCESS, succeeded)
    yield family(c.ORPHANS, [(c.OrphanKey(kind), float(count)) for kind, count in sorted(snapshot.orphans.items())])
    yield family(c.UNTRUSTED, [(c.CheckKey(check), float(count)) for check, count in own.untrusted.items()])
    yield distributions(c.TICK_DURATION, [(c.NoKey(), own.ticks)])
    yield family(c.BUILD_INFO, [(c.BuildKey(own.version, own.python, snapshot.nvml), 1.0)])

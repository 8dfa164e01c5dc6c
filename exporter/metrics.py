"""From the joined node to samples: which rows each metric of the contract has now.

Pure. A reading that is missing has no row; counters have theirs from birth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from exporter import catalogue as c
from exporter.exposition import Distribution, Family, distributions, family
from exporter.ledger import NS, Account, Ledger
from exporter.model import Device, GpuState, Missing, Partition, Reading, Relation, Snapshot, Throttle
from exporter.verdict import Guarantee, Verdicts

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


def _present(pairs: Iterable[tuple[c.K, Reading]]) -> list[tuple[c.K, float]]:
    return [(key, value) for key, value in pairs if not isinstance(value, Missing)]


def _devices(snapshot: Snapshot) -> Iterator[Family]:
    devices = [(c.DeviceKey(device.gpu, device.uuid), device) for device in snapshot.devices]
    yield family(c.DEVICE_INFO, [(_device_info(device, snapshot), 1.0) for _, device in devices])
    shown = [(key, device.use) for key, device in devices if device.shows_memory]
    yield family(c.DEVICE_MEMORY_TOTAL, _present((key, use.memory_total_bytes) for key, use in shown))
    yield family(c.DEVICE_MEMORY_USED, _present((key, use.memory_used_bytes) for key, use in shown))
    yield family(c.DEVICE_SM_COUNT, _present((key, device.sm_count) for key, device in devices))
    uses = [(key, device.use) for key, device in devices]
    yield family(c.DEVICE_ENGINE_ACTIVE, _present((key, use.engine_active) for key, use in uses))
    yield family(c.DEVICE_SM_ACTIVE, _present((key, use.sm_active) for key, use in uses))
    yield family(c.DEVICE_TENSOR_ACTIVE, _present((key, use.tensor_active) for key, use in uses))
    yield family(c.DEVICE_MEMORY_BANDWIDTH, _present((key, use.memory_bandwidth) for key, use in uses))
    ecc = [
        (c.EccKey(key.gpu, key.device, kind), count)
        for key, use in uses
        for kind, count in (("corrected", use.ecc_corrected), ("uncorrected", use.ecc_uncorrected))
    ]
    yield family(c.DEVICE_ECC, _present(ecc))


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
    gpus = [(c.GpuKey(state.gpu.uuid), state) for state in snapshot.gpus]
    yield family(c.DEVICE_SM_CLOCK, _present((key, s.use.sm_clock_hertz) for key, s in gpus))
    yield family(c.DEVICE_SM_CLOCK_MAX, _present((key, s.use.sm_clock_max_hertz) for key, s in gpus))
    yield family(c.DEVICE_POWER, _present((key, s.use.power_watts) for key, s in gpus))
    yield family(c.DEVICE_POWER_LIMIT, _present((key, s.use.power_limit_watts) for key, s in gpus))
    yield family(c.DEVICE_TEMPERATURE, _present((key, s.use.temperature_celsius) for key, s in gpus))
    yield family(c.DEVICE_ENERGY, _present((key, s.use.energy_joules) for key, s in gpus))
    yield family(c.DEVICE_THROTTLED, [row for _, state in gpus for row in _throttled(state, ledger)])
    yield family(c.DEVICE_XID, [(key, float(count)) for key, count in ledger.xids.items()])


def _throttled(state: GpuState, ledger: Ledger) -> list[tuple[c.ThrottleKey, float]]:
    account = ledger.gpus.get(state.gpu.uuid)
    if account is None:
        return []
    return [(c.ThrottleKey(state.gpu.uuid, reason), account.throttled[reason] / NS) for reason in Throttle]


def _partitions(snapshot: Snapshot, verdicts: Verdicts) -> Iterator[Family]:
    partitions = snapshot.partitions
    yield family(c.PARTITION_INFO, [(_partition_info(p, snapshot.node), 1.0) for p in partitions])
    yield family(c.PROMISE_INFO, [(key, 1.0) for p in partitions for key in _promise_info(p)])
    computes = [(p.key, p.promise.compute.amount) for p in partitions if p.promise.compute is not None]
    memories = [(p.key, p.promise.memory.amount) for p in partitions if p.promise.memory is not None]
    yield family(c.PROMISED_COMPUTE, _present(computes))
    yield family(c.PROMISED_MEMORY, _present(memories))
    compute = [(p.key, v) for p in partitions if (v := verdicts[p.key].get(Guarantee.COMPUTE)) is not None]
    yield family(c.ENTITLED_COMPUTE, _present((key, verdict.entitled) for key, verdict in compute))
    yield family(c.DELIVERED_COMPUTE, _present((key, verdict.delivered) for key, verdict in compute))
    decided = [(c.EvidenceKey(*key, v.evidence), 1.0) for key, v in compute if v.evidence is not None]
    yield family(c.DEMAND_INFO, decided)
    yield family(c.USED_COMPUTE, _present((p.key, p.used_compute) for p in partitions))
    yield family(c.USED_MEMORY, _present((p.key, p.used_memory_bytes) for p in partitions))
    yield family(c.OBTAINABLE_MEMORY, _present((p.key, p.obtainable_memory_bytes) for p in partitions))
    # One that cannot be placed may be anybody's on its device, and 0 would say that it is nobody's.
    unplaced = {
        device
        for device, found in snapshot.consumers.items()
        if not isinstance(found, Missing) and any(consumer.relation is Relation.UNKNOWN for consumer in found)
    }
    counted = [(p.key, float(len(found))) for p in partitions if not isinstance(found := p.consumers, Missing)]
    yield family(c.PARTITION_PROCESSES, [(key, count) for key, count in counted if key.device not in unplaced])


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
    yield family(c.GUARANTEE_SECONDS, [row for key, account in accounts.items() for row in _outcomes(key, account)])
    yield family(
        c.LOST_SECONDS,
        [
            (c.CauseKey(*key, guarantee, cause), lost / NS)
            for key, account in accounts.items()
            for (guarantee, cause), lost in account.lost.items()
        ],
    )
    yield family(
        c.LOST_TO_NEIGHBOUR,
        [
            (c.NeighbourKey(*key, guarantee, *who), lost / NS)
            for key, account in accounts.items()
            for (guarantee, who), lost in account.to_neighbour.items()
        ],
    )
    yield family(
        c.BLIND_SECONDS,
        [
            (c.BlindKey(*key, guarantee, reason), lost / NS)
            for key, account in accounts.items()
            for (guarantee, reason), lost in account.blind.items()
        ],
    )
    yield family(
        c.SHARE_SECONDS,
        [
            (c.ShareKey(*key, kind), value / NS)
            for key, account in accounts.items()
            for kind, value in zip(c.SHARE_KINDS, (account.promised, account.delivered, account.borrowed), strict=True)
        ],
    )
    yield family(c.PARTITION_ENERGY, [(key, account.energy / _UJ) for key, account in accounts.items()])


def _outcomes(key: c.PartitionKey, account: Account) -> list[tuple[c.OutcomeKey, float]]:
    keys = _outcome_keys(key)
    return [(keys[answer], spent / NS) for answer, spent in account.outcomes.items()]


@lru_cache(maxsize=1024)  # partitions now and lately gone; each takes 4 KiB
def _outcome_keys(key: c.PartitionKey) -> Mapping[tuple[str, str], c.OutcomeKey]:
    """The keys of one partition's outcomes; they are most of a page's rows, and the same on every tick."""
    return {(g, o): c.OutcomeKey(*key, g, o) for g in c.GUARANTEES for o in c.OUTCOMES}


def _gpu_accounts(ledger: Ledger) -> Iterator[Family]:
    yield family(
        c.ACCOUNTED_SECONDS,
        [
            (c.StateKey(gpu, state), getattr(account.states, state) / NS)
            for gpu, account in ledger.gpus.items()
            for state in c.ACCOUNT_STATES
        ],
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

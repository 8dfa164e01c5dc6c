"""Cases from Prometheus: partitions of a window, gone ones included, with what their counters gained in it.

What the page does not carry stays untold: a stranger's name and use, the slots that the plugin offers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from exporter import catalogue as c
from exporter.model import Missing, Promise, Reading, Reason, Sharing
from exporter.verdict import Cause, Guarantee, Neighbour, Outcome
from exporter.why.case import UNTOLD, Case, Health, Spell, Window
from exporter.why.crowd import Board, Tenant, gather
from exporter.why.gained import Gains, Scope
from exporter.why.jsontree import word
from exporter.why.prometheus import Prometheus, selector
from exporter.why.prometheus_tables import ABSENT, Tables, ask

K = TypeVar("K")


def gpus_of(prometheus: Prometheus, namespace: str, pod: str, window: float) -> frozenset[str]:
    """The GPUs that a pod held a part of in the window; empty when it held none. Raises SourceError."""
    series = selector([c.PARTITION_INFO.name], namespace=namespace, pod=pod)
    found = prometheus.query(f"group by (gpu) (last_over_time({series}[{round(window * 1000)}ms]))")
    return frozenset(sample.labels["gpu"] for sample in found if "gpu" in sample.labels)


def owners(prometheus: Prometheus, window: float) -> list[str]:
    """Every pod that held a partition in the window, as `namespace/pod`. Raises SourceError."""
    series = selector([c.PARTITION_INFO.name])
    found = prometheus.query(f"group by (namespace, pod) (last_over_time({series}[{round(window * 1000)}ms]))")
    return sorted(f"{sample.labels.get('namespace', '')}/{sample.labels.get('pod', '')}" for sample in found)


def cases(prometheus: Prometheus, window: float, gpus: frozenset[str] | None = None) -> tuple[Case, ...]:
    """Every partition of these GPUs, or of the fleet, over the last `window` seconds. Raises SourceError."""
    tables = ask(prometheus, Scope(gpus, window))
    by_device: dict[str, list[c.PartitionKey]] = defaultdict(list)
    for key in sorted(tables.infos):
        by_device[key.device].append(key)
    return tuple(_case(tables.infos[key], tables, by_device[key.device]) for key in sorted(tables.infos))


def _case(info: c.PartitionInfoKey, tables: Tables, here: Sequence[c.PartitionKey]) -> Case:
    key = c.PartitionKey(*info[:5])
    gained = tables.gains.get(key, Gains())
    gone = key not in tables.present
    device, gpu = tables.devices.get((key.gpu, key.device)), tables.devices.get((key.gpu, key.gpu))
    tenants = [_tenant(other, tables) for other in here]
    mine = next(tenant for tenant in tenants if tenant.key == key)
    spells = _spells(gained, {} if gone else tables.newest.get(key, {}))
    crowd = gather(key, tenants, (), _board(key, device, tables))
    if (isolation := spells.get(Guarantee.ISOLATION)) is None or isolation.broken:
        crowd = replace(crowd, complete=False)  # strangers have no series: what is left may be theirs
    return Case(
        key=key,
        node=info.node,
        gpu_index="" if gpu is None else gpu.position,
        device_index="" if device is None else device.position,
        model="" if gpu is None else gpu.model,
        attached_profile="" if device is None else device.profile,
        workload_kind=info.workload_kind,
        workload=info.workload,
        resource=info.resource,
        sharing=word(Sharing, info.sharing, Sharing.EXCLUSIVE),
        slots=_slots(info),
        promised_profile=info.profile,
        promise=tables.promises.get(key, Promise()),
        holders=float(sum(_slots(tables.infos[other]) for other in here if other in tables.present)),
        replicas=UNTOLD,
        gone=gone,
        spells=spells,
        entitled=tables.gauge(c.ENTITLED_COMPUTE, key),
        delivered=tables.gauge(c.DELIVERED_COMPUTE, key),
        used_compute=tables.gauge(c.USED_COMPUTE, key),
        mean_used=mine.mean,
        used_memory=tables.gauge(c.USED_MEMORY, key),
        obtainable_memory=tables.gauge(c.OBTAINABLE_MEMORY, key),
        evidence=tables.evidence.get(key),
        window=Window(gained.age, tables.window, exact=gained.exact),
        health=_health(key, tables),
        crowd=crowd,
    )


def _slots(info: c.PartitionInfoKey) -> int:
    return int(info.slots) if info.slots.isdecimal() and len(info.slots) < 6 else 1  # noqa: PLR2004  # no device has more


def _spells(gained: Gains, newest: Mapping[Guarantee, Outcome]) -> dict[Guarantee, Spell]:
    outcomes: dict[Guarantee, dict[Outcome, float]] = defaultdict(lambda: dict.fromkeys(Outcome, 0.0))
    lost: dict[Guarantee, dict[Cause, float]] = defaultdict(dict)
    neighbours: dict[Guarantee, dict[Neighbour, float]] = defaultdict(dict)
    blind: dict[Guarantee, dict[Reason, float]] = defaultdict(dict)
    for (name, labels), seconds in gained.rows.items():
        if name == c.SHARE_SECONDS.name or labels[5] not in set(Guarantee):
            continue
        row, said = Guarantee(labels[5]), labels[-1]
        if name == c.GUARANTEE_SECONDS.name and said in set(Outcome):
            outcomes[row][Outcome(said)] += seconds
        elif name == c.LOST_SECONDS.name:
            _add(lost[row], word(Cause, said, Cause.UNKNOWN), seconds)
        elif name == c.LOST_TO_NEIGHBOUR.name:
            _add(neighbours[row], (labels[6], labels[7]), seconds)
        elif name == c.BLIND_SECONDS.name:
            _add(blind[row], word(Reason, said, Reason.ERROR), seconds)
    return {
        guarantee: Spell(
            seconds=outcomes[guarantee],
            lost=lost[guarantee],
            neighbours=neighbours[guarantee],
            blind=blind[guarantee],
            now=newest.get(guarantee),
        )
        for guarantee in Guarantee
        if guarantee in outcomes
    }


def _add(table: dict[K, float], key: K, seconds: float) -> None:
    if seconds > 0:
        table[key] = table.get(key, 0.0) + seconds


def _health(key: c.PartitionKey, tables: Tables) -> Health:
    gpu = (key.gpu,)
    return Health(
        clock_hertz=tables.gauge(c.DEVICE_SM_CLOCK, gpu),
        clock_max_hertz=tables.gauge(c.DEVICE_SM_CLOCK_MAX, gpu),
        power_watts=tables.gauge(c.DEVICE_POWER, gpu),
        power_limit_watts=tables.gauge(c.DEVICE_POWER_LIMIT, gpu),
        temperature_celsius=tables.gauge(c.DEVICE_TEMPERATURE, gpu),
        throttle=tables.slowed.get(key.gpu, ABSENT),
        throttled=tables.throttled.get(key.gpu, ABSENT),
        ecc_uncorrected=tables.gauge(c.DEVICE_ECC, (key.gpu, key.device, "uncorrected")),
        xids=tables.xids.get(key.gpu, {}),
    )


def _board(key: c.PartitionKey, device: c.DeviceInfoKey | None, tables: Tables) -> Board | None:
    if device is None:
        return None
    total, used = (
        tables.gauge(metric, (key.gpu, key.device)) for metric in (c.DEVICE_MEMORY_TOTAL, c.DEVICE_MEMORY_USED)
    )
    free: Reading = UNTOLD if isinstance(total, Missing) or isinstance(used, Missing) else max(0.0, total - used)
    share: Reading = 1.0
    if device.kind == "mig":
        part, whole = (tables.gauge(c.DEVICE_SM_COUNT, (key.gpu, uuid)) for uuid in (key.device, key.gpu))
        share = UNTOLD if isinstance(part, Missing) or isinstance(whole, Missing) or whole <= 0 else part / whole
    return Board(share=share, memory_total=total, memory_free=free)


def _tenant(key: c.PartitionKey, tables: Tables) -> Tenant:
    gained, promise = tables.gains.get(key, Gains()), tables.promises.get(key, Promise())
    shares = {labels[-1]: s for (name, labels), s in gained.rows.items() if name == c.SHARE_SECONDS.name}
    gone = key not in tables.present
    return Tenant(
        key=key,
        now=Missing(Reason.STALE) if gone else tables.gauge(c.USED_COMPUTE, key),
        used_seconds=shares.get("delivered", 0.0) + shares.get("borrowed", 0.0),
        age=gained.age,
        promised=UNTOLD if promise.compute is None else promise.compute.amount,
        promised_memory=UNTOLD if promise.memory is None else promise.memory.amount,
        memory=tables.gauge(c.USED_MEMORY, key),
        processes=tables.gauge(c.PARTITION_PROCESSES, key),
        gone=gone,
    )

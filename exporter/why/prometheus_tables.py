"""Everything that Prometheus was asked about partitions and their GPUs, indexed: the raw material of cases.

One query a kind of question, whatever the number of partitions, so that a fleet costs as many round trips as a pod.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from exporter import catalogue as c
from exporter.model import (
    Enforcer,
    Missing,
    Promise,
    PromiseClass,
    Promised,
    PromiseSource,
    Reading,
    Reason,
    Throttle,
)
from exporter.verdict import Evidence, Guarantee, Outcome
from exporter.why.gained import Gains, Scope, gains, split_labels
from exporter.why.jsontree import word
from exporter.why.prometheus import Prometheus, Sample

ABSENT = Missing(Reason.NOT_YET)
"""A reading that has no series: the exporter knows why, the page does not."""

_RECENT = "5m"
"""How far back the two newest scrapes are looked for; scrape intervals are shorter."""

_WORST_FIRST = (Outcome.BROKEN, Outcome.BLIND, Outcome.KEPT, Outcome.IDLE)

_GAUGES = (
    c.PARTITION_INFO,
    c.ENTITLED_COMPUTE,
    c.DELIVERED_COMPUTE,
    c.USED_COMPUTE,
    c.USED_MEMORY,
    c.OBTAINABLE_MEMORY,
    c.PARTITION_PROCESSES,
    c.DEMAND_INFO,
    c.DEVICE_INFO,
    c.DEVICE_MEMORY_TOTAL,
    c.DEVICE_MEMORY_USED,
    c.DEVICE_SM_COUNT,
    c.DEVICE_SM_CLOCK,
    c.DEVICE_SM_CLOCK_MAX,
    c.DEVICE_POWER,
    c.DEVICE_POWER_LIMIT,
    c.DEVICE_TEMPERATURE,
    c.DEVICE_ECC,
)
_DESCRIBED = (c.PARTITION_INFO, c.PROMISE_INFO, c.PROMISED_COMPUTE, c.PROMISED_MEMORY)
_AMOUNTS = {"compute": c.PROMISED_COMPUTE, "memory": c.PROMISED_MEMORY}

Values = Mapping[str, Mapping[tuple[str, ...], float]]
"""Values by metric name and labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Every answer, indexed. `infos` has the window's partitions, `present` those of now."""

    window: float
    infos: Mapping[c.PartitionKey, c.PartitionInfoKey]
    present: frozenset[c.PartitionKey]
    promises: Mapping[c.PartitionKey, Promise]
    evidence: Mapping[c.PartitionKey, Evidence]
    devices: Mapping[tuple[str, str], c.DeviceInfoKey]
    now: Values
    gains: Mapping[c.PartitionKey, Gains]
    newest: Mapping[c.PartitionKey, Mapping[Guarantee, Outcome]]
    slowed: Mapping[str, frozenset[Throttle]]
    throttled: Mapping[str, Mapping[Throttle, float]]
    xids: Mapping[str, Mapping[str, float]]

    def gauge(self, metric: c.Metric[tuple[str, ...]], key: tuple[str, ...]) -> Reading:
        """A value of now."""
        return self.now.get(metric.name, {}).get(key, ABSENT)


def ask(prometheus: Prometheus, scope: Scope) -> Tables:
    """Ask everything about a scope. Raises SourceError."""
    described = _values(prometheus.query(f"last_over_time({scope.over(*_DESCRIBED)})"), _DESCRIBED)
    now = _values(prometheus.query(scope.series(*_GAUGES)), _GAUGES)
    held = _infos(now)
    evidence = (c.EvidenceKey(*labels) for labels in now.get(c.DEMAND_INFO.name, {}))
    devices = (c.DeviceInfoKey(*labels) for labels in now.get(c.DEVICE_INFO.name, {}))
    return Tables(
        window=scope.window,
        # The newest description wins over one that a restarted or relabelled exporter left in the window.
        infos=_infos(described) | held,
        present=frozenset(held),
        promises=_promises(described),
        evidence={c.PartitionKey(*row[:5]): word(Evidence, row.evidence, Evidence.NONE) for row in evidence},
        devices={(row.gpu, row.device): row for row in devices},
        now=now,
        gains=gains(prometheus, scope),
        newest=_newest(prometheus.query(f"irate({scope.series(c.GUARANTEE_SECONDS)}[{_RECENT}]) > 0")),
        slowed=_slowed(prometheus.query(f"irate({scope.series(c.DEVICE_THROTTLED)}[{_RECENT}])")),
        throttled=_throttled(prometheus.query(f"increase({scope.over(c.DEVICE_THROTTLED)})"), scope.window),
        xids=_xids(prometheus, scope),
    )


def _infos(values: Values) -> dict[c.PartitionKey, c.PartitionInfoKey]:
    rows = values.get(c.PARTITION_INFO.name, {})
    return {c.PartitionKey(*labels[:5]): c.PartitionInfoKey(*labels) for labels in rows}


def _promises(described: Values) -> dict[c.PartitionKey, Promise]:
    found: dict[c.PartitionKey, dict[str, Promised]] = defaultdict(dict)
    for labels in described.get(c.PROMISE_INFO.name, {}):
        row, key = c.PromiseInfoKey(*labels), c.PartitionKey(*labels[:5])
        if row.dimension in _AMOUNTS:
            found[key][row.dimension] = Promised(
                amount=described.get(_AMOUNTS[row.dimension].name, {}).get(key, ABSENT),
                klass=word(PromiseClass, row.klass, PromiseClass.DECLARED),
                enforcer=word(Enforcer, row.enforcer, Enforcer.NOBODY),
                source=word(PromiseSource, row.source, PromiseSource.RESOURCE_NAME),
            )
    return {key: Promise(compute=rows.get("compute"), memory=rows.get("memory")) for key, rows in found.items()}


def _values(samples: Iterable[Sample], metrics: Collection[c.Metric[tuple[str, ...]]]) -> Values:
    known = {metric.name: metric for metric in metrics}
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for sample in samples:
        metric = known.get(sample.name)
        if metric is not None and (split := split_labels(metric, sample)) is not None:
            found[metric.name][split[0]] = sample.value
    return found


def _newest(samples: Iterable[Sample]) -> dict[c.PartitionKey, dict[Guarantee, Outcome]]:
    """The outcome between the two newest scrapes; the worst when there were several."""
    seen: dict[tuple[c.PartitionKey, Guarantee], set[Outcome]] = defaultdict(set)
    for sample in samples:
        split = split_labels(c.GUARANTEE_SECONDS, sample)
        if split is None:
            continue
        row = c.OutcomeKey(*split[0])
        if row.guarantee in set(Guarantee) and row.outcome in set(Outcome):
            seen[c.PartitionKey(*row[:5]), Guarantee(row.guarantee)].add(Outcome(row.outcome))
    found: dict[c.PartitionKey, dict[Guarantee, Outcome]] = defaultdict(dict)
    for (key, guarantee), outcomes in seen.items():
        found[key][guarantee] = next(outcome for outcome in _WORST_FIRST if outcome in outcomes)
    return found


def _slowed(samples: Iterable[Sample]) -> dict[str, frozenset[Throttle]]:
    """The reasons that held each GPU's clocks down between the two newest scrapes."""
    found: dict[str, set[Throttle]] = defaultdict(set)
    for sample in samples:
        reasons = found[sample.labels.get("gpu", "")]
        if sample.value > 0 and sample.labels.get("reason") in set(Throttle):
            reasons.add(Throttle(sample.labels["reason"]))
    return {gpu: frozenset(reasons) for gpu, reasons in found.items()}


def _throttled(samples: Iterable[Sample], window: float) -> dict[str, dict[Throttle, float]]:
    """Throttled seconds of each GPU, as Prometheus extrapolates them."""
    found: dict[str, dict[Throttle, float]] = defaultdict(dict)
    for sample in samples:
        if sample.labels.get("reason") in set(Throttle):
            seconds, reason = found[sample.labels.get("gpu", "")], Throttle(sample.labels["reason"])
            seconds[reason] = max(seconds.get(reason, 0.0), min(sample.value, window))
    return found


def _xids(prometheus: Prometheus, scope: Scope) -> dict[str, dict[str, float]]:
    """XIDs of each GPU. A number's series is born with its first event, which increase() does not see."""
    grown = f"increase({scope.over(c.DEVICE_XID)})"
    series = scope.series(c.DEVICE_XID)
    born = f"last_over_time({scope.over(c.DEVICE_XID)}) unless {series} offset {scope.milliseconds}ms"
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for query in (grown, born):
        for sample in prometheus.query(query):
            numbers, xid = found[sample.labels.get("gpu", "")], sample.labels.get("xid", "?")
            numbers[xid] = max(numbers.get(xid, 0.0), float(round(sample.value)))
    return found

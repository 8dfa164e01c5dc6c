"""What the contract's counters gained over a window, to the second where Prometheus can tell.

`increase()` extrapolates to the window's edges and misses the first value of a series that is born with its first loss,
so sums would not add up. Counters of one page are scraped together: their differences do add up. Where a counter started
over in between (an exporter's restart), or the history is younger than the window, `increase()` is what there is, and the
account says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter import catalogue as c
from exporter.why.prometheus import Prometheus, Sample, one_of, selector

COUNTERS: tuple[c.Metric[tuple[str, ...]], ...] = (
    c.GUARANTEE_SECONDS,
    c.LOST_SECONDS,
    c.LOST_TO_NEIGHBOUR,
    c.BLIND_SECONDS,
    c.SHARE_SECONDS,
)
_LATE = 1.02
_SLACK = 30.0
"""Seconds by which an age may exceed the window that it was born in: a scrape or two."""

Origin = frozenset[tuple[str, str]]
"""The labels of a series that are not the contract's: which exporter, scraped by which job."""
Row = tuple[str, tuple[str, ...]]
"""A metric's name and the values of its labels."""


@dataclass(slots=True)
class Gains:
    """One partition's gains by metric and labels, in seconds. `exact` is False when some were extrapolated."""

    rows: dict[Row, float] = field(default_factory=dict)
    exact: bool = True

    @property
    def age(self) -> float:
        """Seconds of the window in which the partition was observed."""
        by_guarantee: dict[str, float] = defaultdict(float)
        for (name, labels), seconds in self.rows.items():
            if name == c.GUARANTEE_SECONDS.name:
                by_guarantee[c.OutcomeKey(*labels).guarantee] += seconds
        return max(by_guarantee.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which series are asked for: those of these GPUs, or all when None; and the window in seconds."""

    gpus: frozenset[str] | None
    window: float

    def series(self, *metrics: c.Metric[tuple[str, ...]]) -> str:
        """The selector of these metrics in the scope."""
        names = [metric.name for metric in metrics]
        return selector(names) if self.gpus is None else one_of(names, "gpu", self.gpus)

    def over(self, *metrics: c.Metric[tuple[str, ...]]) -> str:
        """The range selector of these metrics over the window."""
        return f"{self.series(*metrics)}[{self.milliseconds}ms]"

    @property
    def milliseconds(self) -> int:
        """The window as PromQL writes it."""
        return round(self.window * 1000)


def gains(prometheus: Prometheus, scope: Scope) -> Mapping[c.PartitionKey, Gains]:
    """Return what every partition's counters gained. Raises SourceError."""
    last = _by_origin(prometheus.query(f"last_over_time({scope.over(*COUNTERS)})"))
    before = _by_origin(prometheus.query(f"{scope.series(*COUNTERS)} offset {scope.milliseconds}ms"))
    restarted = _restarted(prometheus.query(f"resets({scope.over(c.GUARANTEE_SECONDS)}) > 0"))
    doubtful = {
        at for at, rows in last.items() if at in restarted or not _has_history(rows, before.get(at), scope.window)
    }
    increases = _increases(prometheus, scope) if doubtful else {}
    accounts: dict[c.PartitionKey, list[Gains]] = defaultdict(list)
    for at, rows in last.items():
        key, _ = at
        if at in doubtful:
            grown = increases.get(at, {})
            accounts[key].append(Gains({row: grown.get(row, 0.0) for row in rows}, exact=False))
        else:
            old = before.get(at, {})
            accounts[key].append(Gains({row: max(0.0, value - old.get(row, 0.0)) for row, value in rows.items()}))
    return {key: _merged(found, scope.window) for key, found in accounts.items()}


At = tuple[c.PartitionKey, Origin]


def _by_origin(samples: Iterable[Sample]) -> dict[At, dict[Row, float]]:
    metrics = {metric.name: metric for metric in COUNTERS}
    found: dict[At, dict[Row, float]] = defaultdict(dict)
    for sample in samples:
        metric = metrics.get(sample.name)
        if metric is not None and (split := split_labels(metric, sample)) is not None:
            labels, origin = split
            found[c.PartitionKey(*labels[: len(c.PartitionKey._fields)]), origin][metric.name, labels] = sample.value
    return found


def split_labels(metric: c.Metric[tuple[str, ...]], sample: Sample) -> tuple[tuple[str, ...], Origin] | None:
    """The contract's labels in order, and the others; None for a series of that name that is not the contract's."""
    names = metric.label_names
    if "gpu" not in sample.labels:
        return None
    # Prometheus has no empty labels: an empty profile or pod_uid is a label that is not there.
    labels = tuple(sample.labels.get(name, "") for name in names)
    return labels, frozenset(item for item in sample.labels.items() if item[0] not in names)


def _restarted(samples: Iterable[Sample]) -> frozenset[At]:
    found = [split_labels(c.GUARANTEE_SECONDS, sample) for sample in samples]
    return frozenset((c.PartitionKey(*split[0][: len(c.PartitionKey._fields)]), split[1]) for split in found if split)


def _has_history(rows: Mapping[Row, float], before: Mapping[Row, float] | None, window: float) -> bool:
    """Whether what was not there before the window had really not been: the partition was, or was born in the window."""
    if before:
        return True
    return Gains(dict(rows)).age <= window * _LATE + _SLACK


def _increases(prometheus: Prometheus, scope: Scope) -> dict[At, dict[Row, float]]:
    """`increase()` of each family by itself: its results have no name."""
    found: dict[At, dict[Row, float]] = defaultdict(dict)
    for metric in COUNTERS:
        for sample in prometheus.query(f"increase({scope.over(metric)})"):
            if (split := split_labels(metric, sample)) is not None:
                key = c.PartitionKey(*split[0][: len(c.PartitionKey._fields)])
                found[key, split[1]][metric.name, split[0]] = sample.value
    return found


def _merged(found: Sequence[Gains], window: float) -> Gains:
    """One partition told by several series: one exporter after the other adds up, two jobs that scrape one do not."""
    longest = max(found, key=lambda one: one.age)
    if sum(one.age for one in found) > window * _LATE + _SLACK:
        return longest
    whole = Gains(exact=all(one.exact for one in found))
    for one in found:
        for row, seconds in one.rows.items():
            whole.rows[row] = whole.rows.get(row, 0.0) + seconds
    return whole

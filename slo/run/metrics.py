"""The service's own metrics. The client library renders them: they are few, and nothing here is on a node's hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from slo.run.status import Status
from slo.spec import PartitionSLO

_BUDGET = ["slo", "objective", "namespace"]


class StatusCollector(Collector):
    """Draws the metrics of the newest status."""

    def __init__(self, specs: tuple[PartitionSLO, ...], status: Callable[[], Status], version: str) -> None:
        self._specs = specs
        self._status = status
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Yield every family; called at each scrape."""
        status = self._status()
        yield _one("slicewatch_slo_build_info", "This program; always 1.", 1, version=self._version)
        yield _one(
            "slicewatch_slo_last_evaluation_timestamp_seconds", "Minute that was evaluated last; 0 before.", status.at
        )
        yield _one(
            "slicewatch_slo_last_success_timestamp_seconds",
            "When an evaluation last went well; 0 before.",
            status.succeeded,
        )
        yield _one("slicewatch_slo_evaluation_duration_seconds", "Time that the last evaluation took.", status.took)
        yield _count("slicewatch_slo_evaluation_failures", "Evaluations that failed.", status.failures)
        yield _one("slicewatch_slo_partitions", "Partitions seen in the last evaluation.", status.partitions)
        yield from self._alerts(status)
        yield from self._around(status)
        yield from self._budgets(status)

    def _alerts(self, status: Status) -> Iterator[Metric]:
        firing = GaugeMetricFamily("slicewatch_slo_alerts_firing", "Alerts that fire.", labels=["slo", "severity"])
        counts = Counter((one.alert.slo, one.alert.severity.value) for one in status.firing)
        for (slo, severity), count in sorted(counts.items()):
            firing.add_metric([slo, severity], count)
        yield firing
        yield _one("slicewatch_slo_alerts_hidden", "Alerts above the most that are posted at a time.", status.hidden)
        yield _count("slicewatch_slo_alerts_sent", "Alerts that an Alertmanager took, re-sent ones too.", status.sent)
        yield _count("slicewatch_slo_alerts_refused", "Alerts that every Alertmanager refused.", status.refused)
        yield _one("slicewatch_slo_journal_up", "Whether the journal can be written.", float(not status.journal))
        yield _one("slicewatch_slo_history_up", "Whether scraped minutes can be kept.", float(not status.history))

    def _around(self, status: Status) -> Iterator[Metric]:
        up = GaugeMetricFamily("slicewatch_slo_target_up", "Whether what is read answers.", labels=["target"])
        for target in status.targets:
            up.add_metric([target.url], float(target.up))
        yield up
        peers = GaugeMetricFamily("slicewatch_slo_alertmanager_up", "Whether it took the last post.", labels=["peer"])
        posts = CounterMetricFamily("slicewatch_slo_alertmanager_posts", "Posts to it.", labels=["peer"])
        errors = CounterMetricFamily("slicewatch_slo_alertmanager_errors", "Posts that failed.", labels=["peer"])
        for peer in status.peers:
            peers.add_metric([peer.url], float(peer.up))
            posts.add_metric([peer.url], peer.posts)
            errors.add_metric([peer.url], peer.errors)
        yield from (peers, posts, errors)

    def _budgets(self, status: Status) -> Iterator[Metric]:
        targets = GaugeMetricFamily("gpu_slo_objective_ratio", "The target.", labels=["slo", "objective"])
        for spec in self._specs:
            for objective in spec.objectives:
                targets.add_metric([spec.name, objective.name], objective.target)
        yield targets
        good = GaugeMetricFamily(
            "gpu_slo_compliance_ratio", "Good slices of the valid ones, over the period.", labels=_BUDGET
        )
        left = GaugeMetricFamily(
            "gpu_slo_budget_remaining_ratio", "Error budget that is left; negative when overspent.", labels=_BUDGET
        )
        slices = GaugeMetricFamily(
            "gpu_slo_slices", "Slices of the period, by what they were.", labels=[*_BUDGET, "state"]
        )
        for row in status.budgets:
            labels = [row.slo, row.objective, row.namespace]
            if row.budget.compliance is not None and row.budget.remaining is not None:
                good.add_metric(labels, row.budget.compliance)
                left.add_metric(labels, row.budget.remaining)
            for state in ("good", "bad", "idle", "unknown"):
                slices.add_metric([*labels, state], getattr(row.budget, state))
        yield from (good, left, slices)


def registry(collector: StatusCollector) -> CollectorRegistry:
    """Return a registry with these metrics and the process's own."""
    made = CollectorRegistry()
    made.register(collector)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def text(made: CollectorRegistry) -> bytes:
    """Return the page in the text format 0.0.4."""
    return generate_latest(made)


def openmetrics(made: CollectorRegistry) -> bytes:
    """Return the page in OpenMetrics 1.0."""
    page: bytes = generate_openmetrics(made)  # type: ignore[no-untyped-call]  # the library has no types there
    return page


def _one(name: str, documentation: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _count(name: str, documentation: str, value: float) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[])
    family.add_metric([], value)
    return family

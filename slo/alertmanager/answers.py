"""Answers for the alerts of a round, fetched together: a few queries, whatever the number of alerts.

Anything that knows the newest values can be asked, a Prometheus or the embedded store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from slo.alertmanager.answer import Answer, unknown
from slo.alertmanager.figures import COUNTERS, GAUGES, Figures, Place, Row, Table, compose, table, window
from slo.entity import IDENTITY
from slo.samples import Now, Samples
from slo.spec import Matcher, Op, PartitionSLO
from slo.verdicts import AlertName, Firing

INFO: Final = "gpu_partition_info"

_AT_ONCE: Final = 100
"""Values in a query's pattern: VictoriaMetrics takes queries of 16 KiB, and a GPU's UUID has 40 characters."""

_WITHOUT: Final = {
    AlertName.FLEET: "the alerts of its nodes and GPUs say more",
    AlertName.TELEMETRY: "nothing is measured there",
    AlertName.WATCHDOG: "it is about the checker",
}
"""Alerts that have no figures, and what is said instead."""


class Answerer:
    """Answers alerts of some SLOs from a store."""

    def __init__(self, source: Now, specs: Sequence[PartitionSLO]) -> None:
        self._source = source
        self._specs = {spec.name: spec for spec in specs}
        self._site = tuple(dict.fromkeys(label for spec in specs for label in spec.group_by))

    def __call__(self, firings: Sequence[Firing], now: float) -> list[Answer]:
        """Return an answer for each alert as of `now` (Unix seconds). Raises UnreachableError."""
        asked = [each for each in firings if each.alert.name not in _WITHOUT and each.alert.slo in self._specs]
        nodes = self._nodes(asked, now)
        scopes = _scopes(asked, nodes)
        latest = self._fetch({**COUNTERS, **GAUGES}, scopes, now) if asked else {}
        figures = {
            seconds: Figures(self._site, latest, self._fetch(COUNTERS, scopes, now - seconds))
            for seconds in sorted({window(each, now) for each in asked})
        }
        return [self._answer(each, figures, nodes, now) for each in firings]

    def _answer(self, firing: Firing, figures: Mapping[int, Figures], nodes: Mapping[Place, str], now: float) -> Answer:
        if firing.alert.name in _WITHOUT:
            return unknown(_WITHOUT[firing.alert.name])
        spec = self._specs.get(firing.alert.slo)
        if spec is None:
            return unknown("its SLO is not one of those that are checked here")
        seconds = window(firing, now)
        known = figures[seconds]
        return compose(firing, spec, known, self._places(firing, known, nodes), seconds)

    def _places(self, firing: Firing, figures: Figures, nodes: Mapping[Place, str]) -> list[Place]:
        """Return the partitions that an alert is about: those that agree with it in every label that both have."""
        labels = firing.alert.labels
        node = labels.get("node") if firing.alert.name is AlertName.NODE else None
        wanted = [(at, labels[name]) for at, name in enumerate((*self._site, *IDENTITY)) if labels.get(name)]
        return [
            place
            for place in sorted(figures.now.get("gpu_partition_guarantee_seconds_total", {}))
            if all(place[at] == value for at, value in wanted) and (node is None or nodes.get(place) == node)
        ]

    def _nodes(self, firings: Sequence[Firing], now: float) -> dict[Place, str]:
        """Return the node of each partition of the nodes that alerts are about."""
        names = {each.alert.labels.get("node", "") for each in firings if each.alert.name is AlertName.NODE} - {""}
        found = self._rows(INFO, "node", names, now)
        by_place = table(found, self._site, ("node",))
        return {place: key[0] for place, keys in by_place.items() for key in keys}

    def _fetch(
        self, metrics: Mapping[str, tuple[str, ...]], scopes: Mapping[str, set[str]], at: float
    ) -> dict[str, Table]:
        found: dict[str, Table] = {}
        for metric, further in metrics.items():
            rows = [row for label, values in scopes.items() for row in self._rows(metric, label, values, at)]
            found[metric] = table(rows, self._site, further)
        return found

    def _rows(self, metric: str, label: str, values: Iterable[str], at: float) -> list[Row]:
        found: list[Row] = []
        listed = sorted(values)
        for start in range(0, len(listed), _AT_ONCE):
            pattern = "|".join(re.escape(value) for value in listed[start : start + _AT_ONCE])
            found += rows(self._source.read_at(metric, (Matcher(label, Op.MATCHES, pattern),), at))
        return found


def rows(samples: Samples) -> list[Row]:
    """Return the newest sample of each series."""
    newest = dict(zip(samples.frame["series"].to_list(), samples.frame["v"].to_list(), strict=True))
    return [(samples.series[series], value) for series, value in newest.items()]


def _scopes(firings: Sequence[Firing], nodes: Mapping[Place, str]) -> dict[str, set[str]]:
    """Return what to ask for: GPUs by UUID; a whole namespace where an alert is about one."""
    gpu = IDENTITY.index("gpu") - len(IDENTITY)
    found: dict[str, set[str]] = {"gpu": {place[gpu] for place in nodes}, "namespace": set()}
    for each in firings:
        label = "namespace" if each.alert.name is AlertName.TENANT else "gpu"
        if each.alert.labels.get(label):
            found[label].add(each.alert.labels[label])
    return found

"""What the dashboards speak of: partitions of the chosen place, records of the rules, and the colours of things."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dashboards.promql import Expr, Family, above, by, combined, number, rate, series, wrapped
from exporter.catalogue import DEVICE_INFO, GUARANTEE_SECONDS, LOST_SECONDS, PARTITION_INFO, PartitionKey
from slo import specfile
from slo.rules import document
from slo.rules.model import Record
from slo.rules.slices import FACTS

P = ("cluster", *PartitionKey._fields)
"""A partition's labels, and its site's."""

CLUSTER = 'cluster=~"$cluster"'
HERE = (CLUSTER, 'namespace=~"$namespace"', 'pod=~"$pod"')
"""The chosen cluster, namespaces and pods; chosen nodes are a join away (`on_nodes`)."""

KEPT, BROKEN, IDLE, BLIND = "#0072b2", "#d55e00", "#8f9ba8", "#8e6bbf"
"""Of Okabe and Ito: apart for eyes that mix up red and green, and on light and dark ground."""

OUTCOME_COLOURS = {"kept": KEPT, "broken": BROKEN, "idle": IDLE, "blind": BLIND}
CAUSE_COLOURS = {
    "neighbour": "#d55e00",
    "neighbour_overrun": "#a84a00",
    "switching": "#e69f00",
    "power_cap": "#f0e442",
    "thermal": "#cc79a7",
    "hw_slowdown": "#b8860b",
    "host_process": "#56b4e9",
    "rogue_pod": "#009e73",
    "mig_reconfigured": "#332288",
    "unenforced": "#6699cc",
    "unknown": "#999999",
}
STATE_COLOURS = {
    "delivered": "#0072b2",
    "borrowed": "#56b4e9",
    "idle_held": "#8f9ba8",
    "unsold": "#c7cdd4",
    "switching": "#e69f00",
    "blind": "#8e6bbf",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record of the generated rules with the labels that its series have."""

    name: str
    label_names: tuple[str, ...]


@cache
def _records() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for group in document.rules(specfile.shipped()):
        for rule in group.rules:
            if isinstance(rule, Record):
                found[rule.name] = found.get(rule.name, frozenset()) | set(rule.labels)
    return found


def record(name: str, *labels: str) -> Recorded:
    """Return a record by name, with the labels of its level. Raises KeyError for one that the shipped SLOs do not make."""
    return Recorded(name, (*sorted(_records()[name]), *labels))


BURNING = record("partition:gpu_slo_burning:bad_slices", *PartitionKey._fields, "node", "sharing", "class")
BUDGET_LEFT = record("namespace:gpu_slo_budget_remaining:ratio30d", "namespace", "class")
PARTITION_BAD = record("partition:gpu_slo_bad_slices:ratio30d", *PartitionKey._fields, *FACTS, "class")
FLEET_BAD = record("fleet:gpu_slo_bad_slices:ratio30d", "class")
BAD_HOUR = record("namespace:gpu_slo_bad_slices:sum1h", "namespace", "class")
VALID_HOUR = record("namespace:gpu_slo_valid_slices:sum1h", "namespace", "class")
ALERTS = Recorded("ALERTS", ("alertname", "alertstate", "severity", "slo", "namespace", "pod", "node", "gpu"))
"""Prometheus's own series of its alerts."""

SOURCE_UP_TARGET = Recorded("up", ("instance", "job"))


def mine(metric: Family, *matchers: str) -> Expr:
    """Select a partition metric's series of the chosen place."""
    return series(metric, *HERE, *matchers)


def info(*matchers: str, take: tuple[str, ...] = ("node",)) -> Expr:
    """The partitions of the chosen nodes, 1 each, whatever the number of scrapes that show them."""
    found = series(PARTITION_INFO, CLUSTER, 'node=~"$node"', *matchers)
    return by("max", found, *P, *take)


def on_nodes(found: Expr, take: tuple[str, ...] = ("node",)) -> Expr:
    """Keep what is of partitions on the chosen nodes, and say which node."""
    return combined(wrapped(found), "*", info(take=take), on=P, take=take)


def gpus(found: Expr) -> Expr:
    """Keep what is of GPUs on the chosen nodes, and say the node and the GPU's number."""
    known = by("max", series(DEVICE_INFO, CLUSTER, 'node=~"$node"', 'kind="gpu"'), "cluster", "gpu", "node", "index")
    return combined(wrapped(found), "*", known, on=("cluster", "gpu"), take=("node", "index"))


def spent(outcome: str, *matchers: str, window: str = "$__rate_interval", everybody: bool = False) -> Expr:
    """The part of the time (0 to 1) that partitions spent on an outcome, by partition and guarantee.

    `everybody`: whatever namespace and pod is chosen, because neighbours matter.
    """
    place = (CLUSTER,) if everybody else HERE
    found = rate(series(GUARANTEE_SECONDS, *place, f'outcome="{outcome}"', *matchers), window)
    return by("max", found, *P, "guarantee")


def main_cause() -> Expr:
    """The cause of most of each partition's loss just now: 1, with the label `cause`."""
    lost = by("max", rate(mine(LOST_SECONDS), "5m"), *P, "guarantee", "cause")
    some = Expr(f"topk by ({', '.join((*P, 'guarantee'))}) (1, {lost} > 0)", lost.labels, lost.metrics)
    return number("1", some)


STATES = ((2, "broken", BROKEN), (3, "blind", BLIND), (1, "kept", KEPT), (0, "idle", IDLE))


def state(*matchers: str, everybody: bool = False) -> Expr:
    """What a partition is just now: 2 broken, 3 blind, 1 kept, 0 idle; more than a twentieth of the time decides."""
    parts = [
        number(str(value), by("max", above(spent(outcome, *matchers, everybody=everybody), 0.05), *P))
        for value, outcome, _ in STATES
    ]
    found = parts[0]
    for part in parts[1:]:
        found = combined(found, "or", part)
    return found

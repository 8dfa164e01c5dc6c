"""Tenant: what my pods were promised, what they got, what they lost, and to what."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards import house, surroundings
from dashboards.promql import Expr, by, combined, increase, most, or_zero, rate, series
from dashboards.vocabulary import BUDGET_LEFT, CAUSE_COLOURS, CLUSTER, P, mine, on_nodes, state
from exporter.catalogue import (
    DELIVERED_COMPUTE,
    ENTITLED_COMPUTE,
    GUARANTEE_SECONDS,
    GUARANTEES,
    LOST_SECONDS,
    LOST_TO_NEIGHBOUR,
    OBTAINABLE_MEMORY,
    PROMISE_INFO,
    PROMISED_COMPUTE,
    PROMISED_MEMORY,
    SHARE_SECONDS,
    USED_MEMORY,
)

CHOSEN = 'guarantee="$guarantee"'


def dashboard() -> Dashboard:
    """Return it."""
    found = house.board(
        "slicewatch / Tenant",
        "slicewatch-tenant",
        "What my pods were promised, what they got, what they lost, and to what.",
        variables=(*surroundings.place(), house.word("guarantee", "Guarantee", GUARANTEES, "compute")),
    )
    found = found.annotation(surroundings.alerts()).annotation(surroundings.reshaped())
    for panel in _now():
        found = found.with_panel(panel)
    found = found.with_panel(
        house.note(
            "In one sentence",
            "The same answer in a terminal.",
            "`slicewatch why $namespace/$pod` says in a sentence whether it is the neighbours, the device, or the pod itself, and "
            "what was ruled out. *Idle* is no breach: the pod wanted nothing. *Blind* is no answer: it could not be told.",
        )
    )
    found = found.with_panel(_lanes()).with_panel(_promises()).with_panel(_takers())
    found = found.with_row(Row("Promised, delivered, lost"))
    for line in _lines():
        found = found.with_panel(line)
    return found


def _hours(kind: str) -> Expr:
    grown = by("sum", increase(mine(SHARE_SECONDS, f'kind="{kind}"')))
    return Expr(f"{grown} / 3600", grown.labels, grown.metrics)


def _now() -> list[house.Stat]:
    kept, wanted = (
        by("sum", increase(mine(GUARANTEE_SECONDS, CHOSEN, f'outcome=~"{outcomes}"')))
        for outcomes in ("kept", "kept|broken")
    )
    lost = by("sum", increase(mine(LOST_SECONDS, CHOSEN)))
    return [
        house.figure(
            "Kept",
            "Of the time in which something was wanted, in the whole range that is shown.",
            combined(kept, "/", wanted),
            "percentunit",
            good=((None, "#d55e00"), (0.95, "#e69f00"), (0.99, "#0072b2")),
        ),
        house.figure(
            "Lost", "Seconds of the whole promise that are lost, in the range that is shown.", or_zero(lost), "s"
        ),
        house.figure("GPU-hours promised", "In the range that is shown.", _hours("promised"), "none"),
        house.figure(
            "GPU-hours delivered", "Up to the promise, in the range that is shown.", _hours("delivered"), "none"
        ),
        house.figure("GPU-hours borrowed", "Above the promise, of what nobody wanted.", _hours("borrowed"), "none"),
        house.figure(
            "Least budget left",
            "Of the namespaces' objectives; below 0 it is overspent.",
            by("min", series(BUDGET_LEFT, CLUSTER, 'namespace=~"$namespace"')),
            "percentunit",
            good=((None, "#d55e00"), (0, "#e69f00"), (0.25, "#0072b2")),
        ),
    ]


def _lanes() -> house.Lanes:
    return house.outcomes(
        "Pod by pod",
        "What each pod was at each moment on the chosen guarantee: kept, broken, idle or blind.",
        on_nodes(state(CHOSEN)),
        "{{namespace}}/{{pod}}",
        height=7,
    )


def _promises() -> house.Table:
    promised = by("max", mine(PROMISE_INFO, 'dimension="compute"'), *P, "class", "enforcer", "source")
    columns = {
        "namespace": "Namespace",
        "pod": "Pod",
        "container": "Container",
        "Value #B": "Compute",
        "Value #C": "Memory",
        "class": "Class",
        "enforcer": "Kept by",
        "source": "Read from",
        "node": "Node",
    }
    return house.rows(
        "What was promised",
        "A promise that nobody keeps (`nobody`) is a declaration: it is watched all the same.",
        columns,
        house.query(on_nodes(promised), rows=True),
        house.query(on_nodes(by("max", mine(PROMISED_COMPUTE), *P)), ref="B", rows=True),
        house.query(on_nodes(by("max", mine(PROMISED_MEMORY), *P)), ref="C", rows=True),
        units={"Compute": "percentunit", "Memory": "bytes"},
        links={"Node": surroundings.NODE},
        height=7,
    )


def _takers() -> house.Table:
    taken = by("sum", increase(mine(LOST_TO_NEIGHBOUR)), "namespace", "pod", "neighbour_namespace", "neighbour_pod")
    columns = {
        "namespace": "Namespace",
        "pod": "Pod",
        "neighbour_namespace": "Their namespace",
        "neighbour_pod": "Neighbour",
        "Value": "Took",
    }
    return house.rows(
        "Who took it",
        "Seconds of the whole promise that each neighbour took, in the range that is shown.",
        columns,
        house.query(most(15, taken), rows=True),
        units={"Took": "s"},
        sort="Took",
        height=5,
    )


def _lines() -> list[house.Curve]:
    promised, entitled, delivered = (
        on_nodes(by("max", mine(metric), *P)) for metric in (PROMISED_COMPUTE, ENTITLED_COMPUTE, DELIVERED_COMPUTE)
    )
    return [
        house.dashed(
            house.curve(
                "Compute: promised, entitled, delivered",
                "Entitled is what the pod would have had alone on its share, wanting what it wants: below the promise where it "
                "wants less. Delivered below entitled is a breach.",
                "percentunit",
                house.query(promised, "{{pod}} promised"),
                house.query(entitled, "{{pod}} entitled", ref="B"),
                house.query(delivered, "{{pod}} delivered", ref="C"),
            ),
            " promised",
        ),
        house.curve(
            "Lost, by cause",
            "Partitions' worth of promise that is lost on the chosen guarantee, and what takes it.",
            "none",
            house.query(by("sum", rate(mine(LOST_SECONDS, CHOSEN)), "cause"), "{{cause}}"),
            colours=CAUSE_COLOURS,
            stacked=True,
        ),
        house.dashed(
            house.curve(
                "Memory: promised, used, obtainable",
                "Obtainable is what the pod has and what it could still get.",
                "bytes",
                house.query(on_nodes(by("max", mine(PROMISED_MEMORY), *P)), "{{pod}} promised"),
                house.query(on_nodes(by("max", mine(USED_MEMORY), *P)), "{{pod}} used", ref="B"),
                house.query(on_nodes(by("max", mine(OBTAINABLE_MEMORY), *P)), "{{pod}} obtainable", ref="C"),
            ),
            " promised",
        ),
        house.curve(
            "GPUs in use",
            "GPUs' worth of time: delivered within the promise, and borrowed above it.",
            "none",
            house.query(by("sum", rate(mine(SHARE_SECONDS, 'kind!="promised"')), "kind"), "{{kind}}"),
            colours={"delivered": "#0072b2", "borrowed": "#56b4e9"},
            stacked=True,
        ),
    ]

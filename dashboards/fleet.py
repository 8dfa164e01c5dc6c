"""Fleet: who is short-changed now, whose budget is spent, and how much can be told at all."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards import house, surroundings
from dashboards.promql import above, by, combined, most, or_zero, rate, series, wrapped
from dashboards.vocabulary import (
    ALERTS,
    BUDGET_LEFT,
    CAUSE_COLOURS,
    CLUSTER,
    HERE,
    OUTCOME_COLOURS,
    PARTITION_BAD,
    STATE_COLOURS,
    P,
    info,
    main_cause,
    mine,
    on_nodes,
    spent,
)
from exporter.catalogue import ACCOUNTED_SECONDS, GUARANTEE_SECONDS, LOST_SECONDS, ORPHANS, UNTRUSTED


def dashboard() -> Dashboard:
    """Return it."""
    found = house.board(
        "slicewatch / Fleet",
        "slicewatch-fleet",
        "Is anyone short-changed now, whose budget is spent, and how much can be told at all?",
        variables=surroundings.place(),
    )
    found = found.annotation(surroundings.alerts()).annotation(surroundings.reshaped())
    for panel in _now():
        found = found.with_panel(panel)
    found = found.with_panel(_short_changed())
    found = found.with_row(Row("Since when, and why"))
    for line in _lines():
        found = found.with_panel(line)
    found = found.with_row(Row("Budgets, thirty days"))
    return found.with_panel(_budgets()).with_panel(_worst())


def _now() -> list[house.Stat]:
    broken = by("count", above(on_nodes(by("max", spent("broken"), *P)), 0.05))
    told = by("sum", rate(mine(GUARANTEE_SECONDS, 'outcome!="blind"')))
    whole = by("sum", rate(mine(GUARANTEE_SECONDS)))
    firing = by("count", series(ALERTS, 'alertname=~"GPU.*"', 'alertname!="GPUSLOWatchdog"', 'alertstate="firing"'))
    orphans = by("sum", series(ORPHANS, CLUSTER))
    return [
        house.figure(
            "Short-changed now",
            "Partitions of which some promise is broken just now, for more than a twentieth of the time. The table below names them.",
            or_zero(broken),
            "none",
            good=((None, "#0072b2"), (1, "#d55e00")),
        ),
        house.figure("Partitions", "Partitions that are held on the chosen nodes.", by("count", info()), "none"),
        house.figure(
            "Alerts firing",
            "Alerts of objectives that fire, the watchdog left out.",
            or_zero(firing),
            "none",
            good=((None, "#0072b2"), (1, "#d55e00")),
        ),
        house.figure(
            "Could be told",
            "The part of all partitions' time of which it is known whether promises were kept. Below 95 %, look at what is blind.",
            combined(told, "/", whole),
            "percentunit",
            good=((None, "#d55e00"), (0.95, "#0072b2")),
        ),
        house.figure(
            "Least budget left",
            "Of all namespaces and objectives; below 0 it is overspent.",
            by("min", series(BUDGET_LEFT, CLUSTER, 'namespace=~"$namespace"')),
            "percentunit",
            good=((None, "#d55e00"), (0, "#e69f00"), (0.25, "#0072b2")),
        ),
        house.figure(
            "Orphans",
            "Processes and allocations that could be placed nowhere; `slicewatch doctor` on the node says which.",
            or_zero(orphans),
            "none",
            good=((None, "#0072b2"), (1, "#e69f00")),
        ),
    ]


def _short_changed() -> house.Table:
    worst = above(wrapped(by("max", spent("broken", window="5m"), *P, "guarantee")), 0.01)
    known = combined(
        wrapped(on_nodes(worst, take=("node", "sharing"))), "*", main_cause(), on=(*P, "guarantee"), take=("cause",)
    )
    columns = {
        "namespace": "Namespace",
        "pod": "Pod",
        "guarantee": "Guarantee",
        "Value": "Broken",
        "cause": "Mostly lost to",
        "sharing": "Sharing",
        "node": "Node",
        "gpu": "GPU",
    }
    found = house.rows(
        "Who is short-changed",
        "Partitions that went without what they were promised in the last five minutes: how much of the time, and what took most "
        "of it. A pod leads to its tenant's page, a node to its GPUs.",
        columns,
        house.query(most(25, known), rows=True),
        units={"Broken": "percentunit"},
        links={"Pod": surroundings.TENANT, "Node": surroundings.NODE},
        sort="Broken",
        height=8,
    )
    return house.gauge(found, "Broken")


def _lines() -> list[house.Curve]:
    outcomes = by("sum", rate(mine(GUARANTEE_SECONDS, 'guarantee="compute"')), "outcome")
    return [
        house.curve(
            "Compute: what partitions got",
            "How many partitions were kept, broken, idle or blind. Idle is no breach; blind is neither.",
            "none",
            house.query(outcomes, "{{outcome}}"),
            colours=OUTCOME_COLOURS,
            stacked=True,
            width=8,
        ),
        house.curve(
            "Lost, by cause",
            "Partitions' worth of promise that is lost, of all guarantees, and what takes it.",
            "none",
            house.query(by("sum", rate(mine(LOST_SECONDS)), "cause"), "{{cause}}"),
            colours=CAUSE_COLOURS,
            stacked=True,
            width=8,
        ),
        house.curve(
            "Where the GPUs' time goes",
            "GPUs' worth of time, all of it: delivered within promises, borrowed above them, held and unused, not sold, switching, blind.",
            "none",
            house.query(by("sum", rate(series(ACCOUNTED_SECONDS, CLUSTER)), "state"), "{{state}}"),
            colours=STATE_COLOURS,
            stacked=True,
            width=8,
        ),
        house.curve(
            "Blind, by guarantee",
            "Partitions of which it cannot be told whether this guarantee was kept. Nothing is promised to be right about them.",
            "none",
            house.query(by("sum", rate(mine(GUARANTEE_SECONDS, 'outcome="blind"')), "guarantee"), "{{guarantee}}"),
            width=12,
            height=6,
        ),
        house.curve(
            "Readings that were not believed",
            "Readings that contradict each other, by the check that found it. They make a tick blind, never broken.",
            "none",
            house.query(by("sum", rate(series(UNTRUSTED, CLUSTER)), "check"), "{{check}}"),
            width=12,
            height=6,
        ),
    ]


def _budgets() -> house.Bars:
    left = by("min", series(BUDGET_LEFT, CLUSTER, 'namespace=~"$namespace"'), "namespace")
    return house.bars(
        "Budget left, by namespace",
        "What is left of each namespace's error budget, of the objective that has least. It needs the rules of `slicewatch slo rules`.",
        left,
        "{{namespace}}",
        "percentunit",
    )


def _worst() -> house.Table:
    bad = most(15, above(series(PARTITION_BAD, *HERE, 'node=~"$node"'), 0))
    columns = {
        "namespace": "Namespace",
        "pod": "Pod",
        "slo": "SLO",
        "class": "Class",
        "Value": "Bad of wanted minutes",
        "node": "Node",
    }
    found = house.rows(
        "Worst partitions",
        "The part of the wanted minutes that was bad, of partitions that are there now, over thirty days.",
        columns,
        house.query(bad, rows=True),
        units={"Bad of wanted minutes": "percentunit"},
        links={"Pod": surroundings.TENANT, "Node": surroundings.NODE},
        sort="Bad of wanted minutes",
        width=16,
        height=8,
    )
    return house.gauge(found, "Bad of wanted minutes")

"""SLO: budgets as they burn, what burns them, what fires, and what cannot be told."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards import house, surroundings
from dashboards.promql import Expr, Family, by, combined, increase, lately, most, or_zero, rate, series
from dashboards.vocabulary import (
    ALERTS,
    BAD_HOUR,
    BUDGET_LEFT,
    BURNING,
    CAUSE_COLOURS,
    CLUSTER,
    FLEET_BAD,
    HERE,
    VALID_HOUR,
    P,
    mine,
)
from exporter.catalogue import BLIND_SECONDS, GUARANTEE_SECONDS, LOST_SECONDS
from slo import specfile

SLO = 'slo="$slo"'
NAMESPACE = 'namespace=~"$namespace"'


def dashboard() -> Dashboard:
    """Return it."""
    names = [spec.name for spec in specfile.shipped()]
    found = house.board(
        "slicewatch / SLO",
        "slicewatch-slo",
        "Budgets as they burn, what burns them, what fires, and what cannot be told. It needs the rules of `slicewatch slo rules`.",
        variables=(
            *surroundings.place(),
            house.word("slo", "SLO", names, "compute"),
            house.word(
                "guarantee", "Guarantee", ("availability", "conformance", "memory", "compute", "isolation"), "compute"
            ),
        ),
        since="now-24h",
    )
    found = found.annotation(surroundings.alerts()).annotation(surroundings.reshaped())
    for panel in _now():
        found = found.with_panel(panel)
    found = found.with_panel(_alerts())
    found = found.with_row(Row("Burn-down"))
    for line in _burns():
        found = found.with_panel(line)
    found = found.with_row(Row("What cannot be told"))
    for line in _blind():
        found = found.with_panel(line)
    return found


def _now() -> list[house.Stat]:
    bad, valid = (by("sum", _hourly(metric)) for metric in (BAD_HOUR, VALID_HOUR))
    told = by("sum", rate(mine(GUARANTEE_SECONDS, 'guarantee="$guarantee"', 'outcome!="blind"')))
    whole = by("sum", rate(mine(GUARANTEE_SECONDS, 'guarantee="$guarantee"')))
    burning = by("count", by("max", series(BURNING, *HERE, SLO), *P))
    return [
        house.figure(
            "Least budget left",
            "Of the chosen namespaces, over thirty days; below 0 it is overspent.",
            by("min", series(BUDGET_LEFT, CLUSTER, SLO, NAMESPACE)),
            "percentunit",
            good=((None, "#d55e00"), (0, "#e69f00"), (0.25, "#0072b2")),
        ),
        house.figure(
            "Bad of wanted, fleet",
            "The part of the wanted minutes of thirty days that was bad, of the worst promise class.",
            by("max", series(FLEET_BAD, CLUSTER, SLO)),
            "percentunit",
        ),
        house.figure(
            "Burning now",
            "Partitions whose budget burns so fast that an alert is due.",
            or_zero(burning),
            "none",
            good=((None, "#0072b2"), (1, "#d55e00")),
        ),
        house.figure(
            "Bad minutes, last hour", "Of the chosen namespaces, at the last full hour.", or_zero(bad), "none"
        ),
        house.figure("Wanted minutes, last hour", "Minutes that count, at the last full hour.", or_zero(valid), "none"),
        house.figure(
            "Could be told",
            "The part of the time of which it is known whether the guarantee was kept.",
            combined(told, "/", whole),
            "percentunit",
            good=((None, "#d55e00"), (0.95, "#0072b2")),
        ),
    ]


def _hourly(metric: Family) -> Expr:
    """A record that is written once an hour."""
    return lately(series(metric, CLUSTER, SLO, NAMESPACE), "65m")


def _alerts() -> house.Table:
    firing = series(ALERTS, 'alertname=~"GPU.*"', 'alertname!="GPUSLOWatchdog"', 'alertstate="firing"', SLO)
    columns = {
        "alertname": "Alert",
        "severity": "Severity",
        "namespace": "Namespace",
        "pod": "Pod",
        "node": "Node",
        "gpu": "GPU",
    }
    shown = by("max", firing, "alertname", "severity", "namespace", "pod", "node", "gpu")
    return house.rows(
        "Firing",
        "What fires now on this SLO. Each alert's runbook has its name.",
        columns,
        house.query(shown, rows=True),
        links={"Pod": surroundings.TENANT, "Node": surroundings.NODE},
        sort="Severity",
        height=8,
    )


def _burns() -> list[house.Curve]:
    left = by("min", series(BUDGET_LEFT, CLUSTER, SLO, NAMESPACE), "namespace")
    lost = by("sum", increase(mine(LOST_SECONDS, 'guarantee="$guarantee"'), "$__interval"), "cause")
    bad, valid = (by("sum", _hourly(metric), "namespace") for metric in (BAD_HOUR, VALID_HOUR))
    found = house.curve(
        "Budget left, by namespace",
        "Of thirty days; it falls as it burns and comes back as bad minutes leave the window. At 0 it is spent.",
        "percentunit",
        house.query(left, "{{namespace}}"),
        least=None,
    )
    return [
        found,
        house.curve(
            "What burns it",
            "Seconds of promise lost in each step, by cause: the same loss that spends the budget, coloured by what took it.",
            "s",
            house.query(lost, "{{cause}}"),
            colours=CAUSE_COLOURS,
            stacked=True,
            bars=True,
        ),
        house.curve(
            "Bad part of each hour, by namespace",
            "Of the minutes that were wanted. The target allows a steady part; alerts fire on the burn of it.",
            "percentunit",
            house.query(combined(bad, "/", valid), "{{namespace}}"),
        ),
        house.curve(
            "Burning partitions",
            "Bad minutes of the last hour (fast burns) or day (slow ones), of partitions that are due an alert.",
            "none",
            house.query(
                most(15, by("max", series(BURNING, *HERE, SLO), "namespace", "pod", "burn")),
                "{{namespace}}/{{pod}} {{burn}}",
            ),
        ),
    ]


def _blind() -> list[house.Curve]:
    reasons = by("sum", rate(mine(BLIND_SECONDS, 'guarantee="$guarantee"')), "reason")
    whole = rate(mine(GUARANTEE_SECONDS, 'guarantee="$guarantee"'))
    blind = rate(mine(GUARANTEE_SECONDS, 'guarantee="$guarantee"', 'outcome="blind"'))
    part = combined(by("sum", blind, "namespace"), "/", by("sum", whole, "namespace"))
    return [
        house.curve(
            "Blind, by reason",
            "Partitions of which it cannot be told whether the guarantee was kept, and why not. docs/troubleshooting.md has a line for each.",
            "none",
            house.query(reasons, "{{reason}}"),
            stacked=True,
        ),
        house.curve(
            "Blind part of the time, by namespace",
            "The objective `coverage` allows a part; what is blind is neither good nor bad for the others.",
            "percentunit",
            house.query(part, "{{namespace}}"),
        ),
    ]

"""What promtool does not look at, as pint does, for rules that a program made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from slo.rules import document, windows
from slo.rules.model import Alert, Group, Record, Rule
from slo.rules.texts import Links
from slo.spec import Alerting, Objective, PartitionSLO, Severity
from tests.slo.rules.made import COMPUTE, GUARANTEED, REST, SPECS

LINKS = Links("https://runbooks.test/", "https://grafana.test/d/x")
GROUPS = document.rules(SPECS, LINKS)
BY = re.compile(r"^(?:sum|count|max) by \(([^)]*)\)")
LITERAL = re.compile(r'\{\{ "\{\{" \}\}[^}]*\}\}')  # braces of a user's text
USED = re.compile(r"\$labels\.([A-Za-z_][A-Za-z0-9_]*)")


def each() -> Iterator[tuple[Group, Rule]]:
    for group in GROUPS:
        for rule in group.rules:
            yield group, rule


def alerts() -> Iterator[Alert]:
    return (rule for _, rule in each() if isinstance(rule, Alert))


def carried(name: str, slo: str) -> set[str]:
    """Return the labels of a recorded series: those it is aggregated by, and its own."""
    found: list[set[str]] = []
    for _, rule in each():
        if isinstance(rule, Record) and rule.name == name and rule.labels["slo"] == slo:
            found.append(surviving(rule.expression, slo) | set(rule.labels))
    assert found, f"{name} of {slo} is recorded nowhere"
    return set.intersection(*found)


def surviving(expression: str, slo: str) -> set[str]:
    """Return the labels that an expression's result has for certain: its left side's."""
    if aggregated := BY.match(expression):
        return {label.strip() for label in aggregated[1].split(",") if label.strip()}
    series = re.match(r"(?:1 - |last_over_time\(|\(\s*)*([a-z][a-z0-9_:]*:[a-z0-9_:]+)\{?", expression)
    if series:
        return carried(series[1], slo)
    assert expression == "vector(1)" or "ratio30d" in expression or expression.startswith("(\n  sum by"), expression
    inner = re.search(r"sum by \(([^)]*)\)", expression)
    return {label.strip() for label in inner[1].split(",")} if inner else set()


def test_no_rule_is_there_twice():
    seen = [(rule.name, tuple(sorted(rule.labels.items()))) for _, rule in each()]
    assert len(seen) == len(set(seen))


def test_no_group_is_there_twice_and_none_is_larger_than_a_ruler_takes():
    names = [group.name for group in GROUPS]
    assert len(names) == len(set(names))
    assert all(0 < len(group.rules) <= 20 for group in GROUPS)


def test_every_rule_says_whose_it_is():
    assert all(rule.labels["slo"] for _, rule in each())


def test_every_alert_has_a_severity_a_runbook_and_a_summary():
    assert all({"summary", "description", "runbook_url"} <= set(alert.annotations) for alert in alerts())
    assert all(alert.labels["severity"] in {"page", "ticket", "none"} for alert in alerts())


def test_a_dashboard_is_linked_to_wherever_there_is_something_to_look_at():
    watching = {"telemetry", "watchdog"}
    assert all(("dashboard" in alert.annotations) == (alert.labels["slo"] not in watching) for alert in alerts())


def test_texts_use_only_labels_that_the_alert_has():
    for alert in alerts():
        has = surviving(alert.expression, alert.labels["slo"]) | set(alert.labels)
        for key, text in alert.annotations.items():
            assert set(USED.findall(LITERAL.sub("", text))) <= has, f"{alert.name} {key}"


def test_a_group_that_is_evaluated_seldom_says_that_it_is_meant():
    # After five minutes an instant query no longer sees what such a group recorded.
    assert all(group.notes for group in GROUPS if group.interval > 300)
    assert any(group.interval > 300 for group in GROUPS)


def test_only_what_is_read_over_a_range_comes_from_a_group_that_is_evaluated_seldom():
    seldom = {rule.name for group, rule in each() if group.interval > 300}
    for _, rule in each():
        for name in re.findall(r"[a-z]+:[a-z0-9_]+:[a-z0-9_]+(?=\{)", rule.expression):
            assert name not in seldom or f"sum_over_time({name}" in rule.expression


def test_burn_alerts_wait_for_nothing_and_end_slowly():
    for alert in alerts():
        if "Burn" in alert.name:
            assert alert.hold == 0
            assert alert.keep == (0 if alert.labels["slo"] == "coverage" else 300)


def test_the_number_of_rules_does_not_depend_on_the_number_of_partitions_or_of_classes():
    many = replace(COMPUTE, objectives=(replace(GUARANTEED, classes=tuple(f"class-{n}" for n in range(50))), REST))
    assert len(list(document.of_one(many, LINKS))) == len(list(document.of_one(COMPUTE, LINKS)))


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_many_objectives_overflow_into_further_groups_in_order(count: int):
    objectives = tuple(replace(GUARANTEED, name=f"o{n}", classes=(f"c{n}",)) for n in range(count))
    groups = [g for g in document.of_one(replace(COMPUTE, objectives=objectives), LINKS) if g.interval == 60]
    assert all(len(group.rules) <= 20 for group in groups)
    names = [rule.name for group in groups for rule in group.rules]
    # What is read is recorded before: slices, burning partitions, their alerts, GPUs, nodes, the fleet.
    assert names.index("partition:gpu_slo_bad_slices:count1m") < names.index("partition:gpu_slo_burning:bad_slices")
    assert names.index("gpu:gpu_slo_burning_partitions:count") < names.index("node:gpu_slo_burning_gpus:count")
    assert names.index("node:gpu_slo_burning_gpus:count") < names.index("GPUNodeWidePromiseBurn")


EASY = Objective(name="easy", target=0.9, fast=Severity.PAGE, slow=Severity.TICKET)


def test_an_alert_that_nothing_could_fire_is_left_out_and_said_so():
    spec = replace(COMPUTE, objectives=(EASY,))
    (said,) = windows.impossible(spec)
    assert said == (
        "compute: easy: left out 1h with 5m: it wants more than 86.4 bad minutes of 60; "
        "a total breach cannot reach factor 14.4 at a target of 0.9"
    )
    group, *_ = document.of_one(spec, LINKS)
    assert group.notes == (f"Notice: {said}.",)
    text = document.prometheus([group])
    assert "86.4" not in text.split("groups:")[1].split("- name:")[1]
    assert "36 bad minutes in 6h" not in text
    assert "216 bad minutes in 6h" in text


def test_an_objective_that_asks_nothing_of_anybody_has_budgets_and_no_alerts():
    quiet = Objective(name="quiet", target=0.9, fast=Severity.NONE, slow=Severity.NONE)
    spec = replace(COMPUTE, objectives=(quiet,))
    rules = [rule for group in document.of_one(spec, LINKS) for rule in group.rules]
    assert not any(isinstance(rule, Alert) for rule in rules)
    assert any(rule.name == "namespace:gpu_slo_budget_remaining:ratio30d" for rule in rules)


def test_nothing_pages_wide_where_nothing_pages():
    tickets = replace(COMPUTE, objectives=(REST,))
    names = {rule.name for group in document.of_one(tickets, LINKS) for rule in group.rules}
    assert not {"GPUWidePromiseBurn", "gpu:gpu_slo_burning_partitions:count"} & names


def test_a_period_is_in_the_names_of_its_budgets():
    names = {rule.name for spec in SPECS for group in document.of_one(spec, LINKS) for rule in group.rules}
    assert {"partition:gpu_slo_bad_slices:ratio30d", "partition:gpu_slo_bad_slices:ratio28d"} <= names


def slo_names(spec: PartitionSLO) -> set[str]:
    return {rule.labels["slo"] for group in document.of_one(spec, LINKS) for rule in group.rules}


def test_generated_labels_win_over_the_users():
    spec = replace(COMPUTE, alerting=Alerting(labels={"slo": "mine", "severity": "mine", "team": "a"}))
    assert slo_names(spec) == {"compute"}
    assert all(
        rule.labels["severity"] != "mine"
        for g in document.of_one(spec, LINKS)
        for rule in g.rules
        if "severity" in rule.labels
    )

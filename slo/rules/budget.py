"""Budgets from hourly sums: which part of the valid slices of the period was bad, and what is left.

At most an hour behind: the hour that runs is not yet in them. The store has to keep the hourly sums for the period.
"""

from __future__ import annotations

from slo.burnrate import exact
from slo.rules import classes, hourly
from slo.rules.model import Record
from slo.rules.promql import age, block, names, number, partition, quoted, selector, window
from slo.rules.rollups import node_labels
from slo.rules.slices import BAD, INFO, VALID, static
from slo.spec import Objective, PartitionSLO


def ratio_name(spec: PartitionSLO, level: str) -> str:
    """Return the name under which a level's bad part of its valid slices is recorded."""
    return f"{level}:gpu_slo_bad_slices:ratio{age(spec.period)}"


def remaining_name(spec: PartitionSLO) -> str:
    """Return the name of what is left of a namespace's budget: 1 untouched, 0 spent, negative overspent."""
    return f"namespace:gpu_slo_budget_remaining:ratio{age(spec.period)}"


def records(spec: PartitionSLO) -> tuple[Record, ...]:
    """Return the rules of the budgets: of live partitions, and of namespaces, GPUs, nodes and the fleet by class."""
    labels = static(spec)
    slo = f"slo={quoted(spec.name)}"
    sums = {marker: f"partition:{_what(marker)}:sum{age(spec.period)}" for marker in (BAD, VALID)}
    live = f"and on {names(partition(spec))} {INFO}"
    found = [Record(sums[marker], f"{_total(spec, 'partition', marker)}\n{live}", labels) for marker in (BAD, VALID)]
    bad, valid = (selector(sums[marker], slo) for marker in (BAD, VALID))
    found.append(Record(ratio_name(spec, "partition"), _ratio(bad, valid), labels))
    above = {
        "namespace": ("namespace", hourly.level_labels(spec, "namespace")),
        "gpu": ("gpu", hourly.level_labels(spec, "gpu")),
        "node": ("gpu", (*node_labels(spec), "class")),
        "fleet": ("gpu", (*spec.group_by, "class")),
    }
    for level, (source, by) in above.items():
        bad, valid = (f"sum by {names(by)} ({_total(spec, source, marker)})" for marker in (BAD, VALID))
        found.append(Record(ratio_name(spec, level), _ratio(bad, valid), labels))
    for objective in spec.objectives:
        spent = selector(ratio_name(spec, "namespace"), slo, *classes.of(spec, objective))
        left = f"1 - {spent} / {number(exact(1 - objective.target))}"
        found.append(Record(remaining_name(spec), left, labels | {"objective": objective.name}))
    return tuple(found)


def bad_of_namespaces(spec: PartitionSLO, objective: Objective) -> str:
    """Write the vector of the period's bad slices by namespace and class."""
    by = names(hourly.level_labels(spec, "namespace"))
    return f"sum by {by} ({_total(spec, 'namespace', BAD, objective)})"


def _total(spec: PartitionSLO, level: str, marker: str, objective: Objective | None = None) -> str:
    chosen = classes.of(spec, objective) if objective else ()
    series = selector(hourly.name(level, marker), f"slo={quoted(spec.name)}", *chosen)
    return f"sum_over_time({series}{window(spec.period)})"


def _ratio(bad: str, valid: str) -> str:
    """Write bad over valid; what was never bad has no sparse marker and counts as zero."""
    return f"{block(f'{bad} or {valid} * 0')}\n/ {valid}"


def _what(marker: str) -> str:
    return marker.split(":")[1]

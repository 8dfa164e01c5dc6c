"""The queries of an exported objective: on the exporter's counters alone, so that they need none of our rules.

Neither format knows partitions: a query sums over all that one objective is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from slo.rules import classes, slices
from slo.rules.promql import block, names, partition, quoted, selector
from slo.spec import Objective, PartitionSLO, Subject


class Seconds(StrEnum):
    """Which of a partition's seconds."""

    GOOD = "good"
    LOST = "lost"
    WHOLE = "whole"


_OUTCOMES: Mapping[tuple[Subject, Seconds], str] = {
    (Subject.GUARANTEE, Seconds.GOOD): 'outcome="kept"',
    (Subject.GUARANTEE, Seconds.LOST): 'outcome="broken"',
    (Subject.GUARANTEE, Seconds.WHOLE): 'outcome=~"kept|broken"',
    (Subject.COVERAGE, Seconds.GOOD): 'outcome!="blind"',
    (Subject.COVERAGE, Seconds.LOST): 'outcome="blind"',
    (Subject.COVERAGE, Seconds.WHOLE): "",
}


def grown(spec: PartitionSLO, objective: Objective, which: Seconds, span: str) -> str:
    """Write the seconds that partitions spent in a range, such as `1h`."""
    return _summed(spec, objective, f"increase({_series(spec, which)}[{span}])")


def last_minute(spec: PartitionSLO, objective: Objective, which: Seconds) -> str:
    """Write the seconds of the minute that ends now, by differences, as our own slices are."""
    series = _series(spec, which)
    return _summed(spec, objective, f"{series} - {series} offset 1m >= 0")


def _series(spec: PartitionSLO, which: Seconds) -> str:
    outcomes = _OUTCOMES[spec.sli.subject, which]
    return selector(slices.COUNTER, f"guarantee={quoted(spec.sli.guarantee)}", *([outcomes] if outcomes else []))


def _summed(spec: PartitionSLO, objective: Objective, each: str) -> str:
    """Sum over an objective's partitions; two scrapes of one exporter do not count twice."""
    own = names(partition(spec))
    once = f"max by {names((*partition(spec), 'outcome'))} ({each})"
    return f"sum({once}\n* on {own} group_left ()\n{block(slices.partitions(_alone(spec, objective)))})"


def _alone(spec: PartitionSLO, objective: Objective) -> PartitionSLO:
    """The SLO as if it had this objective only, for just those classes that it has beside the others."""
    rest = () if objective.classes else classes.of(spec, objective)
    return replace(spec, objectives=(objective,), select=(*spec.select, *rest))

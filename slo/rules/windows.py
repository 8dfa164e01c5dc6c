"""Slices counted over windows: which partitions burn their budget too fast, and which are starved when they are used."""

from __future__ import annotations

from collections.abc import Iterable

from slo.burnrate import UNMET_FLOOR, UNMET_RATIO, UNMET_WINDOW, Threshold, thresholds
from slo.rules import classes
from slo.rules.model import Record
from slo.rules.promql import block, duration, names, number, partition, quoted, selector, window
from slo.rules.slices import BAD, VALID, static
from slo.spec import Objective, PartitionSLO, Severity

BURNING = "partition:gpu_slo_burning:bad_slices"

SHOWN = {"fast": 3600, "slow": 86400}
"""Seconds over which the value of a burning partition counts its bad slices: what the alert's text says first."""


def kept_labels(spec: PartitionSLO) -> tuple[str, ...]:
    """Return the labels that a partition's alerts have from its markers."""
    return (*partition(spec), "node", "sharing", "class")


def burning(spec: PartitionSLO) -> tuple[Record, ...]:
    """Return the rules that record who burns, one for each objective and pair of windows' name (fast, slow).

    The value is the bad slices of the last hour (fast) or day (slow). Pairs that no breach can reach are left out.
    """
    found = []
    for objective in spec.objectives:
        for name, seconds in SHOWN.items():
            pairs = possible(spec, objective, name)
            if pairs:
                labels = static(spec) | burn_labels(objective, pairs[0])
                found.append(Record(BURNING, _burns(spec, objective, seconds, pairs), labels))
    return tuple(found)


def possible(spec: PartitionSLO, objective: Objective, name: str) -> tuple[Threshold, ...]:
    """Return the thresholds of one name (fast, slow) that a total breach reaches."""
    return tuple(found for found in thresholds(spec, objective) if found.burn.name == name and found.possible)


def impossible(spec: PartitionSLO) -> tuple[str, ...]:
    """Return one sentence for each threshold that is left out because nothing can reach it."""
    return tuple(
        f"{spec.name}: {objective.name}: left out {duration(found.burn.long)} with {duration(found.burn.short)}: "
        f"it wants more than {number(found.long_above)} bad minutes of {found.burn.long // 60}; "
        f"a total breach cannot reach factor {number(found.factor)} at a target of {number(objective.target)}"
        for objective in spec.objectives
        for found in thresholds(spec, objective)
        if not found.possible
    )


def burn_labels(objective: Objective, threshold: Threshold) -> dict[str, str]:
    """Return the labels that tell burning partitions apart beyond the SLO's."""
    return {"objective": objective.name, "burn": threshold.burn.name, "severity": str(threshold.severity)}


def pages(spec: PartitionSLO) -> bool:
    """Whether any burn of the SLO asks a person to come now."""
    return any(record.labels["severity"] == Severity.PAGE for record in burning(spec))


def unmet(spec: PartitionSLO, objective: Objective) -> str:
    """Write the vector of partitions of which most of the day's slices were bad: their number."""
    bad, valid = (_count(spec, objective, marker, UNMET_WINDOW) for marker in (BAD, VALID))
    return f"{bad} >= {UNMET_FLOOR}\n> {number(UNMET_RATIO)} *\n{valid}"


def _burns(spec: PartitionSLO, objective: Objective, seconds: int, pairs: Iterable[Threshold]) -> str:
    either = "\nor\n".join(
        f"{_count(spec, objective, BAD, pair.burn.short)} > {number(pair.short_above)}\n"
        f"and\n{_count(spec, objective, BAD, pair.burn.long)} > {number(pair.long_above)}"
        for pair in pairs
    )
    return f"{_count(spec, objective, BAD, seconds)}\nand\n{block(either)}"


def _count(spec: PartitionSLO, objective: Objective, marker: str, seconds: int) -> str:
    series = selector(marker, f"slo={quoted(spec.name)}", *classes.of(spec, objective))
    return f"sum by {names(kept_labels(spec))} (sum_over_time({series}{window(seconds)}))"

"""What the ruler looks up when it writes an alert's text: promised, got, since when, cause, neighbour.

These change while an alert fires, so they are never labels. Each look-up touches the series of one partition (or GPU)
and is made for every alert that fires, at every evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

from slo.rules.gotext import MATCHERS, ask, chosen, first, first_labels
from slo.rules.promql import names, partition, quoted
from slo.rules.slices import BAD
from slo.spec import PartitionSLO, Subject

_SINCE = {"fast": ("6h:1m", "6 hours"), "slow": ("1d:5m", "day")}
_OWN = "own"
_LOST = "gpu_partition_lost_seconds_total"
_SECONDS = "gpu_partition_guarantee_seconds_total"
_NOT_KNOWN = "not known"


def prepare(labels: Sequence[str]) -> str:
    """Write what has to stand before the others in a text: which series are the alert's."""
    return chosen(_OWN, labels)


def promised(spec: PartitionSLO) -> str:
    """Write what was promised as a quantity; empty where the promise is not one."""
    match _quantity(spec):
        case "compute":
            return _gauge(
                f"max(gpu_partition_promised_compute_ratio{{{MATCHERS}}})", "humanizePercentage", " of the GPU"
            )
        case "memory":
            return _gauge(f"max(gpu_partition_promised_memory_bytes{{{MATCHERS}}})", "humanize1024", "B")
        case _:
            return ""


def got(spec: PartitionSLO) -> str:
    """Write what was got of the quantity; empty where the promise is not one.

    Of compute, over the broken time of the last hour alone: a mean with the time before would say that all was well.
    """
    match _quantity(spec):
        case "compute":
            broken = _grown(spec, _SECONDS, f"outcome={quoted('broken')}", by=("outcome",))
            part = f"sum({_grown(spec, _LOST)}) / (sum({broken}) > 0)"
            left = f"max(gpu_partition_promised_compute_ratio{{{MATCHERS}}}) * (1 - {part})"
            return _gauge(left, "humanizePercentage", " of the GPU while the promise was broken, in the last hour")
        case "memory":
            least = f"min(min_over_time(gpu_partition_obtainable_memory_bytes{{{MATCHERS}}}[10m]))"
            return _gauge(least, "humanize1024", "B in the last 10 minutes")
        case _:
            return ""


def since(spec: PartitionSLO, burn: str) -> str:
    """Write the time of the first bad slice of the last hours (a fast burn) or of the last day (a slow one)."""
    steps, span = _SINCE[burn]
    now = f"timestamp({BAD}{{slo={quoted(spec.name)},{MATCHERS}}})"
    # The steps of a subquery are whole minutes of the clock: the marker of this evaluation is behind the last of them.
    expression = f"min(min_over_time({now}[{steps}]) or {now})"
    found = f"{first('humanizeTimestamp')}, the first bad minute of the last {span}"
    return ask(expression, _OWN, found, _NOT_KNOWN)


def cause(spec: PartitionSLO) -> str:
    """Write the cause of most of the last hour's loss."""
    if spec.sli.subject is Subject.COVERAGE:
        return _top(spec, "gpu_partition_blind_seconds_total", ("reason",), _NOT_KNOWN)
    return _top(spec, _LOST, ("cause",), _NOT_KNOWN)


def neighbour(spec: PartitionSLO) -> str:
    """Write the neighbour that took most in the last hour, NAMESPACE/POD; empty for coverage, which nobody takes."""
    if spec.sli.subject is Subject.COVERAGE:
        return ""
    by = ("neighbour_namespace", "neighbour_pod")
    return _top(spec, "gpu_partition_lost_to_neighbour_seconds_total", by, "none is to blame")


def _quantity(spec: PartitionSLO) -> str:
    return "" if spec.sli.subject is Subject.COVERAGE else spec.sli.guarantee


def _gauge(expression: str, how: str, unit: str) -> str:
    return ask(expression, _OWN, first(how) + unit, _NOT_KNOWN)


def _top(spec: PartitionSLO, metric: str, by: Sequence[str], missing: str) -> str:
    """Write what a counter grew most by in an hour; a counter that was reset or born since counts from zero."""
    grown = f"sum by {names(by)} ({_grown(spec, metric, by=by)})"
    return ask(f"topk(1, {grown} > 0)", _OWN, first_labels(*by), missing)


def _grown(spec: PartitionSLO, metric: str, *matchers: str, by: Sequence[str] = ("cause",)) -> str:
    """Write by how much counters grew in an hour, by partition and these labels."""
    each = names((*partition(spec), *by))
    series = f"{metric}{{{','.join((f'guarantee={quoted(spec.sli.guarantee)}', *matchers, MATCHERS))}}}"
    now, before = f"max by {each} ({series})", f"max by {each} ({series} offset 1h)"
    return f"{now} - {before} >= 0 or {now}"

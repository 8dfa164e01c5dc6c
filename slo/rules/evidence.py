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
    """Write what was got of the quantity over the last ten minutes; empty where the promise is not one."""
    match _quantity(spec):
        case "compute":
            mean = f"min(avg_over_time(gpu_partition_delivered_compute_ratio{{{MATCHERS}}}[10m]))"
            return _gauge(mean, "humanizePercentage", " of the GPU")
        case "memory":
            least = f"min(min_over_time(gpu_partition_obtainable_memory_bytes{{{MATCHERS}}}[10m]))"
            return _gauge(least, "humanize1024", "B")
        case _:
            return ""


def since(spec: PartitionSLO, burn: str) -> str:
    """Write the time of the first bad slice of the last hours (a fast burn) or of the last day (a slow one)."""
    steps, span = _SINCE[burn]
    expression = f"min(min_over_time(timestamp({BAD}{{slo={quoted(spec.name)},{MATCHERS}}})[{steps}]))"
    found = f"{first('humanizeTimestamp')}, the first bad minute of the last {span}"
    return ask(expression, _OWN, found, _NOT_KNOWN)


def cause(spec: PartitionSLO) -> str:
    """Write the cause of most of the last hour's loss."""
    if spec.sli.subject is Subject.COVERAGE:
        return _top(spec, "gpu_partition_blind_seconds_total", ("reason",), _NOT_KNOWN)
    return _top(spec, "gpu_partition_lost_seconds_total", ("cause",), _NOT_KNOWN)


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
    each = names((*partition(spec), *by))
    series = f"{metric}{{guarantee={quoted(spec.sli.guarantee)},{MATCHERS}}}"
    now, before = f"max by {each} ({series})", f"max by {each} ({series} offset 1h)"
    grown = f"sum by {names(by)} ({now} - {before} >= 0 or {now})"
    return ask(f"topk(1, {grown} > 0)", _OWN, first_labels(*by), missing)

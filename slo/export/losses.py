"""What of an objective a format cannot say; each a sentence for whoever reads the export."""

from __future__ import annotations

from collections.abc import Iterator

from slo.rules.promql import duration, number
from slo.spec import PartitionSLO, Severity, Subject

_DEFAULT_FLOOR = 1


def of_both(spec: PartitionSLO) -> Iterator[str]:
    """Yield what neither OpenSLO nor Sloth has a word for."""
    yield "each partition's own budget and alert: one sum over all partitions hides one that is starved among many that are not"
    yield "a partition counts while it is there: with a pod its past goes from the sums"
    if spec.sli.subject is Subject.GUARANTEE and spec.sli.wanted > 0:
        yield f"wanted ({number(spec.sli.wanted)} s): a minute with less wanted time than that counts as well"
    yield "budgets of GPUs, nodes and namespaces, and what inhibits what"
    yield "what an alert says: promised, got, since when, cause, neighbour"
    if spec.alerting.min_bad_slices > _DEFAULT_FLOOR:
        yield f"alerting.minBadSlices ({spec.alerting.min_bad_slices}): a short-lived partition's first bad minute may alert"


def of_openslo(spec: PartitionSLO) -> Iterator[str]:
    """Yield what OpenSLO v1 loses."""
    yield from of_both(spec)
    yield "burn alerts: an AlertPolicy has one condition, a multi-window burn has two"
    yield "classes are chosen in the query; one SLO document for each objective"
    if spec.alerting.runbook_url or spec.alerting.dashboard_url or spec.alerting.labels:
        yield "alerting.runbookUrl, dashboardUrl and labels"


def of_sloth(spec: PartitionSLO) -> Iterator[str]:
    """Yield what Sloth's format loses."""
    yield from of_both(spec)
    yield (
        f"slices: Sloth divides seconds by seconds; a minute that was broken by less than allow ({number(spec.sli.allow)}) "
        "costs budget here, and one that was broken by more costs no more than its seconds"
    )
    yield "alerts divide by what was wanted in the window, so that rarely used partitions alert on little"
    if spec.alerting.keep_firing_for:
        yield f"alerting.keepFiringFor ({duration(spec.alerting.keep_firing_for)})"
    if any(Severity.NONE in (one.fast, one.slow) for one in spec.objectives):
        yield "a burn without severity is disabled: it is not recorded for reports either"
    yield f"the period ({duration(spec.period)}) is a setting of Sloth's program (--default-slo-period), not of the file"

"""One-minute slices in PromQL: which partitions had a valid slice, and which of those a bad one.

The arithmetic is that of `slo.sli`, number for number. `valid` and `bad` stand by themselves: anything that speaks PromQL
can be asked them. `records` is the same in five steps, each of which reads what the one before it recorded, because a
ruler pays for every series that it looks up: at 10,000 partitions the steps take a third of the time of the two.
"""

from __future__ import annotations

from slo import sli
from slo.entity import NO_CLASS
from slo.rules import classes
from slo.rules.model import Record
from slo.rules.promql import block, names, number, partition, quoted, selector
from slo.spec import PartitionSLO, Subject

COUNTER = "gpu_partition_guarantee_seconds_total"
INFO = "gpu_partition_info"
PROMISE = "gpu_partition_promise_info"

VALID = "partition:gpu_slo_valid_slices:count1m"
BAD = "partition:gpu_slo_bad_slices:count1m"

FACTS = ("node", "sharing", "resource")
"""Facts that a marker carries, for routing and rolling up; `class` comes with them."""

AGE = "partition:gpu_slo_age_seconds:sum"
FRESH = "partition:gpu_slo_fresh_age_seconds:sum"
SECONDS = "partition:gpu_slo_seconds:delta1m"

_EARLIER = " offset 1m"
_STEP = "[1m30s]"
"""Holds this evaluation and the one before it, also where evaluations are some seconds early or late."""


def records(spec: PartitionSLO) -> tuple[Record, ...]:
    """Return the rules that record the markers, to be evaluated in this order at one instant.

    Beside the markers: the age that a guarantee's outcomes sum to, the partitions that were born or reset within the
    minute (hardly ever any), and the minute's seconds by outcome, those that are not zero.
    """
    labels = static(spec)
    age, fresh, seconds, valid_ones = (
        selector(name, f"slo={quoted(spec.name)}") for name in (AGE, FRESH, SECONDS, VALID)
    )
    grown = f"idelta({age}{_STEP})"
    outcomes = _outcomes(*_whole_outcomes(spec))
    now, before = _counter(spec, outcomes), _counter(spec, outcomes, _EARLIER)
    counted = f"({now}{_not_zero(spec)})"
    lately = block(f"{before} unless on {names(partition(spec))} {fresh}")
    spent = block(f"{counted}\n- {lately}\n>= 0\nor\n{counted}")
    known = block(f"{grown} > {number(sli.STANDING)} <= {number(sli.MOST)}\nor\n{fresh}")
    whole = f"sum by {names(partition(spec))} ({seconds})"
    lost = f"sum by {names(partition(spec))} ({selector(SECONDS, f'slo={quoted(spec.name)}', _outcomes(_part(spec)))})"
    bad_ones = block(f"{lost}\n> {number(spec.sli.allow)} *\n{whole}")
    return (
        Record(AGE, _age(spec), labels),
        Record(FRESH, f"{age} <= {number(sli.MOST)}\nunless\n{grown} >= {number(-sli.STANDING)}", labels),
        Record(SECONDS, block("\n".join((spent, _on(spec), known))) + _not_zero(spec), labels),
        Record(VALID, f"{block(partitions(spec))}\n{_on(spec)}\n({whole} {_least(spec)})", labels),
        Record(BAD, f"{valid_ones}\n{_on(spec)}\n{bad_ones}", labels),
    )


def static(spec: PartitionSLO) -> dict[str, str]:
    """Return the labels that everything recorded for an SLO has."""
    return {"slo": spec.name, "guarantee": spec.sli.guarantee}


def valid(spec: PartitionSLO) -> str:
    """Write the vector of partitions whose slice that ends now is valid: 1 each, with identity, facts and class."""
    judged = block(f"{_seconds(spec, *_whole_outcomes(spec))} {_least(spec)}")
    return f"{block(partitions(spec))}\n{_on(spec)}\n{judged}"


def bad(spec: PartitionSLO) -> str:
    """Write the vector of partitions whose slice that ends now is bad, like `valid`."""
    lost, whole = _seconds(spec, _part(spec)), _seconds(spec, *_whole_outcomes(spec))
    broken = block(f"{lost}\n> {number(spec.sli.allow)} *\n{whole}")
    return f"{block(valid(spec))}\n{_on(spec)}\n{broken}"


def partitions(spec: PartitionSLO) -> str:
    """Write the vector of the SLO's partitions: 1 each, with identity, facts and promise class.

    One series a partition, whatever the number of scrapes that show it: a join that finds two fails as a whole. A class
    that no objective is for is left out; a partition of which nothing is promised has the class `none`.
    """
    identity = names(partition(spec))
    wanted = classes.matchers(spec)
    facts = [matcher for matcher in spec.select if matcher.label != "class"]
    one = f"topk by {identity} (1, "
    info = f"max by {names((*partition(spec), *FACTS))} ({one}{selector(INFO, *facts)}))"
    dimension = f"dimension={quoted(spec.sli.dimension)}"
    promised = f"max by {names((*partition(spec), 'class'))} ({one}{selector(PROMISE, dimension, *wanted)}))"
    joined = f"{info}\n* on {identity} group_left (class)\n{promised}"
    if not all(matcher.holds(NO_CLASS) for matcher in wanted):
        return joined
    # Where every class is judged, whoever is not among those with a promise has none; else that has to be looked up.
    rest = f"{info} unless on {identity} {selector(PROMISE, dimension)}" if wanted else info
    return f'{joined}\nor on {identity}\nlabel_replace({rest}, "class", "{NO_CLASS}", "", "")'


def _seconds(spec: PartitionSLO, *wanted: str) -> str:
    """Write the slice's seconds of some outcomes (of all, when none is named), by partition, where they are known."""
    outcomes = _outcomes(*wanted)
    now, before = _counter(spec, outcomes), _counter(spec, outcomes, _EARLIER)
    age, age_before = _age(spec), _age(spec, _EARLIER)
    differences = block(f"{now}\n- {before}\n>= 0\nor\n{now}")
    stepped = block(f"{age}\n- {age_before}\n> {number(sli.STANDING)} <= {number(sli.MOST)}")
    fresh = block(f"{age} <= {number(sli.MOST)}\nunless\n{age}\n- {age_before}\n>= {number(-sli.STANDING)}")
    either = f"{differences}\n{_on(spec)}\n{stepped}\nor\n{now}\n{_on(spec)}\n{fresh}"
    return f"sum by {names(partition(spec))} {block(either)}"


def _least(spec: PartitionSLO) -> str:
    """Write from how many seconds on a slice is valid."""
    return "> 0" if spec.sli.subject is Subject.COVERAGE else f">= {number(spec.sli.wanted)}"


def _not_zero(spec: PartitionSLO) -> str:
    """Write the filter that keeps zeros out of the store; where a slice without a second is valid, they stay."""
    return "" if spec.sli.subject is Subject.GUARANTEE and spec.sli.wanted <= 0 else " > 0"


def _part(spec: PartitionSLO) -> str:
    return "blind" if spec.sli.subject is Subject.COVERAGE else "broken"


def _whole_outcomes(spec: PartitionSLO) -> tuple[str, ...]:
    return () if spec.sli.subject is Subject.COVERAGE else ("kept", "broken")


def _outcomes(*wanted: str) -> str:
    """Write the matcher of some outcomes; empty for all four."""
    if not wanted:
        return ""
    return f"outcome={quoted(wanted[0])}" if len(wanted) == 1 else f"outcome=~{quoted('|'.join(wanted))}"


def _counter(spec: PartitionSLO, outcomes: str, earlier: str = "") -> str:
    """Write the counters by partition and outcome; two scrapes of one exporter do not double them."""
    matchers = [f"guarantee={quoted(spec.sli.guarantee)}", *([outcomes] if outcomes else [])]
    return f"max by {names((*partition(spec), 'outcome'))} ({selector(COUNTER, *matchers)}{earlier})"


def _on(spec: PartitionSLO) -> str:
    return f"and on {names(partition(spec))}"


def _age(spec: PartitionSLO, earlier: str = "") -> str:
    return f"sum by {names(partition(spec))} ({_counter(spec, '', earlier)})"

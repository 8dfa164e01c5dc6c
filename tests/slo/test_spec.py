"""Selecting partitions, and the objective that is theirs."""

from __future__ import annotations

import pytest

from slo.entity import Facts
from slo.spec import Matcher, Objective, Op, PartitionSLO, Severity, Sli, Subject

LABELS = {"gpu": "GPU-1", "device": "GPU-1", "namespace": "ml", "pod": "a-0", "container": "c", "cluster": "eu"}
FACTS = Facts(node="n1", sharing="time-slicing", classes={"compute": "declared"})


def objective(name: str, *classes: str) -> Objective:
    return Objective(name=name, classes=classes, target=0.99, fast=Severity.PAGE, slow=Severity.TICKET)


def slo(*select: Matcher, objectives: tuple[Objective, ...] = ()) -> PartitionSLO:
    sli = Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.1)
    return PartitionSLO(name="s", sli=sli, select=select, objectives=objectives or (objective("all"),))


@pytest.mark.parametrize(
    ("matcher", "selected"),
    [
        (Matcher("namespace", Op.EQUAL, "ml"), True),
        (Matcher("namespace", Op.EQUAL, "m"), False),
        (Matcher("sharing", Op.MATCHES, "mig|time-slicing"), True),
        (Matcher("sharing", Op.MATCHES, "time"), False),  # anchored
        (Matcher("node", Op.NOT_EQUAL, "n1"), False),
        (Matcher("node", Op.NOT_MATCHES, "n2.*"), True),
        (Matcher("cluster", Op.EQUAL, "eu"), True),
        (Matcher("class", Op.EQUAL, "declared"), True),
        (Matcher("workload", Op.EQUAL, ""), True),  # an absent label is empty
    ],
)
def test_a_matcher_reads_identity_site_labels_and_facts(matcher: Matcher, selected: bool):  # noqa: FBT001
    assert slo(matcher).selects(LABELS, FACTS) is selected


def test_all_matchers_must_hold():
    assert not slo(Matcher("namespace", Op.EQUAL, "ml"), Matcher("node", Op.EQUAL, "n2")).selects(LABELS, FACTS)


def test_an_objective_without_classes_has_those_that_no_other_names():
    found = slo(objectives=(objective("rest"), objective("hard", "isolated", "hard_cap")))
    assert [o.name for k in ("isolated", "declared", "none") if (o := found.objective(k))] == ["hard", "rest", "rest"]


def test_a_class_without_objective_has_none():
    assert slo(objectives=(objective("hard", "isolated"),)).objective("declared") is None


def test_a_matcher_is_written_as_promql_reads_it():
    assert str(Matcher("pod", Op.MATCHES, 'a"\\.\n')) == 'pod=~"a\\"\\\\.\\n"'

"""The recorded markers, and the expressions that stand by themselves, against the arithmetic of `slo.sli`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.catalogue import OUTCOMES
from slo import sli
from slo.rules import slices
from slo.rules.promql import quoted
from slo.rules.scenario import described, fake
from slo.spec import Matcher, Objective, Op, PartitionSLO, Severity, Subject
from tests.slo.rules.histories import History, random_history
from tests.slo.rules.made import COMPUTE, COVERAGE, GUARANTEED, REST, tried

pytestmark = pytest.mark.real
MINUTES = 60


def series(spec: PartitionSLO, histories: Sequence[History], objective: Objective = GUARANTEED) -> list[dict[str, str]]:
    found = []
    for number, history in enumerate(histories):
        partition = fake(spec, objective, number)
        assert partition is not None
        partition.labels["pod"] = history.pod
        identity = partition.only((*spec.group_by, "gpu", "device", "namespace", "pod", "container"))
        for position, outcome in enumerate(OUTCOMES):
            labels = {**identity, "guarantee": spec.sli.guarantee, "outcome": outcome}
            inside = ",".join(f"{name}={quoted(value)}" for name, value in labels.items())
            found.append({"series": f"{slices.COUNTER}{{{inside}}}", "values": history.series(position)})
        found += described(spec, partition, f"1+0x{len(history.values)}")
    return found


def checks(spec: PartitionSLO, histories: Sequence[History], minutes: Sequence[int]) -> list[dict[str, Any]]:
    found = []
    slo = f"{{slo={quoted(spec.name)}}}"
    for minute in minutes:
        for least, recorded, alone in (
            (sli.GOOD, slices.VALID, slices.valid(spec)),
            (sli.BAD, slices.BAD, slices.bad(spec)),
        ):
            pods = [history.pod for history in histories if history.state(spec, minute) >= least]
            samples = [{"labels": f"{{pod={quoted(pod)}}}", "value": 1} for pod in pods]
            found += [
                {"expr": f"sum by (pod) ({expression})", "eval_time": f"{minute}m", "exp_samples": samples}
                for expression in (f"{recorded}{slo}", alone)
            ]
    return found


def compare(folder: Path, spec: PartitionSLO, histories: Sequence[History]) -> None:
    minutes = range(len(histories[0].values))
    test = {
        "interval": "1m",
        "input_series": series(spec, histories),
        "promql_expr_test": checks(spec, histories, minutes),
    }
    tried(folder, [spec], [test])


@pytest.mark.parametrize("spec", [COMPUTE, COVERAGE, replace(COMPUTE, sli=replace(COMPUTE.sli, wanted=0.0, allow=0.0))])
def test_rules_and_evaluator_agree_on_every_minute_of_histories_with_resets_and_gaps(
    spec: PartitionSLO, tmp_path: Path
):
    dice = random.Random(f"{spec.name} {spec.sli.wanted}")  # noqa: S311  # histories, not secrets
    spec = replace(spec, objectives=(GUARANTEED, REST))
    histories = [random_history(f"p{number}", MINUTES, dice) for number in range(40)]
    found = [history.state(spec, minute) for history in histories for minute in range(MINUTES)]
    assert all(found.count(state) > 20 for state in (sli.UNKNOWN, sli.GOOD, sli.BAD)), "the histories show too little"
    assert spec.sli.subject is Subject.COVERAGE or spec.sli.wanted == 0 or found.count(sli.IDLE) > 20
    compare(tmp_path, spec, histories)


def steps(*values: tuple[float, float, float, float] | str | None) -> History:
    return History("p", list(values))


@pytest.mark.parametrize(
    ("history", "bad_at"),
    [
        pytest.param(steps((0, 50, 0, 0), (0, 110, 0, 0)), [0, 1], id="a newborn's first minute counts as it stands"),
        pytest.param(steps((0, 150, 0, 0), (0, 210, 0, 0)), [1], id="an old one that is first seen does not"),
        pytest.param(
            steps((900, 0, 0, 0), (900, 60, 0, 0), (0, 40, 0, 0), (0, 100, 0, 0)),
            [1, 2, 3],
            id="reset: what was since counts",
        ),
        pytest.param(steps((900, 0, 0, 0), None, (900, 120, 0, 0), (900, 180, 0, 0)), [3], id="a gap tells nothing"),
        pytest.param(steps((900, 0, 0, 0), "stale", (900, 120, 0, 0), (900, 180, 0, 0)), [3], id="nor does an absence"),
        pytest.param(
            steps((900, 0, 0, 0), (900, 60, 0, 0), (900, 60, 0, 0)), [1], id="a counter that stands is no slice"
        ),
        pytest.param(
            steps((900, 0, 0, 0), (957, 3, 0, 0), (1013, 7, 0, 0)), [2], id="as much as is allowed is not bad"
        ),
    ],
)
def test_a_minute_counts_as(history: History, bad_at: list[int], tmp_path: Path):
    assert [at for at in range(len(history.values)) if history.state(COMPUTE, at) == sli.BAD] == bad_at
    compare(tmp_path, COMPUTE, [history])


def marker(spec: PartitionSLO, expression: str, *expected: str, minute: int = 1) -> dict[str, Any]:
    samples = [{"labels": f"{{{labels}}}", "value": 1} for labels in expected]
    by = "pod, class, sharing" if "class" in "".join(expected) else "pod"
    return {"expr": f"sum by ({by}) ({expression})", "eval_time": f"{minute}m", "exp_samples": samples}


def test_two_scrapes_of_one_exporter_count_once(tmp_path: Path):
    one = series(COMPUTE, [steps((0, 60, 0, 0), (0, 120, 0, 0))])
    twice = [{**each, "series": each["series"].replace("{", f'{{job="{job}",')} for each in one for job in ("a", "b")]
    # Another scrape's info has gone out of date, facts and class: it is still one partition.
    old = (("Job", "Old"), ("shared", "old"), ('class="guaranteed"', 'class="burstable"'), ("{", '{rev="2",'))
    for each in list(twice):
        changed = each["series"]
        for was, becomes in old:
            changed = changed.replace(was, becomes)
        twice.append({**each, "series": changed})
    recorded = f'{slices.BAD}{{slo="compute"}}'
    expected = marker(COMPUTE, recorded, 'pod="p"')
    tried(tmp_path, [COMPUTE], [{"interval": "1m", "input_series": twice, "promql_expr_test": [expected]}])


def test_a_partition_of_which_nothing_is_promised_is_of_the_class_none(tmp_path: Path):
    inputs = series(COMPUTE, [steps((0, 60, 0, 0), (0, 120, 0, 0))], REST)
    expected = [
        marker(COMPUTE, expression, 'pod="p",class="none",sharing="time-slicing"')
        for expression in (f'{slices.BAD}{{slo="compute"}}', slices.bad(COMPUTE), slices.valid(COMPUTE))
    ]
    tried(tmp_path, [COMPUTE], [{"interval": "1m", "input_series": inputs, "promql_expr_test": expected}])


NAMED_NONE = replace(REST, classes=("none", "burstable"))
SELECTED = (Matcher("class", Op.NOT_EQUAL, "none"),)


@pytest.mark.parametrize(
    ("spec", "pods"),
    [
        pytest.param(replace(COMPUTE, objectives=(GUARANTEED,)), ["g"], id="no objective is for the others"),
        pytest.param(replace(COMPUTE, objectives=(NAMED_NONE,)), ["b", "n"], id="none is named"),
        pytest.param(replace(COMPUTE, select=SELECTED), ["b", "g"], id="none is selected away"),
        pytest.param(
            replace(COMPUTE, select=(Matcher("pod", Op.MATCHES, "g|n"),)), ["g", "n"], id="a label of identity"
        ),
        pytest.param(replace(COMPUTE, select=(Matcher("resource", Op.EQUAL, "x"),)), [], id="a fact that nobody has"),
    ],
)
def test_only_selected_partitions_of_judged_classes_have_markers(spec: PartitionSLO, pods: list[str], tmp_path: Path):
    inputs = []
    for position, klass in enumerate(("guaranteed", "burstable", "none")):
        objective = Objective(name=klass, classes=(klass,), target=0.9, fast=Severity.PAGE, slow=Severity.PAGE)
        history = steps((0, 60, 0, 0), (0, 120, 0, 0))
        history.pod = klass[0]
        own = replace(COMPUTE, objectives=(objective,))
        inputs += [
            {**each, "series": each["series"].replace("MIG-0-0", f"MIG-{position}")}
            for each in series(own, [history], objective)
        ]
    expected = [f'pod="{pod}"' for pod in pods]
    found = [
        marker(spec, one, *expected)
        for one in (f'{slices.VALID}{{slo="compute"}}', slices.valid(spec), slices.bad(spec))
    ]
    tried(tmp_path, [spec], [{"interval": "1m", "input_series": inputs, "promql_expr_test": found}])

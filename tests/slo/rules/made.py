"""Specs for the tests of the rules, and promtool and its kin as functions."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from slo.rules import document, promtests
from slo.rules.scenario import Series, alive, fake
from slo.spec import Alerting, Matcher, Objective, Op, PartitionSLO, Severity, Sli, Subject
from tests.slo.servers import program

PAGE, TICKET, NONE = Severity.PAGE, Severity.TICKET, Severity.NONE

GUARANTEED = Objective(name="guaranteed", classes=("guaranteed",), target=0.99, fast=PAGE, slow=TICKET)
REST = Objective(name="rest", target=0.95, fast=TICKET, slow=TICKET)

COMPUTE = PartitionSLO(
    name="compute",
    description="A partition that wants compute gets its share.",
    sli=Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.05),
    group_by=("cluster",),
    alerting=Alerting(labels={"team": "gpu"}),
    objectives=(GUARANTEED, REST),
)
MEMORY = replace(
    COMPUTE,
    name="memory",
    sli=Sli(subject=Subject.GUARANTEE, guarantee="memory", dimension="memory", allow=0),
    period=28 * 86400,
    select=(Matcher("sharing", Op.MATCHES, "mps|time-slicing"), Matcher("namespace", Op.NOT_MATCHES, "kube-.*")),
    objectives=(Objective(name="all", target=0.995, fast=PAGE, slow=TICKET),),
)
COVERAGE = replace(
    COMPUTE,
    name="coverage",
    sli=Sli(subject=Subject.COVERAGE, guarantee="compute", dimension="compute", allow=0.5),
    group_by=(),
    objectives=(Objective(name="all", target=0.9, fast=TICKET, slow=TICKET),),
    alerting=Alerting(keep_firing_for=0, runbook_url="https://runbooks.test/coverage", labels={"route": "platform"}),
)
NASTY = replace(
    COMPUTE,
    name="nasty",
    description='Braces {{ $labels.pod }}, "quotes", `ticks`,\n100 % and a second line.',
    alerting=Alerting(labels={"team": "{{ .Value }}", "note": "{{"}),
    objectives=(replace(GUARANTEED, name="guaranteed {{ .Labels }}"), REST),
    select=(Matcher("pod", Op.NOT_EQUAL, 'a"b\\c\nd'),),
)
ONE = replace(COMPUTE, objectives=(GUARANTEED,))
SPECS = (COMPUTE, MEMORY, COVERAGE, NASTY)


def asked(name: str, *arguments: str) -> str:
    """Run one of the machine's programs; return what it wrote. Fails with it when the program does."""
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:3000]
    return done.stdout + done.stderr


def written(folder: Path, specs: Sequence[PartitionSLO]) -> Path:
    """Write the specs' rules into a folder."""
    file = folder / "rules.yaml"
    file.write_text(document.prometheus(document.rules(specs)))
    return file


def tried(folder: Path, specs: Sequence[PartitionSLO], tests: Sequence[dict[str, Any]]) -> str:
    """Run promtool tests on the specs' rules; return what promtool says."""
    written(folder, specs)
    file = folder / "tests.yaml"
    body = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "group_eval_order": promtests.order(specs),
        "tests": list(tests),
    }
    file.write_text(yaml.safe_dump(body))
    return asked("promtool", "test", "rules", str(file))


def scenario(spec: PartitionSLO, **histories: tuple[str, str]) -> list[Series]:
    """Return series of partitions of one GPU: the values of kept and of broken, by pod."""
    found: list[Series] = []
    for number, (pod, (kept, broken)) in enumerate(histories.items()):
        one = fake(spec, spec.objectives[0], number)
        assert one is not None
        one.labels["pod"] = pod
        values = {"kept": kept, "broken": broken, "idle": "0+0x300", "blind": "0+0x300"}
        for each in alive(spec, one, 300, 0):
            outcome = next((name for name in values if f'outcome="{name}"' in each["series"]), None)
            found.append({**each, "values": values[outcome]} if outcome else each)
    return found


def run(folder: Path, spec: PartitionSLO, series: list[Series], *checks: dict[str, Any]) -> None:
    tried(folder, [spec], [{"interval": "1m", "input_series": series, "promql_expr_test": list(checks)}])

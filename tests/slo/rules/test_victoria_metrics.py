"""Everything that is generated, before VictoriaMetrics: its parser takes it, and the markers come out the same."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.catalogue import OUTCOMES
from slo import sli
from slo.rules import document, slices
from slo.rules.model import Alert
from slo.rules.scenario import fake
from tests.slo.rules.made import COMPUTE, GUARANTEED, SPECS
from tests.slo.servers import Prometheus, get, program, prometheus, until, victoria_metrics

pytestmark = pytest.mark.real
START = 1_700_000_040
QUERY = re.compile(r"query \(printf `([^`]*)`")


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with victoria_metrics(tmp_path_factory.mktemp("vm")) as server:
        yield server


def expressions() -> set[str]:
    """Return every expression of the rules, and every query of their texts with matchers filled in."""
    found = set()
    for rule in (rule for group in document.rules(SPECS) for rule in group.rules):
        found.add(rule.expression)
        if isinstance(rule, Alert):
            for query in QUERY.findall(rule.annotations["description"]):
                found.add(query.replace("%%", "%").replace("%s", 'pod="p",namespace="n"'))
    for spec in SPECS:
        found |= {slices.valid(spec), slices.bad(spec)}
    return found


def test_it_takes_every_expression_and_every_query_of_the_texts(victoria: Prometheus):
    assert len(expressions()) > 80
    for expression in sorted(expressions()):
        answer = json.loads(get(f"{victoria.url}/api/v1/query", form={"query": expression, "time": str(START)}))
        assert answer["status"] == "success", (expression, answer)


def page(minute: int, values: tuple[float, ...]) -> str:
    one = fake(COMPUTE, GUARANTEED, 0)
    assert one is not None
    identity = one.only(("cluster", "gpu", "device", "namespace", "pod", "container"))
    lines = []
    for outcome, value in zip(OUTCOMES, values, strict=True):
        labels = identity | {"guarantee": "compute", "outcome": outcome}
        lines.append((slices.COUNTER, labels, value))
    lines.append((slices.INFO, identity | one.only(("node", "sharing", "resource")), 1))
    lines.append((slices.PROMISE, identity | {"dimension": "compute", "class": "guaranteed"}, 1))
    text = ""
    for name, labels, value in lines:
        inside = ",".join(f'{key}="{each}"' for key, each in labels.items())
        text += f"{name}{{{inside}}} {value:g} {(START + 60 * minute) * 1000}\n"
    return text


HISTORY = [
    (900, 0, 0, 0),
    (960, 0, 0, 0),
    (960, 60, 0, 0),
    (0, 40, 0, 0),
    (50, 50, 0, 0),
    (50, 50, 60, 0),
    (107, 53, 60, 0),
]
STATES = [sli.UNKNOWN, sli.GOOD, sli.BAD, sli.BAD, sli.BAD, sli.IDLE, sli.GOOD]


def test_its_markers_are_prometheus_markers(victoria: Prometheus):
    body = "".join(page(minute, values) for minute, values in enumerate(HISTORY)).encode()
    request = urllib.request.Request(f"{victoria.url}/api/v1/import/prometheus", data=body)  # noqa: S310  # our own server
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    get(f"{victoria.url}/internal/force_flush")
    until(lambda: bool(victoria.query(slices.INFO, START)), "the samples are found")
    for minute, state in enumerate(STATES):
        for expression, least in ((slices.valid(COMPUTE), sli.GOOD), (slices.bad(COMPUTE), sli.BAD)):
            found = victoria.query(expression, START + 60 * minute)
            assert len(found) == (state >= least), (minute, state)


def test_vmalert_reads_the_rules(tmp_path: Path):
    # keep_firing_for is known to vmalert from 1.91; Debian 12 has an older one.
    plain = [replace(spec, alerting=replace(spec.alerting, keep_firing_for=0)) for spec in SPECS]
    file = tmp_path / "rules.yaml"
    file.write_text(document.prometheus(document.rules(plain)))
    done = subprocess.run([program("vmalert"), "-dryRun", f"-rule={file}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_prometheus_loads_the_rules_and_evaluates_each_without_an_error(tmp_path: Path):
    file = tmp_path / "rules.yaml"
    fast = [replace(group, interval=1) for group in document.rules(SPECS)]
    file.write_text(document.prometheus(fast))
    with prometheus(tmp_path / "server", {"global": {}, "rule_files": [str(file)]}) as server:

        def rules() -> list[dict[str, str]]:
            answer = json.loads(get(f"{server.url}/api/v1/rules"))
            return [rule for group in answer["data"]["groups"] for rule in group["rules"]]

        until(lambda: all(rule["health"] != "unknown" for rule in rules()), "every rule has been evaluated")
        assert {rule["health"] for rule in rules()} == {"ok"}, [rule for rule in rules() if rule["health"] != "ok"]

"""What alerts say, word by word, as Prometheus expands it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from slo.rules import windows
from slo.rules.scenario import Series, alive, fake
from slo.spec import PartitionSLO, Severity
from slo.verdicts import AlertName
from tests.slo.rules.made import COVERAGE, GUARANTEED, MEMORY, NASTY, ONE, scenario, tried

pytestmark = pytest.mark.real
BURN = AlertName.PARTITION


def described_text(spec: PartitionSLO, series: list[Series], labels: dict[str, str], folder: Path) -> str:
    """Return what promtool says it got where no text was expected."""
    expected = {f"label:{key}": text for key, text in labels.items()}
    with pytest.raises(AssertionError) as found:
        described_at(spec, series, expected, folder, BURN)
    text: str
    (text,) = re.findall(r"got:\[.*?description=(\"(?:[^\"\\]|\\.)*\")", str(found.value), re.DOTALL)
    return text


def evidence(labels: dict[str, str]) -> list[Series]:
    """Return what a page quotes: shares promised and delivered, causes and neighbours."""
    inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
    lost, taken = "gpu_partition_lost_seconds_total", "gpu_partition_lost_to_neighbour_seconds_total"
    return [
        {"series": f"gpu_partition_promised_compute_ratio{{{inside}}}", "values": "0.3+0x100"},
        {"series": f"gpu_partition_delivered_compute_ratio{{{inside}}}", "values": "0.12+0x100"},
        {"series": f'{lost}{{{inside},guarantee="compute",cause="neighbour"}}', "values": "0+30x100"},
        {"series": f'{lost}{{{inside},guarantee="compute",cause="power_cap"}}', "values": "0+1x100"},
        {"series": f'{lost}{{{inside},guarantee="memory",cause="other"}}', "values": "0+60x100"},
        {
            "series": f'{taken}{{{inside},guarantee="compute",neighbour_namespace="team-b",neighbour_pod="hog-0"}}',
            "values": "0+30x100",
        },
    ]


PAGE_TEXT = """\
team-a/train did not get the compute promised in 9 min of the last hour.
Objective: A partition that wants compute gets its share.
Promised: 30% of the GPU, 99 % of the minutes in which it wants it, promise class guaranteed
Got: 14.5% of the GPU while the promise was broken, in the last hour
Since: 1970-01-01 00:01:00 +0000 UTC, the first bad minute of the last 6 hours
Cause: neighbour
Neighbour: team-b/hog-0
Where: node node-1, GPU GPU-0, device MIG-0-0, time-slicing
Why it fires: more than 8.64 bad minutes in 1h and 0.72 in 5m or more than 21.6 bad minutes in 6h and 1.8 in 30m"""


def test_a_page_names_promised_got_since_when_cause_neighbour_and_what_to_do(tmp_path: Path):
    spec = replace(ONE, alerting=replace(ONE.alerting, dashboard_url="https://grafana.test/d/x?orgId=1"))
    one = fake(spec, GUARANTEED, 0)
    assert one is not None
    one.labels["pod"] = "train"
    own = one.only(("cluster", "gpu", "device", "namespace", "pod", "container"))
    series = [*scenario(spec, train=("900+0x300", "0+60x300")), *evidence(own)]
    labels = {"alertname": "GPUPartitionPromiseBurn", "severity": "page", "slo": "compute", "guarantee": "compute"}
    labels |= {"burn": "fast", "objective": "guaranteed", "team": "gpu", **one.only(windows.kept_labels(spec))}
    annotations = {
        "summary": PAGE_TEXT.splitlines()[0],
        "description": PAGE_TEXT,
        "command": "slicewatch why team-a/train",
        "runbook_url": "docs/runbooks/GPUPartitionPromiseBurn.md",
        "dashboard": (
            "https://grafana.test/d/x?orgId=1&var-slo=compute&var-cluster=test&var-node=node-1&var-gpu=GPU-0"
            "&var-namespace=team-a&var-pod=train"
        ),
    }
    labels.pop("alertname")
    check = {
        "eval_time": "9m",
        "alertname": BURN.value,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
    }
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [check]}
    tried(tmp_path, [spec], [test])


def described_at(
    spec: PartitionSLO, series: list[Series], expected: dict[str, str], folder: Path, name: AlertName
) -> None:
    """Check an alert's whole text at minute 9; `expected` has labels under `label:`."""
    labels = {key.removeprefix("label:"): value for key, value in expected.items() if key.startswith("label:")}
    texts = {key: value for key, value in expected.items() if not key.startswith("label:")}
    check = {
        "eval_time": "9m",
        "alertname": name.value,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": texts}],
    }
    tried(folder, [spec], [{"interval": "1m", "input_series": series, "alert_rule_test": [check]}])


def test_names_that_a_tenant_chose_to_break_out_break_out_of_nothing(tmp_path: Path):
    pod = r"\"} or vector(1) {{ .Value }}`$(rm)%s\n"  # as it stands in a series' label: escaped for PromQL
    one = fake(NASTY, NASTY.objectives[0], 0)
    assert one is not None
    series = [
        {**each, "series": each["series"].replace("train", pod)}
        for each in scenario(NASTY, train=("900+0x99", "0+60x99"))
    ]
    value = '"} or vector(1) {{ .Value }}`$(rm)%s\n'
    harmless = "___or_vector_1_____.Value______rm__s_"
    labels = {
        "severity": "page",
        "slo": "nasty",
        "guarantee": "compute",
        "burn": "fast",
        "objective": "guaranteed {{ .Labels }}",
    }
    labels |= {"team": "{{ .Value }}", "note": "{{", **one.only(windows.kept_labels(NASTY)), "pod": value}
    summary = f"team-a/{harmless} did not get the compute promised in 9 min of the last hour."
    expected = {
        "summary": summary,
        "description": "\n".join(
            (
                summary,
                f"Objective: {NASTY.description}",
                "Promised: not known, 99 % of the minutes in which it wants it, promise class guaranteed",
                "Got: not known",
                "Since: 1970-01-01 00:01:00 +0000 UTC, the first bad minute of the last 6 hours",
                "Cause: not known",
                "Neighbour: none is to blame",
                *PAGE_TEXT.splitlines()[-2:],
            )
        ),
        "command": f"slicewatch why team-a/{harmless}",
        "runbook_url": "docs/runbooks/GPUPartitionPromiseBurn.md",
    }
    described_at(NASTY, series, expected | {f"label:{key}": text for key, text in labels.items()}, tmp_path, BURN)


def test_what_cannot_be_watched_says_why(tmp_path: Path):
    spec = replace(COVERAGE, objectives=(replace(COVERAGE.objectives[0], target=0.99, fast=Severity.PAGE),))
    one = fake(spec, spec.objectives[0], 0)
    assert one is not None
    own = one.only(("gpu", "device", "namespace", "pod", "container"))
    inside = ",".join(f'{name}="{value}"' for name, value in own.items())
    blind = f'gpu_partition_blind_seconds_total{{{inside},guarantee="compute",reason="source_stale"}}'
    series = [*alive(spec, one, 20, 1.0), {"series": blind, "values": "0+60x20"}]
    labels = {"severity": "page", "slo": "coverage", "guarantee": "compute", "burn": "fast", "objective": "all"}
    labels |= {"route": "platform", **one.only(windows.kept_labels(spec))}
    summary = "team-a/train-0-0 could not be watched over (compute) in 9 min of the last hour."
    expected = {
        "summary": summary,
        "description": "\n".join(
            (
                summary,
                f"Objective: {spec.description}",
                "Promised: 99 % of its minutes, promise class none",
                "Since: 1970-01-01 00:01:00 +0000 UTC, the first bad minute of the last 6 hours",
                "Cause: source_stale",
                *PAGE_TEXT.splitlines()[-2:],
            )
        ),
        "command": "slicewatch why team-a/train-0-0",
        "runbook_url": "https://runbooks.test/coverage",
    }
    described_at(spec, series, expected | {f"label:{key}": text for key, text in labels.items()}, tmp_path, BURN)


def test_a_memory_page_says_bytes(tmp_path: Path):
    one = fake(MEMORY, MEMORY.objectives[0], 0)
    assert one is not None
    own = one.only(("cluster", "gpu", "device", "namespace", "pod", "container"))
    inside = ",".join(f'{name}="{value}"' for name, value in own.items())
    gib = 2**30
    series = [
        *alive(MEMORY, one, 20, 1.0),
        {"series": f"gpu_partition_promised_memory_bytes{{{inside}}}", "values": f"{10 * gib}+0x20"},
        {"series": f"gpu_partition_obtainable_memory_bytes{{{inside}}}", "values": f"{7 * gib}+0x20"},
    ]
    labels = {"severity": "page", "slo": "memory", "guarantee": "memory", "burn": "fast", "objective": "all"}
    labels |= {"team": "gpu", **one.only(windows.kept_labels(MEMORY))}
    pairs = windows.possible(MEMORY, MEMORY.objectives[0], "fast")
    first, second = (f"{pair.long_above:g} bad minutes" for pair in pairs)
    found = described_text(MEMORY, series, labels, tmp_path)
    assert "Promised: 10GiB, 99.5 % of the minutes" in found
    assert "Got: 7GiB in the last 10 minutes" in found
    assert f"more than {first} in 1h" in found
    assert f"more than {second} in 6h" in found

"""The generated rules before promtool: syntax, lint, and every alert at its time, with its labels and its text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from slo.rules import promtests, windows
from slo.rules.scenario import Series, alive, fake
from slo.spec import PartitionSLO, Severity
from slo.verdicts import AlertName
from tests.slo.rules.made import COMPUTE, COVERAGE, GUARANTEED, MEMORY, NASTY, SPECS, asked, tried, written

pytestmark = pytest.mark.real


def test_promtool_finds_nothing_in_the_rules(tmp_path: Path):
    said = asked("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(written(tmp_path, SPECS)))
    assert "SUCCESS" in said


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_generated_tests_pass(spec: PartitionSLO, tmp_path: Path):
    written(tmp_path, [spec])
    file = tmp_path / "tests.yaml"
    file.write_text(promtests.document([spec], "rules.yaml"))
    assert "SUCCESS" in asked("promtool", "test", "rules", str(file))


def test_the_generated_tests_have_each_alert_fire_and_stay_quiet():
    fires: set[AlertName] = set()
    quiet: set[AlertName] = set()
    for test in yaml.safe_load(promtests.document(SPECS, "rules.yaml"))["tests"]:
        for check in test.get("promql_expr_test", ()):
            names = [name for name in AlertName if f'alertname="{name}"' in check["expr"]]
            (fires if check["exp_samples"] else quiet).update(names)
        fires |= {AlertName(check["alertname"]) for check in test.get("alert_rule_test", ())}
    assert fires == set(AlertName)
    assert quiet == set(AlertName) - {AlertName.WATCHDOG}  # which never is


def test_a_generated_test_fails_when_the_rules_are_of_another_target(tmp_path: Path):
    other = replace(COMPUTE, objectives=(replace(GUARANTEED, target=0.98),))
    written(tmp_path, [other])
    file = tmp_path / "tests.yaml"
    file.write_text(promtests.document([replace(COMPUTE, objectives=(GUARANTEED,))], "rules.yaml"))
    with pytest.raises(AssertionError, match="FAILED"):
        asked("promtool", "test", "rules", str(file))


def alert(spec: PartitionSLO, name: AlertName, at: str, *pods: str) -> dict[str, Any]:
    """Return a check of which pods an alert fires for."""
    samples = [{"labels": f'{{pod="{pod}"}}', "value": 1} for pod in pods]
    series = f'ALERTS{{alertname="{name}",alertstate="firing",slo="{spec.name}"}}'
    return {"expr": f"max by (pod) ({series})", "eval_time": at, "exp_samples": samples}


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


ONE = replace(COMPUTE, objectives=(GUARANTEED,))
BURN = AlertName.PARTITION


def test_an_exporter_that_restarts_in_an_incident_hides_none_of_it(tmp_path: Path):
    # Five bad minutes, a restart from zero, four more: the ninth pages.
    series = scenario(ONE, hurt=("900+0x300", "0+60x5 0+60x10"))
    run(tmp_path, ONE, series, alert(ONE, BURN, "8m"), alert(ONE, BURN, "10m", "hurt"))


def test_a_newborn_that_is_bad_for_a_minute_does_not_page(tmp_path: Path):
    series = scenario(ONE, born=("0+0x5 0+60x200", "_x5 0 60+0x200"))
    run(tmp_path, ONE, series, *(alert(ONE, BURN, f"{at}m") for at in (6, 7, 10, 60)))


def test_a_gap_in_an_incident_delays_the_page_and_invents_nothing(tmp_path: Path):
    # Minutes 5 to 8 are missing: seven bad slices at minute 12, nine at 14.
    series = scenario(ONE, hurt=("900+0x300", "0+60x4 _x4 540+60x20"))
    run(tmp_path, ONE, series, alert(ONE, BURN, "13m"), alert(ONE, BURN, "14m", "hurt"))


def test_a_partition_that_is_used_rarely_and_always_starved_gets_a_ticket_and_no_page(tmp_path: Path):
    # Two bad minutes in each hour, nothing wanted for the rest of it: 0.03 of the calendar, all of its use.
    hourly = " ".join(f"{120 * hour}+60x2 {120 * (hour + 1)}+0x56" for hour in range(5))
    # Half of its use is bad, which is not most of it: two good minutes, then two bad ones.
    good = " ".join(f"{900 + 120 * hour}+60x2 {900 + 120 * (hour + 1)}+0x56" for hour in range(5))
    later = " ".join(f"{120 * hour}+0x2 {120 * hour + 60}+60x1 {120 * (hour + 1)}+0x54" for hour in range(5))
    series = scenario(ONE, rare=("900+0x300", hourly), used=("900+60x300", hourly), half=(good, later))
    run(
        tmp_path,
        ONE,
        series,
        *(alert(ONE, BURN, f"{at}m") for at in (2, 62, 122, 182)),
        alert(ONE, AlertName.UNMET, "120m"),
        alert(ONE, AlertName.UNMET, "122m", "rare"),
        alert(ONE, AlertName.UNMET, "124m", "rare"),
    )


def test_a_gpu_pages_for_two_of_four_and_not_for_two_of_five(tmp_path: Path):
    bad, good = ("900+0x300", "0+60x300"), ("900+60x300", "0+0x300")
    gpu = f'max by (gpu) (ALERTS{{alertname="{AlertName.GPU}"}})'
    fires = {"expr": gpu, "eval_time": "9m", "exp_samples": [{"labels": '{gpu="GPU-0"}', "value": 1}]}
    run(
        tmp_path,
        ONE,
        scenario(ONE, a=bad, b=bad, c=good, d=good),
        {**fires, "eval_time": "8m", "exp_samples": []},
        fires,
    )
    run(tmp_path, ONE, scenario(ONE, a=bad, b=bad, c=good, d=good, e=good), {**fires, "exp_samples": []})


def test_a_burn_that_ends_is_kept_for_five_minutes_and_then_resolves(tmp_path: Path):
    # The last bad slice ends at minute 20; the five-minute window holds it until 24, and the alert is kept until 29.
    series = scenario(ONE, hurt=("900+0x20 960+60x200", "0+60x20 1200+0x200"))
    run(
        tmp_path, ONE, series, alert(ONE, BURN, "24m", "hurt"), alert(ONE, BURN, "29m", "hurt"), alert(ONE, BURN, "31m")
    )


def test_slices_are_counted_exactly_at_the_edges_of_the_short_window(tmp_path: Path):
    lasting = replace(ONE, alerting=replace(ONE.alerting, keep_firing_for=0))
    series = scenario(lasting, hurt=("900+0x20 960+60x200", "0+60x20 1200+0x200"))
    run(tmp_path, lasting, series, alert(lasting, BURN, "24m", "hurt"), alert(lasting, BURN, "25m"))


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
        "runbook_url": "docs/slo-rules.md#gpupartitionpromiseburn",
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
        "runbook_url": "docs/slo-rules.md#gpupartitionpromiseburn",
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
    series = [
        *alive(MEMORY, one, 20, 1.0),
        {"series": f"gpu_partition_promised_memory_bytes{{{inside}}}", "values": f"{10 * 2**30}+0x20"},
        {"series": f"gpu_partition_obtainable_memory_bytes{{{inside}}}", "values": f"{7 * 2**30}+0x20"},
    ]
    fires = {
        "expr": f'count(ALERTS{{alertname="{BURN}",slo="memory"}})',
        "eval_time": "9m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    run(tmp_path, MEMORY, series, fires)


def test_budgets_are_bad_over_valid_slices_and_never_bad_is_zero(tmp_path: Path):
    quarter, never = ("900+45x300", "0+15x300"), ("900+60x300", "0+0x300")
    series = scenario(ONE, hurt=quarter, well=never)
    checks = [
        {
            "expr": 'sum by (pod) (partition:gpu_slo_bad_slices:ratio30d{slo="compute"})',
            "eval_time": "30m",
            "exp_samples": [{"labels": '{pod="hurt"}', "value": 1}, {"labels": '{pod="well"}', "value": 0}],
        },
        *(
            {
                "expr": f'sum by ({by}) ({level}:gpu_slo_bad_slices:ratio30d{{slo="compute"}})',
                "eval_time": "30m",
                "exp_samples": [{"labels": f'{{{by}="{value}"}}', "value": 0.5}],
            }
            for level, by, value in (
                ("namespace", "namespace", "team-a"),
                ("gpu", "gpu", "GPU-0"),
                ("node", "node", "node-1"),
                ("fleet", "cluster", "test"),
            )
        ),
        {
            "expr": 'round(namespace:gpu_slo_budget_remaining:ratio30d{slo="compute",objective="guaranteed"})',
            "eval_time": "30m",
            "exp_samples": [
                {
                    "labels": '{class="guaranteed",cluster="test",guarantee="compute",namespace="team-a",objective="guaranteed",slo="compute"}',
                    "value": -49,
                }
            ],
        },
    ]
    run(tmp_path, ONE, series, *checks)


@pytest.mark.parametrize(("good", "fires"), [(90, True), (91, False)])
def test_the_fleet_pages_from_a_tenth_of_its_partitions(good: int, fires: bool, tmp_path: Path):  # noqa: FBT001  # a case
    series: list[Series] = []
    for number in range(10 + good):
        one = fake(ONE, GUARANTEED, number)
        assert one is not None
        series += alive(ONE, one, 12, 1.0 if number < 10 else 0.0)
    expected = [{"labels": '{cluster="test"}', "value": 1}] if fires else []
    fleet = f'max by (cluster) (ALERTS{{alertname="{AlertName.FLEET}"}})'
    run(tmp_path, ONE, series, {"expr": fleet, "eval_time": "10m", "exp_samples": expected})


@pytest.mark.parametrize(("target", "fires"), [(0.76, True), (0.74, False)])
def test_a_tenants_budget_is_exhausted_when_more_is_bad_than_the_target_leaves(
    target: float,
    fires: bool,  # noqa: FBT001  # a case
    tmp_path: Path,
):
    spec = replace(ONE, objectives=(replace(GUARANTEED, target=target),))
    bad, good = ("900+0x300", "0+60x300"), ("900+60x300", "0+0x300")
    series = scenario(spec, a=bad, b=good, c=good, d=good)
    expected = [{"labels": '{namespace="team-a"}', "value": 1}] if fires else []
    tenant = f'max by (namespace) (ALERTS{{alertname="{AlertName.TENANT}"}})'
    run(tmp_path, spec, series, {"expr": tenant, "eval_time": "60m", "exp_samples": expected})


def test_an_hour_has_sixty_slices(tmp_path: Path):
    series = scenario(ONE, hurt=("900+0x300", "0+60x300"))
    checks = [
        {
            "expr": f'sum by (slo) ({level}:gpu_slo_{kind}_slices:sum1h{{slo="compute"}})',
            "eval_time": "150m",
            "exp_samples": [{"labels": '{slo="compute"}', "value": 60}],
        }
        for level in ("partition", "namespace", "gpu")
        for kind in ("bad", "valid")
    ]
    run(tmp_path, ONE, series, *checks)

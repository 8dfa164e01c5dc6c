"""The generated rules before promtool: syntax, lint, and every alert at its time, with its labels and its text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from slo.rules import promtests
from slo.rules.scenario import Series, alive, fake
from slo.spec import PartitionSLO
from slo.verdicts import AlertName
from tests.slo.rules.made import COMPUTE, GUARANTEED, ONE, SPECS, asked, run, scenario, written

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


BURN = AlertName.PARTITION


def alert(spec: PartitionSLO, name: AlertName, at: str, *pods: str) -> dict[str, Any]:
    """Return a check of which pods an alert fires for."""
    samples = [{"labels": f'{{pod="{pod}"}}', "value": 1} for pod in pods]
    series = f'ALERTS{{alertname="{name}",alertstate="firing",slo="{spec.name}"}}'
    return {"expr": f"max by (pod) ({series})", "eval_time": at, "exp_samples": samples}


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

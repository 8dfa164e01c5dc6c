"""The objects of Prometheus Operator do what the files of alerts/ do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.objects import ROOT, Object, objects, of
from tests.slo.servers import program


def test_holders_stay_on_their_series():
    (monitor,) = of(objects("prometheus-operator"), "PodMonitor")
    assert monitor["spec"]["podMetricsEndpoints"][0]["honorLabels"] is True


def test_rules_are_those_of_the_rule_files_once_each():
    deployed = [
        group for each in of(objects("prometheus-operator"), "PrometheusRule") for group in each["spec"]["groups"]
    ]
    texts = [(ROOT / "alerts" / name).read_text() for name in ("slicewatch.yaml", "slo-rules.yaml")]
    written = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    assert sorted(deployed, key=lambda each: str(each["name"])) == sorted(written, key=lambda each: str(each["name"]))
    assert [each["metadata"]["name"] for each in of(objects("slo-run"), "PrometheusRule")] == ["slicewatch"]


@pytest.mark.real
def test_promtool_takes_the_rules_of_the_objects(tmp_path: Path):
    for rule in of(objects("prometheus-operator"), "PrometheusRule"):
        (tmp_path / f"{rule['metadata']['name']}.yaml").write_text(yaml.safe_dump(rule["spec"]))
    paths = [str(path) for path in sorted(tmp_path.glob("*.yaml"))]
    run = subprocess.run([program("promtool"), "check", "rules", *paths], capture_output=True, text=True, check=False)
    assert (run.returncode, len(paths)) == (0, 8), run.stderr


@pytest.mark.real
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=SlicewatchEvaluatorBehind severity=page", "gpu-slo-page"),
        ("alertname=GPUPartitionPromiseBurn severity=ticket namespace=team-b", "gpu-slo-ticket"),
        ("alertname=GPUSLOWatchdog", "gpu-slo-watchdog"),
        ("alertname=NodeDown severity=page", "elsewhere"),
    ],
)
def test_the_operators_routing_is_that_of_alertmanager(labels: str, receivers: str, tmp_path: Path):
    """As the operator writes it: the object's route below the root, which continues (pkg/alertmanager/amcfg.go)."""
    (found,) = of(objects("prometheus-operator"), "AlertmanagerConfig")
    root = {"receiver": "elsewhere", "routes": [_native(found["spec"]["route"])]}
    inhibits = [
        {
            "source_matchers": [_text(each) for each in rule["sourceMatch"]],
            "target_matchers": [_text(each) for each in rule["targetMatch"]],
            "equal": rule["equal"],
        }
        for rule in found["spec"]["inhibitRules"]
    ]
    known = [{"name": "elsewhere"}, *found["spec"]["receivers"]]
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump({"route": root, "receivers": known, "inhibit_rules": inhibits}))
    original = yaml.safe_load((ROOT / "alerts" / "alertmanager.yaml").read_text())
    assert inhibits == original["inhibit_rules"]
    command = [program("amtool"), "config", "routes", "test", f"--config.file={file}"]
    run = subprocess.run([*command, *labels.split()], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == receivers, run.stderr


def _native(route: Object) -> Object:
    words = {"groupBy": "group_by", "groupWait": "group_wait", "groupInterval": "group_interval"}
    words |= {"repeatInterval": "repeat_interval", "receiver": "receiver"}
    found = {words[key]: value for key, value in route.items() if key in words}
    return found | {
        "matchers": [_text(each) for each in route.get("matchers", ())],
        "routes": [_native(each) for each in route.get("routes", ())],
    }


def _text(matcher: Object) -> str:
    return f'{matcher["name"]}{matcher["matchType"]}"{matcher["value"]}"'

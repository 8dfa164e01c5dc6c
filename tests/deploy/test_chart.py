"""The chart makes what kustomize makes. Rendered by Helm's own engine (helm-python-sdk: Helm's Go code behind ctypes)."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest
import yaml

from tests.deploy.apiserver import faults
from tests.deploy.objects import BUILDS, CHART, ROOT, Object, charted, objects, of, one, pods, rendered, without_hashes


def comparable(found: list[Object]) -> dict[tuple[str, str], Any]:
    """Objects by kind and name: files in ConfigMaps as what they say, lists of named things in any order, no checksum."""
    return {(each["kind"], each["metadata"]["name"]): _same(each) for each in found if each["kind"] != "Namespace"}


def _same(value: Any) -> Any:
    match value:
        case {"checksum/config": _}:
            rest = {key: each for key, each in value.items() if key != "checksum/config"}
            return _same(rest) or None
        case dict():
            compared = {key: _read(key, each) for key, each in value.items()}
            return {key: each for key, each in compared.items() if not (key == "annotations" and each is None)}
        case [{"name": _}, *_] if all(isinstance(each, dict) and "name" in each for each in value):
            return sorted((_same(each) for each in value), key=lambda each: str(each["name"]))
        case list():
            return [_same(each) for each in value]
        case _:
            return value


def _read(key: str, value: Any) -> Any:
    return yaml.safe_load(value) if key.endswith((".yml", ".yaml")) else _same(value)


@pytest.mark.parametrize("build", BUILDS)
def test_the_chart_makes_what_kustomize_makes(build: str):
    ours, theirs = comparable(charted(build)), comparable(without_hashes(objects(build)))
    assert set(ours) == set(theirs)
    for key, value in ours.items():
        assert value == theirs[key], key


def test_values_stand_for_every_overlay():
    assert {path.stem for path in (CHART / "ci").glob("*.yaml")} == set(BUILDS) - {"base"}


def test_helm_finds_no_fault_in_the_chart():
    found = helm_python.lint(str(CHART))
    assert found["errors"] == []
    assert {message["error"] for message in found["messages"]} <= {"icon is recommended"}


def test_the_program_and_its_rules_cannot_both_page():
    with pytest.raises(helm_python.HelmError, match="both would page"):
        rendered({"slo": {"enabled": True}, "prometheusOperator": {"enabled": True, "sloRules": True}})


@pytest.mark.parametrize(
    "values",
    [
        {"exporter": {"privilaged": False}},
        {"exporter": {"image": {"repository": "", "tag": "1"}}},
        {"exporter": {"args": ["log.format=json"]}},
        {"exporter": {"driverPath": "home/driver"}},
        {"slo": {"specs": {"compute": {}}}},
        {"networkPolicy": {"namespaces": []}},
        {"prometheusoperator": {"enabled": True}},
    ],
    ids=str,
)
def test_a_value_that_means_nothing_is_refused(values: Object):
    with pytest.raises(helm_python.HelmError, match="schema"):
        rendered(values)


EVERYTHING: Object = {
    "imagePullSecrets": [{"name": "registry"}],
    "exporter": {
        "hostPID": False,
        "privileged": False,
        "runtimeClassName": "",
        "driverPath": "/opt/nvidia",
        "nodeSelector": None,
        "affinity": {"nodeAffinity": {}},
        "tolerations": [],
        "args": ["--log.format=json", "--kubernetes=off"],
    },
    "slo": {"enabled": True, "specs": {"a.yaml": {"kind": "PartitionSLO"}}, "storage": {"className": "fast"}},
    "networkPolicy": {"namespaces": ["observability"]},
    "prometheusOperator": {"enabled": True, "labels": {"release": "a"}},
}
"""Every value is another than its default, or turns on what is off."""


def test_an_api_server_takes_what_the_chart_makes_of_other_values():
    found = rendered(EVERYTHING)
    assert {each["kind"]: said for each in found if (said := faults(each))} == {}
    for pod in pods(found):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    (policy, other) = of(found, "NetworkPolicy")
    assert policy["spec"]["ingress"] == other["spec"]["ingress"]
    assert "observability" in str(policy["spec"]["ingress"])
    daemons = one(found, "DaemonSet")["spec"]["template"]["spec"]
    assert daemons["containers"][0]["args"][-2:] == EVERYTHING["exporter"]["args"]
    assert not {"hostPID", "runtimeClassName", "nodeSelector", "tolerations"} & set(daemons)
    assert of(rendered({"networkPolicy": {"enabled": False}}), "NetworkPolicy") == []


def test_a_changed_policy_restarts_the_pods_in_both():
    def checksums(values: Object) -> list[str]:
        (daemons,) = of(rendered(values), "DaemonSet")
        return [daemons["spec"]["template"]["metadata"]["annotations"]["checksum/config"]]

    changed = {"exporter": {"policy": {"tolerance": {"compute": 0.2}}}}
    assert checksums({}) == checksums({}) != checksums(changed)
    named = {build: {each["metadata"]["name"] for each in of(objects(build), "ConfigMap")} for build in BUILDS}
    assert named["base"] != named["example"]
    for build in BUILDS:
        mounted = {
            volume["configMap"]["name"]
            for each in objects(build)
            if each["kind"] in {"DaemonSet", "Deployment"}
            for volume in each["spec"]["template"]["spec"]["volumes"]
            if "configMap" in volume
        }
        assert mounted == named[build]


def test_the_chart_is_of_the_version_of_the_program():
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{about["appVersion"]}"' in (ROOT / "pyproject.toml").read_text()

"""The objects of deploy/ are ones that an API server takes, and say what the program understands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exporter import config, options, policyfile
from slo import specfile
from slo.run import settings as slo_settings
from tests.deploy.apiserver import faults
from tests.deploy.objects import BUILDS, Object, objects, of, one, pods


@pytest.mark.parametrize("build", BUILDS)
def test_an_api_server_takes_every_object(build: str):
    assert {each["kind"]: said for each in objects(build) if (said := faults(each))} == {}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("DaemonSet", "spec.template.spec.hostPid", True),
        ("DaemonSet", "spec.template.spec.containers.0.ports.0.containerPort", "9945"),
        ("DaemonSet", "spec.template.spec.containers.0.securityContext.readOnlyRootFileSystem", True),
        ("ClusterRole", "rules.0.verb", ["list"]),
        ("NetworkPolicy", "spec.ingress.0.ports.0.protocl", "TCP"),
        ("PodMonitor", "spec.podMetricsEndpoints.0.interval", 15),
        ("PodMonitor", "spec.podMetricsEndpoints.0.honourLabels", True),
        ("PodMonitor", "spec.podMetricsEndpoints.0.scheme", "htps"),
        ("PrometheusRule", "spec.groups.0.rules.0.for", "10 minutes"),
        ("AlertmanagerConfig", "spec.route.groupWait", 30),
        ("AlertmanagerConfig", "spec.inhibitRules.0.sourceMatchers", []),
    ],
)
def test_a_planted_error_is_found(kind: str, path: str, value: object):
    planted = json.loads(json.dumps(one(objects("prometheus-operator"), kind)))
    *way, last = path.split(".")
    at: Any = planted
    for step in way:
        at = at[int(step) if step.isdecimal() else step]
    at[last] = value
    assert faults(planted) != []


@pytest.mark.parametrize("build", BUILDS)
def test_an_object_fits_into_the_annotation_of_apply(build: str):
    assert {
        each["metadata"]["name"]: len(json.dumps(each)) for each in objects(build) if len(json.dumps(each)) > 200_000
    } == {}


def files(build: str, name: str, folder: Path) -> Path:
    """Write the files of a ConfigMap as they are mounted."""
    (found,) = [each for each in of(objects(build), "ConfigMap") if each["metadata"]["name"].startswith(name)]
    folder.mkdir(exist_ok=True)
    for file, text in found["data"].items():
        (folder / file).write_text(text)
    return folder


def placed(arguments: list[str], folders: dict[str, Path]) -> list[str]:
    """Arguments whose paths are where a test has put the files."""
    for there, here in folders.items():
        arguments = [re.sub(rf"{re.escape(there)}(?![\w-])", str(here), each) for each in arguments]
    return arguments


def _field(name: str, fields: set[str]) -> str:
    """What the kubelet writes for a variable; Kubernetes leaves one that is not there as it stands."""
    assert name in fields
    return "192.0.2.1"


@pytest.mark.parametrize("build", BUILDS)
def test_the_exporter_takes_its_arguments_and_its_policy(build: str, tmp_path: Path):
    (container,) = one(objects(build), "DaemonSet")["spec"]["template"]["spec"]["containers"]
    folder = files(build, "slicewatch-exporter", tmp_path / "exporter")
    fields = {each["name"] for each in container["env"] if "fieldRef" in each.get("valueFrom", {})}
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: _field(found[1], fields), each) for each in container["args"]]
    command, *flags = placed(arguments, {"/etc/slicewatch": folder})
    settings = config.parse(flags, {"NODE_NAME": "n1"})
    assert isinstance(settings, config.Settings)
    assert (command, settings.collect.node) == ("exporter", "n1")
    assert settings.web.listen.port == container["ports"][0]["containerPort"]
    assert {each["name"]: each for each in container["env"]}["NODE_NAME"]["valueFrom"] == {
        "fieldRef": {"fieldPath": "spec.nodeName"}
    }
    policyfile.load(folder / "policy.yml")


@pytest.mark.parametrize("build", ["slo-run", "example"])
def test_slo_run_takes_its_arguments_its_options_and_its_objectives(build: str, tmp_path: Path):
    (container,) = one(objects(build), "Deployment", "slicewatch-slo")["spec"]["template"]["spec"]["containers"]
    folders = {"/etc/slicewatch": files(build, "slicewatch-slo", tmp_path / "slo")}
    text = (folders["/etc/slicewatch"] / "slo.yml").read_text()
    if build == "example":
        folders["/etc/slicewatch-specs"] = files(build, "slicewatch-specs", tmp_path / "specs")
        (folders["/etc/slicewatch"] / "slo.yml").write_text(placed([text], folders)[0])
    command, verb, *flags = placed(container["args"], folders)
    settings = slo_settings.parse(flags)
    assert (command, verb) == ("slo", "run")
    assert settings.web.listen.port == container["ports"][0]["containerPort"]
    specs = [spec for path in settings.specs for spec in specfile.load_all([path])] if settings.specs else []
    assert bool(specs) is (build == "example")
    written = [str(settings.alerts.journal), *re.findall(r"^history\.path: (\S+)", text, re.MULTILINE)]
    mounts = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert all(any(path.startswith(f"{mount}/") for mount in mounts) for path in written)


def test_the_daemon_set_mounts_everything_that_is_read_by_default():
    pod = one(objects("base"), "DaemonSet")["spec"]["template"]["spec"]
    read = {options.PODRESOURCES.default, options.HAMI.default, options.MPS.default, options.DRA.default}
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    host = {path for path, each in mounts.items() if "hostPath" in volumes[each["name"]]}
    assert {str(Path(path).parent) if Path(path).suffix else path for path in read} == host
    for path in host:
        assert volumes[mounts[path]["name"]]["hostPath"]["path"] == path
        assert mounts[path]["readOnly"] is True


@pytest.mark.parametrize("build", BUILDS)
def test_no_mount_is_needed_inside_another_that_cannot_be_written(build: str):
    # The runtime makes the mount point, which it cannot inside a read-only mount.
    for pod in pods(objects(build)):
        mounts = pod["spec"]["containers"][0]["volumeMounts"]
        closed = [each["mountPath"] for each in mounts if each.get("readOnly")]
        assert [path for path in closed for each in mounts if each["mountPath"].startswith(f"{path}/")] == []


@pytest.mark.parametrize("build", BUILDS)
def test_objects_refer_to_each_other(build: str):
    found = objects(build)
    names = {(each["kind"], each["metadata"]["name"]) for each in found}
    for pod in pods(found):
        spec = pod["spec"]
        assert ("ServiceAccount", spec["serviceAccountName"]) in names
        assert ("PriorityClass", spec.get("priorityClassName", "slicewatch")) in names
        volumes = {each["name"]: each for each in spec["volumes"]}
        assert {each["name"] for each in spec["containers"][0]["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            named = [("ConfigMap", volume[key]["name"]) for key in ("configMap",) if key in volume]
            named += [
                ("PersistentVolumeClaim", volume[key]["claimName"])
                for key in ("persistentVolumeClaim",)
                if key in volume
            ]
            assert set(named) <= names
    (binding,) = of(found, "ClusterRoleBinding")
    assert ("ClusterRole", binding["roleRef"]["name"]) in names
    assert ("ServiceAccount", binding["subjects"][0]["name"]) in names
    placed_in = {each["metadata"].get("namespace") for each in found} | {binding["subjects"][0]["namespace"]}
    assert placed_in == {None, "slicewatch"}


def selections(found: tuple[Object, ...]) -> list[tuple[str, dict[str, str], set[str]]]:
    """What selects pods: its kind, the labels, and the ports that it names."""
    chosen: list[tuple[str, dict[str, str], set[str]]] = []
    for each in found:
        spec, kind = each.get("spec", {}), each["kind"]
        if kind in {"DaemonSet", "Deployment"}:
            chosen.append((kind, spec["selector"]["matchLabels"], set()))
        elif kind == "NetworkPolicy":
            chosen.append((kind, spec["podSelector"]["matchLabels"], {spec["ingress"][0]["ports"][0]["port"]}))
        elif kind == "Service":
            chosen.append((kind, spec["selector"], {spec["ports"][0]["targetPort"]}))
        elif kind == "PodMonitor":
            chosen.append((kind, spec["selector"]["matchLabels"], {spec["podMetricsEndpoints"][0]["port"]}))
    return chosen


@pytest.mark.parametrize("build", BUILDS)
def test_what_selects_pods_selects_one_workload_and_a_port_that_it_has(build: str):
    templates = pods(objects(build))
    for kind, labels, ports in selections(objects(build)):
        chosen = [each for each in templates if labels.items() <= each["metadata"]["labels"].items()]
        assert len(chosen) == 1, kind
        assert ports <= {port["name"] for port in chosen[0]["spec"]["containers"][0]["ports"]}, kind
    for monitor in of(objects(build), "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = [each for each in of(objects(build), "Service") if wanted <= each["metadata"]["labels"].items()]
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]

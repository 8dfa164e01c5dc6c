"""What the manifests allow is what the program needs, and no pod has more privilege than its level says."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_api import Access
from tests.deploy.objects import BUILDS, Object, objects, one, pods
from tests.fakes.apiserver import FakeApiServer, eventually
from tests.ownership.cluster import NODE
from tests.ownership.test_kubernetes_claims import QUICK, serve, with_claim

Permission = tuple[str, str, str]
"""API group, resource, verb."""


def granted(role: Object) -> set[Permission]:
    """Every single permission of a role."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed(path: str, query: dict[str, str]) -> Permission:
    """The permission that a request needs."""
    api, *words = path.strip("/").split("/")
    group = "" if api == "api" else words.pop(0)
    words.pop(0)  # the version
    if words[0] == "namespaces":
        words = words[2:]
    return group, words[0], "get" if len(words) > 1 else "watch" if "watch" in query else "list"


def test_the_role_allows_what_the_exporter_asks_for_and_nothing_else(tmp_path: Path):
    role = granted(one(objects("base"), "ClusterRole"))
    with FakeApiServer() as api:
        serve(api)
        api.put(with_claim("a"))
        api.put_node(NODE, {"a": "b"})
        access = Access(kubeconfig=api.kubeconfig(tmp_path / "config"))
        source = KubernetesPods(NODE, kubeconfig=None, access=access, timing=QUICK)
        try:
            eventually(lambda: {needed(*each) for each in list(api.requests)} >= role)
        finally:
            source.close()
        assert {needed(*each) for each in api.requests} == role


def restricted(pod: Object) -> list[str]:
    """What of a pod breaks the level `restricted` of Pod Security Standards (kubernetes.io/docs/concepts/security)."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    mine = {**spec.get("securityContext", {}), **container["securityContext"]}
    allowed = {
        "configMap",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "downwardAPI",
        "csi",
        "ephemeral",
    }
    rules = {
        "host namespaces": not any(spec.get(key) for key in ("hostPID", "hostIPC", "hostNetwork")),
        "volumes": all(set(each) - {"name"} <= allowed for each in spec["volumes"]),
        "privileged": not mine.get("privileged"),
        "escalation": mine.get("allowPrivilegeEscalation") is False,
        "root": mine.get("runAsNonRoot") is True and mine.get("runAsUser") != 0,
        "capabilities": mine.get("capabilities") == {"drop": ["ALL"]},
        "seccomp": mine.get("seccompProfile") == {"type": "RuntimeDefault"},
    }
    return [name for name, kept in rules.items() if not kept]


@pytest.mark.parametrize(
    ("build", "workload", "broken"),
    [
        ("slo-run", ("Deployment", "slicewatch-slo"), []),
        ("unprivileged", ("DaemonSet", "slicewatch"), ["host namespaces", "volumes", "root"]),
        (
            "base",
            ("DaemonSet", "slicewatch"),
            ["host namespaces", "volumes", "privileged", "escalation", "root", "capabilities", "seccomp"],
        ),
    ],
)
def test_a_pod_has_no_more_privilege_than_its_level(build: str, workload: tuple[str, str], broken: list[str]):
    assert restricted(one(objects(build), *workload)["spec"]["template"]) == broken


def test_an_unprivileged_container_does_not_ask_for_monitor_devices():
    # NVIDIA's runtime refuses to start it: libnvidia-container wants CAP_SYS_ADMIN for them.
    def environment(build: str) -> set[str]:
        (container,) = one(objects(build), "DaemonSet")["spec"]["template"]["spec"]["containers"]
        return {each["name"] for each in container["env"]}

    assert environment("base") - environment("unprivileged") == {"NVIDIA_MIG_MONITOR_DEVICES"}


@pytest.mark.parametrize("build", BUILDS)
def test_no_pod_can_write_to_its_image_or_take_what_it_was_not_given(build: str):
    for pod in pods(objects(build)):
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert set(container["resources"]["limits"]) == {"memory"}
        assert {"cpu", "memory"} == set(container["resources"]["requests"])
        assert "hostNetwork" not in pod["spec"]


@pytest.mark.parametrize("build", BUILDS)
def test_only_the_exporter_gets_a_token(build: str):
    for pod in pods(objects(build)):
        exporter = pod["metadata"]["labels"]["app.kubernetes.io/component"] == "exporter"
        assert pod["spec"]["automountServiceAccountToken"] is exporter

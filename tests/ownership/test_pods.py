"""Slimming of pod objects, and the store with its tombstones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Pod
from exporter.sources.pods import TOMBSTONE_SECONDS, PodStore, slim, workload_of
from tests.fakes import captures

A, B, C = "a" * 64, "b" * 64, "c" * 64


def _pod(**parts: Any) -> dict[str, Any]:
    meta = {"uid": "u", "name": "p", "namespace": "n", **parts.pop("metadata", {})}
    return {"metadata": meta, **parts}


def test_a_pod_is_slimmed_to_what_the_join_uses() -> None:
    pod = slim(
        _pod(
            metadata={
                "annotations": {"note": "x" * 1000},
                "ownerReferences": [{"kind": "StatefulSet", "name": "db", "controller": True}],
            },
            spec={
                "containers": [{"name": "main"}],
                "initContainers": [{"name": "setup"}],
                "ephemeralContainers": [{"name": "debug"}],
            },
            status={
                "phase": "Running",
                "containerStatuses": [{"name": "main", "containerID": f"containerd://{A}"}],
                "initContainerStatuses": [{"name": "setup", "containerID": f"cri-o://{B}"}],
                "ephemeralContainerStatuses": [{"name": "debug", "containerID": C}, {"name": "late"}],
            },
        )
    )
    assert pod == Pod(
        uid="u",
        namespace="n",
        name="p",
        phase="Running",
        workload_kind="StatefulSet",
        workload="db",
        containers=frozenset({"main", "setup", "debug"}),
        container_ids={A: "main", B: "setup", C: "debug"},
    )


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (None, {}, ("Pod", "p")),
        ({"kind": "ReplicaSet", "name": "web-5d4f"}, {"pod-template-hash": "5d4f"}, ("Deployment", "web")),
        ({"kind": "ReplicaSet", "name": "web-5d4f"}, {}, ("ReplicaSet", "web-5d4f")),
        ({"kind": "ReplicaSet", "name": "web-5d4f"}, {"pod-template-hash": "4f"}, ("ReplicaSet", "web-5d4f")),
        ({"kind": "Job", "name": "train"}, {}, ("Job", "train")),
        ({"kind": "DaemonSet", "name": "agent"}, {"pod-template-hash": "x"}, ("DaemonSet", "agent")),
        ({"kind": "PyTorchJob", "name": "llm"}, {}, ("PyTorchJob", "llm")),
        ({"kind": "Node", "name": "node-1"}, {}, ("Pod", "p")),
        ({"kind": "Job", "name": "train", "controller": False}, {}, ("Pod", "p")),
    ],
)
def test_the_workload_is_what_controls_the_pod(
    owner: dict[str, Any] | None, labels: dict[str, str], expected: tuple[str, str]
) -> None:
    other = {"kind": "ConfigMap", "name": "not-the-controller"}
    owners = [other] if owner is None else [other, {"controller": True, **owner}]
    assert workload_of({"name": "p", "labels": labels, "ownerReferences": owners}) == expected


@pytest.mark.parametrize(
    ("policy", "container", "state", "ended"),
    [
        ("Never", {}, {"terminated": {"exitCode": 1}}, True),
        ("Never", {}, {"terminated": {"exitCode": 0}}, True),
        ("OnFailure", {}, {"terminated": {"exitCode": 0}}, True),
        ("OnFailure", {}, {"terminated": {"exitCode": 1}}, False),
        ("Always", {}, {"terminated": {"exitCode": 0}}, False),
        (None, {}, {"terminated": {"exitCode": 0}}, False),
        ("Never", {}, {"running": {}}, False),
        ("Never", {}, {"waiting": {}}, False),
        ("Always", {"restartPolicy": "Never"}, {"terminated": {"exitCode": 1}}, True),
        ("Never", {"restartPolicy": "Always"}, {"terminated": {"exitCode": 1}}, False),
        ("Never", {"restartPolicyRules": [{"action": "Restart"}]}, {"terminated": {"exitCode": 1}}, False),
    ],
)
def test_a_container_has_ended_when_nothing_will_start_it_again(
    policy: str | None, container: dict[str, Any], state: dict[str, Any], *, ended: bool
) -> None:
    pod = slim(
        _pod(
            spec={"restartPolicy": policy, "containers": [{"name": "main", **container}, {"name": "other"}]},
            status={
                "containerStatuses": [{"name": "main", "state": state}, {"name": "other", "state": {"running": {}}}]
            },
        )
    )
    assert pod is not None
    assert pod.ended_containers == (frozenset({"main"}) if ended else frozenset())


def test_an_init_container_that_is_done_is_not_an_ended_one() -> None:
    status = {"initContainerStatuses": [{"name": "setup", "state": {"terminated": {"exitCode": 0}}}]}
    pod = slim(_pod(spec={"restartPolicy": "Never", "initContainers": [{"name": "setup"}]}, status=status))
    assert pod is not None
    assert pod.ended_containers == frozenset()


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"kubernetes.io/config.hash": "d41d", "kubernetes.io/config.mirror": "d41d"}, "d41d"),
        ({"kubernetes.io/config.hash": "d41d"}, ""),
        ({}, ""),
    ],
)
def test_only_a_mirror_pod_has_a_config_hash(annotations: dict[str, str], expected: str) -> None:
    pod = slim(_pod(metadata={"annotations": annotations}))
    assert pod is not None
    assert pod.config_hash == expected


def test_a_pod_that_has_no_status_yet_is_of_unknown_phase() -> None:
    pod = slim(_pod())
    assert pod is not None
    assert (pod.phase, pod.terminal) == ("Unknown", False)


@pytest.mark.parametrize("item", [None, [], "x", {}, {"metadata": None}, {"metadata": {"uid": "u"}}])
def test_what_has_no_uid_or_name_is_no_pod(item: object) -> None:
    assert slim(item) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_PART = st.dictionaries(
    st.sampled_from(
        ["labels", "annotations", "ownerReferences", "containers", "restartPolicy", "containerStatuses", "phase"]
    ),
    _JSON | st.lists(st.fixed_dictionaries({"name": _JSON, "state": _JSON, "containerID": _JSON, "kind": _JSON})),
)


@settings(deadline=None, max_examples=40)
@given(_PART, _JSON | _PART, _JSON | _PART)
def test_no_object_breaks_the_slimming(meta: dict[str, Any], spec: object, status: object) -> None:
    pod = slim({"metadata": {**meta, "uid": "u", "name": "p"}, "spec": spec, "status": status})
    assert pod is not None
    assert pod.uid == "u"
    hash(pod.containers | pod.ended_containers)


@pytest.mark.parametrize("name", captures.cases())
def test_every_recorded_pod_that_holds_something_is_in_the_store(name: str) -> None:
    capture = captures.load(name)
    pods = {pod.uid: pod for pod in capture.pods.items}
    for partition in capture.expect["partitions"]:
        pod = pods[partition["pod_uid"]]
        assert (pod.namespace, pod.name) == (partition["namespace"], partition["pod"])
        assert partition["container"] in pod.containers
        assert not pod.terminal
        assert partition["container"] not in pod.ended_containers


# --- the store ---


def _named(uid: str, phase: str = "Running") -> Pod:
    return Pod(uid=uid, namespace="n", name=uid, phase=phase)


def test_a_deleted_pod_leaves_its_uid_for_a_minute() -> None:
    store = PodStore()
    store.replace([_named("a"), _named("b")], 0.0)
    store.remove("a", 10.0)
    assert (store.items, dict(store.deleted)) == ((_named("b"),), {"a": 10.0})
    store.put(_named("b", "Succeeded"), 10.0 + TOMBSTONE_SECONDS)
    assert (store.items, dict(store.deleted)) == ((_named("b", "Succeeded"),), {})


def test_a_pod_that_a_new_list_lacks_was_deleted_unseen() -> None:
    store = PodStore()
    store.replace([_named("a"), _named("b")], 0.0)
    store.replace([_named("b"), _named("c")], 5.0)
    assert store.items == (_named("b"), _named("c"))
    assert dict(store.deleted) == {"a": 5.0}


def test_a_uid_is_never_both_there_and_deleted() -> None:
    store = PodStore()
    store.put(_named("a"), 0.0)
    store.remove("a", 1.0)
    store.put(_named("a"), 2.0)
    assert dict(store.deleted) == {}

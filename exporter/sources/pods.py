"""From the API server's pod object to `model.Pod`, and the store that the watch keeps.

An object is slimmed the moment it is decoded: a pod weighs tens of kilobytes, what the join uses of it a few hundred
bytes. Everything here is pure; a field that is absent, null or of another type than the API's is an empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exporter.model import Pod
from exporter.vendors import grants_of
from exporter.vendors.dra import claim_uses

TOMBSTONE_SECONDS = 60.0
"""How long the uid of a deleted pod is remembered: one period for which a PodResources answer is good."""

_CONFIG_HASH = "kubernetes.io/config.hash"
_CONFIG_MIRROR = "kubernetes.io/config.mirror"
_TEMPLATE_HASH = "pod-template-hash"


def slim(pod: object) -> Pod | None:
    """Keep what the join uses of a pod in the API's JSON form; None when it has no uid, so is no pod."""
    whole = _mapping(pod)
    meta, spec, status = (_mapping(whole.get(key)) for key in ("metadata", "spec", "status"))
    uid, name = _text(meta.get("uid")), _text(meta.get("name"))
    if not uid or not name:
        return None
    kind, workload = workload_of(meta)
    statuses = [entry for key in _STATUSES for entry in _mappings(status.get(key))]
    annotations = _mapping(meta.get("annotations"))
    return Pod(
        uid=uid,
        namespace=_text(meta.get("namespace")),
        name=name,
        phase=_text(status.get("phase")) or "Unknown",
        workload_kind=kind,
        workload=workload,
        containers=frozenset(_names(entry for key in _SPECS for entry in _mappings(spec.get(key)))),
        ended_containers=frozenset(_ended(spec, status)),
        container_ids={
            container_id: _text(entry.get("name"))
            for entry in statuses
            if (container_id := _text(entry.get("containerID")).rpartition("://")[2])
        },
        # Only a mirror pod has it from the kubelet; any tenant can write the annotation on a pod of their own.
        config_hash=_text(annotations.get(_CONFIG_HASH)) if _CONFIG_MIRROR in annotations else "",
        ip=_text(status.get("podIP")),
        labels={name: text for name, text in _mapping(meta.get("labels")).items() if isinstance(text, str)},
        grants=grants_of(meta, spec),
        claim_uses=claim_uses(spec, status),
    )


_SPECS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def workload_of(meta: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name of what controls a pod, from its metadata; ("Pod", its own name) for a bare or static one.

    A ReplicaSet is a Deployment's when its name ends in the pod's `pod-template-hash`, which only the Deployment
    controller sets (kubernetes pkg/controller/deployment/util). A mirror pod's controller is its Node, which is none.
    """
    owner = next((ref for ref in _mappings(meta.get("ownerReferences")) if ref.get("controller") is True), {})
    kind, name = _text(owner.get("kind")), _text(owner.get("name"))
    if not kind or kind == "Node":
        return "Pod", _text(meta.get("name"))
    template = _text(_mapping(meta.get("labels")).get(_TEMPLATE_HASH))
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return "Deployment", name.removesuffix(f"-{template}")
    return kind, name


def _ended(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[str]:
    """Yield app containers that have terminated and will not be started again by the kubelet."""
    containers = {_text(entry.get("name")): entry for entry in _mappings(spec.get("containers"))}
    for entry in _mappings(status.get("containerStatuses")):
        name = _text(entry.get("name"))
        state = _mapping(entry.get("state")).get("terminated")
        container = containers.get(name)
        # Rules may restart on any exit code (KEP-5307); without reading them the container has not ended for good.
        if not isinstance(state, Mapping) or container is None or container.get("restartPolicyRules"):
            continue
        policy = container.get("restartPolicy") or spec.get("restartPolicy")
        if policy == "Never" or (policy == "OnFailure" and state.get("exitCode") == 0):
            yield name


class PodStore:
    """Pods by uid, and the uids deleted lately. Times are monotonic seconds. Not thread-safe: one thread writes."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._deleted: dict[str, float] = {}

    def __len__(self) -> int:
        """How many pods there are."""
        return len(self._pods)

    @property
    def items(self) -> tuple[Pod, ...]:
        """Every pod, in the order of namespace, name, uid."""
        return tuple(sorted(self._pods.values(), key=lambda pod: (pod.namespace, pod.name, pod.uid)))

    @property
    def deleted(self) -> Mapping[str, float]:
        """Uids deleted lately and when."""
        return dict(self._deleted)

    def replace(self, pods: Iterable[Pod], now: float) -> None:
        """Take a whole list; what stood here and is not in it was deleted while nobody watched."""
        fresh = {pod.uid: pod for pod in pods}
        for uid in self._pods.keys() - fresh.keys():
            self._deleted[uid] = now
        self._pods = fresh
        self._bury(now)

    def put(self, pod: Pod, now: float) -> None:
        """Take an added or a modified pod."""
        self._pods[pod.uid] = pod
        self._bury(now)

    def remove(self, uid: str, now: float) -> None:
        """Take a deleted pod out and remember its uid."""
        self._pods.pop(uid, None)
        self._deleted[uid] = now
        self._bury(now)

    def _bury(self, now: float) -> None:
        """Forget tombstones that are too old, and those of uids that are back."""
        self._deleted = {
            uid: at for uid, at in self._deleted.items() if now - at < TOMBSTONE_SECONDS and uid not in self._pods
        }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _names(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (name for entry in entries if (name := _text(entry.get("name"))))

"""A node's answers put behind the real wires: the kubelet's socket, the API server, procfs.

Each function is the inverse of the source that reads it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.ids import DeviceId, GpuId, MigId
from exporter.model import Allocations, Missing, Pod, Pods, ProcessTable
from tests.e2e.rig import NODE, Rig

_TEMPLATE = "5b7f6c9d4"


def device_text(device: DeviceId) -> str:
    """An id as the device plugin spells it."""
    assert isinstance(device, GpuId | MigId), device
    return device.uuid if device.replica is None else f"{device.uuid}::{device.replica}"


def allocations(rig: Rig, answer: Allocations) -> None:
    """Let the kubelet list these allocations, and what the plugins offer."""
    offered: dict[str, list[str]] = {}
    if not isinstance(answer.allocatable, Missing):
        for resource, device in answer.allocatable:
            offered.setdefault(resource, []).append(device_text(device))
    rig.kubelet.answer({}, {"devices": [{"resourceName": name, "deviceIds": ids} for name, ids in offered.items()]})
    for item in answer.items:
        rig.kubelet.hold(item.namespace, item.pod, item.container, item.resource, device_text(item.device))


def pods(rig: Rig, answer: Pods) -> None:
    """Let the API server serve these pods and the node's labels."""
    assert not isinstance(answer.node_labels, Missing)
    rig.api.put_node(NODE, dict(answer.node_labels))
    for pod in answer.items:
        rig.api.put(pod_object(pod))


def pod_object(pod: Pod) -> dict[str, Any]:
    """A pod as the API server has it; a Deployment's by way of its ReplicaSet."""
    kind, name = pod.workload_kind, pod.workload
    metadata: dict[str, Any] = {"uid": pod.uid, "namespace": pod.namespace, "name": pod.name}
    if kind == "Deployment":
        kind, name = "ReplicaSet", f"{name}-{_TEMPLATE}"
        metadata["labels"] = {"pod-template-hash": _TEMPLATE}
    if kind not in {"", "Pod"}:
        metadata["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    ids = {name: number for number, name in pod.container_ids.items()}
    return {
        "metadata": metadata,
        "spec": {"nodeName": NODE, "containers": [{"name": name} for name in sorted(pod.containers)]},
        "status": {
            "phase": pod.phase,
            "containerStatuses": [
                {"name": name, "containerID": f"containerd://{number}", "state": {"running": {}}}
                for name, number in sorted(ids.items())
            ],
        },
    }


def processes(rig: Rig, table: ProcessTable) -> None:
    """Write these processes into procfs."""
    for facts in table.values():
        if not facts.pods:
            rig.procfs.put(facts.pid, facts.command, "/system.slice/host.service", started=facts.started)
            continue
        pod = facts.pods[0]
        rig.procfs.put_in_pod(facts.pid, facts.command, pod.pod_uid, pod.container_id or "", started=facts.started)


def pids(uses: Iterable[Any]) -> set[int]:
    """Every pid of these device uses."""
    return {process.pid for use in uses if not isinstance(use.processes, Missing) for process in use.processes}

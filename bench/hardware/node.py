"""The node around the real driver: a kubelet's socket, an API server and a procfs that place real processes in made-up pods.

The GPU, its driver and the processes on it are real; who they are is not. What the exporter is given to find the node by
is `flags`. Nothing outside the folder is written, and everything listens on the loopback or on a socket in the folder.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from bench.hardware.kubelet import Kubelet
from exporter.sources.procfs import parse_stat
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.procfs import FakeProcfs

NODE: Final = "hardware-kit"
NAMESPACE: Final = "kit"
CONTAINER: Final = "main"
RESOURCE: Final = "nvidia.com/gpu"

_NAMES: Final = uuid.UUID("6f1d1f0e-52c5-4f0b-8f43-0f5d1b1f9a10")


class Node:
    """One node with one GPU, shared as `sharing` says among `replicas`."""

    def __init__(self, folder: Path, gpu: str, *, sharing: str, replicas: int, policy: str) -> None:
        self._folder, self._gpu, self._sharing, self._replicas = folder, gpu, sharing, replicas
        self.kubelet = Kubelet(folder / "kubelet.sock")
        self.api = FakeApiServer()
        self.procfs = FakeProcfs(folder / "proc")
        self._stack = ExitStack()
        self._policy = folder / "policy.yaml"
        self._policy.write_text(policy, encoding="utf-8")
        self._slots = iter(self._spellings())

    def __enter__(self) -> Self:
        """Come up."""
        self._stack.enter_context(self.kubelet)
        self._stack.enter_context(self.api)
        self.api.kubeconfig(self._folder / "kubeconfig")
        labels = {"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": str(self._replicas)}
        if self._sharing != "exclusive":
            labels["nvidia.com/gpu.sharing-strategy"] = self._sharing
        self.api.put_node(NODE, labels)
        self.kubelet.offer(RESOURCE, *self._spellings())
        return self

    def __exit__(self, *exc: object) -> None:
        """Go away."""
        self._stack.close()

    def _spellings(self) -> tuple[str, ...]:
        if self._sharing == "exclusive":
            return (self._gpu,)
        return tuple(f"{self._gpu}::{number}" for number in range(self._replicas))

    def run_pod(self, name: str) -> None:
        """Start a pod that holds one slot of the GPU."""
        self.kubelet.hold(NAMESPACE, name, CONTAINER, RESOURCE, next(self._slots))
        self.api.put(_pod_object(name))

    def place(self, pid: int, name: str | None, real: int | None = None) -> None:
        """Put a process into a pod, or outside of all. `real` is its pid here, where the driver calls it otherwise."""
        command, started = _facts(pid if real is None else real)
        if name is None:
            self.procfs.put(pid, command, "/system.slice/outside.service", started=started)
        else:
            self.procfs.put_in_pod(pid, command, _uid(name), _container_id(name), started=started)

    def flags(self, tick: str = "1s") -> list[str]:
        """What the exporter, the doctor and the recorder are given."""
        places = {
            "node.name": NODE,
            "tick": tick,
            "path.procfs": str(self.procfs.root),
            "podresources.socket": str(self.kubelet.path),
            "kubernetes": str(self._folder / "kubeconfig"),
            "policy.file": str(self._policy),
            "path.hami": "",
            "path.mps": "",
            "path.dra-checkpoint": "",
        }
        return [f"--{name}={value}" for name, value in places.items()]


def _uid(name: str) -> str:
    return str(uuid.uuid5(_NAMES, name))


def _container_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _facts(pid: int) -> tuple[str, int]:
    """Command and start time of a process of this machine."""
    stat = parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    if stat is None:
        raise ProcessLookupError(f"/proc/{pid}/stat is no process's")
    return stat.command, stat.started


def _pod_object(name: str) -> dict[str, Any]:
    status = {"name": CONTAINER, "containerID": f"containerd://{_container_id(name)}", "state": {"running": {}}}
    return {
        "metadata": {"uid": _uid(name), "namespace": NAMESPACE, "name": name},
        "spec": {"nodeName": NODE, "containers": [{"name": CONTAINER}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    }


def outside(pid: int) -> bool:
    """Whether a pid is no process that can be seen from here: the driver counts in another pid namespace."""
    return not os.path.exists(f"/proc/{pid}")  # noqa: PTH110  # one system call, asked often

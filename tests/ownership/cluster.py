"""What the tests of the watch share: a pod in the API's form, quick periods, and questions to a source."""

from __future__ import annotations

import time
from typing import Any

import pytest

from exporter.errors import SourceError
from exporter.model import Pods
from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_watch import Timing
from tests.fakes.apiserver import FakeApiServer, eventually

NODE = "node-1"
FAST = Timing(watch=30, silence=20, request=5, stale=60, node=0.05, retry=0.01, longest_retry=0.05)


def pod_object(uid: str, node: str = NODE, phase: str = "Running") -> dict[str, Any]:
    """Return a pod as the API server has it."""
    return {
        "metadata": {"uid": uid, "name": f"pod-{uid}", "namespace": "team"},
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
        "status": {"phase": phase},
    }


def read(source: KubernetesPods) -> Pods:
    """Read a source now."""
    return source.read(time.monotonic())


def uids(source: KubernetesPods) -> set[str]:
    """Return the uids in the store; none while it cannot be read."""
    try:
        return {pod.uid for pod in read(source).items}
    except SourceError:
        return set()


def failure(source: KubernetesPods) -> SourceError:
    """Return what a read raises; fail the test when it does not."""
    with pytest.raises(SourceError) as caught:
        read(source)
    return caught.value


def watching(api: FakeApiServer, source: KubernetesPods, *expected: str) -> None:
    """Wait until a watch is open and the store holds these pods."""
    eventually(lambda: api.opened > 0 and uids(source) == set(expected))

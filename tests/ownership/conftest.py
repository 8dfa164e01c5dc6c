"""Fixtures of the tests of the watch: a server, and sources that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_watch import Timing
from tests.fakes.apiserver import FakeApiServer
from tests.ownership.cluster import FAST, NODE


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with FakeApiServer() as server:
        yield server


@pytest.fixture
def start(api: FakeApiServer, tmp_path: Path) -> Iterator[Callable[..., KubernetesPods]]:
    """Start sources that end with the test."""
    running: list[KubernetesPods] = []

    def make(timing: Timing = FAST) -> KubernetesPods:
        config = api.kubeconfig(tmp_path / "kubeconfig", token=api.token)
        running.append(KubernetesPods(NODE, kubeconfig=config, timing=timing, jitter=lambda: 0.5))
        return running[-1]

    yield make
    for source in running:
        source.close()

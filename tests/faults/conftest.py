"""The fake driver in this process, and a node on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.rig import Rig
from tests.fake_nvml.build import build
from tests.fake_nvml.library import FakeLibrary
from tests.fake_nvml.state import STATE_VARIABLE
from tests.faults.node import Node


@pytest.fixture(scope="session")
def driver_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake driver, compiled once."""
    return build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def counted(driver_library: Path) -> FakeLibrary:
    """The fake driver in this process, with its counters."""
    return FakeLibrary(driver_library.parent)


@pytest.fixture
def rig(tmp_path: Path, driver_library: Path) -> Iterator[Rig]:
    """A node's surroundings; no program runs on it yet."""
    with Rig(tmp_path, driver_library) as found:
        yield found


@pytest.fixture
def made(rig: Rig, counted: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], Node]]:
    """Make the node with its collector in this process, by --departed.keep; at the end the driver has everything back."""
    before = counted.concurrent_calls
    monkeypatch.setenv(STATE_VARIABLE, rig.variables()[STATE_VARIABLE])
    nodes: list[Node] = []

    def make(keep: float) -> Node:
        nodes.append(Node(rig, keep))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()
    assert counted.concurrent_calls == before
    assert (counted.live_samples, counted.live_event_sets, counted.live_inits) == (0, 0, 0)


@pytest.fixture
def node(made: Callable[[float], Node]) -> Node:
    """The node, with the defaults."""
    return made(60.0)

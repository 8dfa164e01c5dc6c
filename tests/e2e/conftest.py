"""One fake driver for all end-to-end tests, and a node for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig import Rig
from tests.fake_nvml.build import build


@pytest.fixture(scope="session")
def driver_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake driver, compiled once."""
    return build(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def rig(tmp_path: Path, driver_library: Path) -> Iterator[Rig]:
    """A node with a driver, a kubelet, an API server and a procfs; nothing of it runs but the API server."""
    with Rig(tmp_path, driver_library) as node:
        yield node

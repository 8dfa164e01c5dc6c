"""One evening for all tests of the dashboards that run in one process: to fill its Prometheus takes the longest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.scene import scene
from tests.slo.servers import Prometheus


@pytest.fixture(scope="package")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The Prometheus of `scene`."""
    with scene(tmp_path_factory.mktemp("scene")) as server:
        yield server

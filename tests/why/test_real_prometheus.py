"""The queries on a real Prometheus, and the fake that the other tests use held to it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.errors import SourceError
from exporter.why import from_prometheus
from exporter.why.case import Case
from exporter.why.fetch import fetch
from exporter.why.prometheus import Prometheus
from tests.why.fake_prometheus import FakePrometheus
from tests.why.story import VICTIM, Told, starved, tell
from toolkit.site import site

pytestmark = pytest.mark.real
EXTRA = {"instance": "10.0.0.1:9945", "job": "slicewatch"}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed: apt-get install prometheus")
        pytest.skip(f"{name} is not installed: apt-get install prometheus")
    return found


def openmetrics(story: Told) -> str:
    """The story as one file with time stamps, which promtool makes blocks of."""
    families: dict[str, list[str]] = {}
    for at, page in story.pages:
        for line in page.splitlines():
            if line.startswith("gpu_"):
                name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()  # type: ignore[union-attr]
                extra = ",".join(f'{key}="{text}"' for key, text in EXTRA.items())
                families.setdefault(name, []).append(f"{name}{{{labels},{extra}}} {value} {at:.3f}")
    lines = [line for name, rows in families.items() for line in (f"# TYPE {name} unknown", *rows)]
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def prometheus(folder: Path, story: Told) -> Iterator[str]:
    server, tool = program("prometheus"), program("promtool")
    written, data = folder / "story.om", folder / "data"
    written.write_text(openmetrics(story))
    make = [tool, "tsdb", "create-blocks-from", "openmetrics", str(written), str(data)]
    subprocess.run(make, check=True, capture_output=True, timeout=30)
    (folder / "prometheus.yml").write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=error",
    ]
    running = subprocess.Popen([server, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(f"http://{address}")
        yield f"http://{address}"
    finally:
        running.terminate()
        running.wait(20)


def _await(url: str) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            fetch(site(url), "/-/ready", deadline=2)
        except SourceError:
            assert time.monotonic() < until, "Prometheus did not start"
            time.sleep(0.05)
        else:
            return


def told(asked: Prometheus, window: float) -> dict[str, Case]:
    gpus = from_prometheus.gpus_of(asked, "pricing", VICTIM, window)
    return {case.owner: case for case in from_prometheus.cases(asked, window, gpus)}


def test_prometheus_answers_as_the_fake_does(tmp_path: Path) -> None:
    story = tell("time-slicing-hog", 60.0, starved)
    fake = FakePrometheus(story.pages, EXTRA)
    with prometheus(tmp_path, story) as url:
        for window in (1800.0, 30.0):
            real = told(Prometheus(site(url), fetch, story.at), window)
            faked = told(Prometheus(site(url), fake, story.at), window)
            assert len(real) == 4
            assert real == faked
        fleet = from_prometheus.cases(Prometheus(site(url), fetch, story.at), 60.0)
        assert len(fleet) == 6
        assert len(from_prometheus.owners(Prometheus(site(url), fetch, story.at), 60.0)) == 6
        for query in dict.fromkeys([*fake.queries, _ALL_INCREASES]):
            assert rows(Prometheus(site(url), fetch, story.at), query) == pytest.approx(
                rows(Prometheus(site(url), fake, story.at), query)
            ), query


_ALL_INCREASES = 'increase({__name__="gpu_partition_share_seconds_total"}[40000ms])'


def rows(asked: Prometheus, query: str) -> dict[object, float]:
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in asked.query(query)}


def test_a_query_that_prometheus_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with prometheus(tmp_path, tell("idle-tenant", 3.0)) as url, pytest.raises(SourceError, match="parse error"):
        Prometheus(site(url), fetch).query("sum(")

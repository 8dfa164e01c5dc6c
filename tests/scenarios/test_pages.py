"""One golden page a scenario, byte for byte; `make golden` rewrites them, and the diff is the review."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.catalogue import METRICS, Kind
from exporter.simulator import scenario
from tests.scenarios.stage import played

UNTIL = 45.0
PAGES = Path(__file__).parent / "pages"
BY_NAME = {metric.name: metric for metric in METRICS}

KNOWN_LINT = 'gpu_device_sm_count non-histogram and non-summary metrics should not have "_count" suffix'
"""The contract's name; promtool would rather have another. It is the one complaint that stands (docs/design.md)."""


@cache
def page(name: str) -> tuple[bytes, bytes]:
    rendered = played(name, UNTIL).rendered
    return rendered.text, rendered.openmetrics


def same_everywhere(text: bytes) -> str:
    """Blank what depends on the machine: the interpreter's version."""
    return re.sub(r'python="[^"]*"', 'python="3"', text.decode())


@pytest.mark.parametrize("name", scenario.names())
def test_a_scenario_makes_its_golden_page(name: str) -> None:
    found = same_everywhere(page(name)[0])
    path = PAGES / f"{name}.prom"
    if os.environ.get("GOLDEN") == "write":
        PAGES.mkdir(exist_ok=True)
        path.write_text(found)
    assert path.is_file(), f"no golden page {path}: run `make golden` and read it"
    assert found == path.read_text(), f"{path.name} differs: run `make golden` and read the diff"


def test_there_is_no_golden_page_without_a_scenario() -> None:
    assert {path.stem for path in PAGES.glob("*.prom")} == set(scenario.names())


def samples(text: str, *, openmetrics: bool) -> Iterator[tuple[str, tuple[str, ...], float]]:
    families = parse_openmetrics(text) if openmetrics else parse_text(text)
    for family in families:
        for sample in family.samples:
            yield sample.name, tuple(sample.labels), sample.value


@pytest.mark.parametrize("name", scenario.names())
def test_both_formats_parse_and_say_the_same(name: str) -> None:
    text, openmetrics = page(name)
    one = sorted(samples(text.decode(), openmetrics=False))
    other = sorted(samples(openmetrics.decode(), openmetrics=True))
    assert one == other
    assert len(one) > 50


@pytest.mark.parametrize("name", scenario.names())
def test_a_page_holds_only_metrics_of_the_catalogue_with_exactly_their_labels(name: str) -> None:
    for sample, labels, _ in samples(page(name)[0].decode(), openmetrics=False):
        metric = BY_NAME.get(sample) or BY_NAME[re.sub("_(bucket|count|sum)$", "", sample)]
        wanted = metric.label_names
        if metric.kind is Kind.HISTOGRAM and sample.endswith("_bucket"):
            wanted = (*wanted, "le")
        assert labels == wanted, sample


def test_every_metric_of_the_catalogue_is_seen_on_some_page() -> None:
    seen = {
        re.sub("_(bucket|count|sum)$", "", sample) if sample not in BY_NAME else sample
        for name in scenario.names()
        for sample, _, _ in samples(page(name)[0].decode(), openmetrics=False)
    }
    assert set(BY_NAME) == seen


@pytest.mark.real
@pytest.mark.parametrize("name", scenario.names())
def test_promtool_finds_the_page_well_made(name: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed: apt-get install prometheus")
        pytest.skip("promtool is not installed: apt-get install prometheus")
    run = subprocess.run(
        [promtool, "check", "metrics"], input=page(name)[0], capture_output=True, timeout=30, check=False
    )
    complaints = (run.stdout + run.stderr).decode().strip().splitlines()
    assert complaints == [KNOWN_LINT]

"""The screens, byte for byte; `GOLDEN=write` rewrites them, and whoever does reads them as a tired person would."""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path

import pytest

from exporter.status import cli as status
from exporter.why import cli as why
from tests.why.fake_prometheus import FakePrometheus
from tests.why.story import Judge, Told, as_judged, bursty, starved, tell
from toolkit.site import Site

SCREENS = Path(__file__).parent / "screens"
VICTIM = "pricing/demand-forecast-train-wq6b2"

WHY: dict[str, tuple[str, float, Judge | None, str, int]] = {
    "neighbour": ("time-slicing-hog", 60.0, starved, VICTIM, 1),
    "yourself": ("time-slicing-hog", 60.0, bursty, "research/notebook-tomasz-0", 0),
    "blind": ("time-slicing-hog", 45.0, None, VICTIM, 0),
    "throttle": ("thermal-throttle", 45.0, None, "foundation/finetune-legal-master-0", 1),
    "throttle-over": ("thermal-throttle", 65.0, None, "foundation/finetune-legal-master-0", 1),
    "rogue-process": ("rogue-process", 45.0, None, "recommendations/session-model-train-c7m4x", 1),
    "mig-reshaped": ("mig-reshaped", 45.0, None, "fraud/card-scoring-1", 1),
    "memory-hog": ("mps-memory-hog", 45.0, None, "speech/call-transcriber-5d8c6b7d9f-m7vfs", 1),
    "memory-hog-itself": ("mps-memory-hog", 45.0, None, "summaries/doc-summarizer-66d9c7b5f8-k4tqz", 0),
    "idle": ("idle-tenant", 45.0, None, "research/workbench-amara-0", 0),
    "hook-off": ("hami-hook-off", 45.0, None, "vision/defect-detector-0", 1),
    "hook-off-itself": ("hami-hook-off", 45.0, None, "research/ablation-grid-7wqk2", 1),
    "oversubscribed": ("oversubscribed", 30.0, None, "maps/tile-segmenter-54d7c9f6b8-dx4rz", 1),
}
STATUS: dict[str, tuple[str, float, Judge | None, int]] = {
    "status-demo": ("demo", 35.0, as_judged, 1),
    "status-neighbour": ("time-slicing-hog", 60.0, starved, 1),
    "status-memory-hog": ("mps-memory-hog", 45.0, None, 1),
    "status-hook-off": ("hami-hook-off", 10.0, None, 1),
    "status-idle": ("idle-tenant", 30.0, None, 0),
}


@cache
def told(scenario: str, until: float, judge: Judge | None) -> Told:
    return tell(scenario, until) if judge is None else tell(scenario, until, judge)


def golden(name: str, found: str) -> None:
    path = SCREENS / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        SCREENS.mkdir(exist_ok=True)
        path.write_text(found)
    assert path.is_file(), f"no screen {path}: run with GOLDEN=write and read it"
    assert found == path.read_text(), f"{path.name} differs: run with GOLDEN=write and read the diff"


@pytest.mark.parametrize("name", WHY)
def test_why_draws_its_golden_screen(name: str) -> None:
    scenario, until, judge, pod, exit_status = WHY[name]
    story, out = told(scenario, until, judge), io.StringIO()

    def exporter(site: Site, path: str, form: bytes | None = None) -> bytes:
        assert (site.url, path, form) == ("http://localhost:9945", "/snapshot", None)
        return story.snapshot

    assert why.main([pod], {}, out, exporter) == exit_status
    golden(name, out.getvalue())


@pytest.mark.parametrize("name", ["neighbour", "throttle-over", "rogue-process"])
def test_why_draws_its_golden_screen_from_prometheus(name: str) -> None:
    scenario, until, judge, pod, exit_status = WHY[name]
    story, out = told(scenario, until, judge), io.StringIO()
    fake = FakePrometheus(story.pages)
    argv = [pod, "--prometheus", "http://prometheus:9090", "--since", "5m", "--at", str(story.at)]
    assert why.main(argv, {}, out, fake) == exit_status
    golden(f"{name}-from-prometheus", out.getvalue())


@pytest.mark.parametrize("name", STATUS)
def test_status_draws_its_golden_screen(name: str) -> None:
    scenario, until, judge, exit_status = STATUS[name]
    story, out = told(scenario, until, judge), io.StringIO()
    assert status.main([], {}, out, lambda _site, _path, _form=None: story.snapshot) == exit_status
    golden(name, out.getvalue())


def test_status_from_prometheus_has_the_same_lines_as_from_the_exporter() -> None:
    story, out = told("time-slicing-hog", 60.0, starved), io.StringIO()
    argv = ["--prometheus", "http://prometheus:9090", "--at", str(story.at)]
    assert status.main(argv, {}, out, FakePrometheus(story.pages)) == 1
    one, other = out.getvalue().splitlines(), (SCREENS / "status-neighbour.txt").read_text().splitlines()
    assert one[0] == other[0].replace("since each partition was first seen", "the last 30m")
    assert one[1:] == other[1:]


def test_every_screen_is_drawn_by_a_test() -> None:
    drawn = {*WHY, *STATUS, *(f"{name}-from-prometheus" for name in ("neighbour", "throttle-over", "rogue-process"))}
    assert {path.stem for path in SCREENS.glob("*.txt")} == drawn


@pytest.mark.parametrize("path", sorted(SCREENS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_screen_fits_its_width(path: Path) -> None:
    widest = max(len(line) for line in path.read_text().splitlines())
    assert widest <= (160 if path.stem.startswith("status") else 120)

"""The soak measures what it says: its line, its means, its verdicts; and a short one, on a real exporter, finds nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.soak import report
from bench.soak.line import Line, fit, means
from bench.soak.run import Plan, soak
from bench.soak.sample import Held, Sample
from tests.faults.books import Books


def test_a_line_is_found_with_the_error_of_its_slope():
    assert fit([(0, 1), (1, 3), (2, 5)]) == Line(2.0, 0.0)
    assert fit([(0, 1), (1, 3)]) is None
    assert fit([(1, 1), (1, 2), (1, 3)]) is None
    chance = random.Random(3)  # noqa: S311  # noise
    found = fit([(x / 60, 50 + 3 * x / 60 + chance.gauss(0, 0.5)) for x in range(60)])
    assert found is not None
    assert abs(found.slope - 3) < 3 * found.error
    assert found.error == pytest.approx(0.5 / (60 * 1 / 12) ** 0.5, rel=0.3)


def test_neighbouring_samples_are_averaged():
    assert means([(0, 1), (30, 3), (60, 10), (119, 20)], 60) == [(15, 2), (89.5, 15)]


def grown(slope: float, *, hours: float, noise: float = 0.2, step: float = 5.0) -> list[Sample]:
    chance = random.Random(1)  # noqa: S311  # noise
    return [
        Sample(
            at=at,
            own=Held(rss=60 + slope * at / 3600 + chance.gauss(0, noise), descriptors=9, threads=13),
            evaluator=None,
            series=1,
            partition_series=0,
            page_bytes=1,
            ticks=at,
            down=(),
            trouble="",
        )
        for at in (step * number for number in range(round(hours * 3600 / step)))
    ]


@pytest.mark.parametrize(
    ("slope", "hours", "noise", "met"), [(0.1, 1, 0.2, True), (9.0, 1, 0.2, False), (0.1, 0.05, 0.2, None)]
)
def test_memory_is_flat_grows_or_was_watched_too_short(slope: float, hours: float, noise: float, met: bool | None):  # noqa: FBT001  # a table
    own = report.growth(grown(slope, hours=hours, noise=noise), lambda sample: sample.own)
    assert own is not None
    assert report._flat(own).met is met


def series(outcome: str, seconds: float, guarantee: str = "memory") -> bytes:
    labels = f'gpu="G",device="D",namespace="n",pod="p",container="c",guarantee="{guarantee}",outcome="{outcome}"'
    return f"gpu_partition_guarantee_seconds_total{{{labels}}} {seconds}\n".encode()


@pytest.mark.parametrize(
    ("later", "fault"),
    [
        (series("kept", 9.0), ""),
        (series("kept", 7.0), "went back from 8.0 to 7.0"),
        (series("kept", 8.5), "is older by 0.5 s after 1.0 s"),
        (series("kept", 9.0) + series("kept", 8.0, "compute"), "sum to 8.0, not 9.0"),
    ],
)
def test_the_auditor_sees_a_counter_that_is_wrong(later: bytes, fault: str):
    books = Books()
    books.read(series("kept", 8.0), 1.0)
    books.read(later, 1.0)
    assert (fault in "\n".join(books.faults)) if fault else books.faults == []


def test_a_short_soak_finds_nothing(tmp_path: Path, driver_library: Path):
    plan = Plan(duration=12.0, reshape=4.0, sample=1.0, trouble_every=3.0, trouble_lasts=1.0, keep=2.0, evaluator=False)
    soaked = soak(plan, tmp_path, driver_library)
    assert soaked.faults == []
    assert (soaked.unhealthy, soaked.left_over) == (0, 0)
    assert soaked.born > 40
    assert soaked.troubles > 0
    assert max(one.partition_series for one in soaked.samples) > 100
    told = report.document(plan, soaked, "a machine", "a commit")
    text, _ = report.text(told)
    assert "met: no series of a partition is left when all pods have gone; measured 0 series" in text

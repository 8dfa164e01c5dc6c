"""Rules and evaluator are two ways to one number: on a real Prometheus, at every minute of generated histories."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from slo import sli
from slo.grid import counters, facts
from slo.rules import slices as rules
from slo.slices import Slices, slices
from slo.spec import Objective, PartitionSLO, Severity, Sli, Subject
from tests.slo.parity.histories import COUNTER, INFO, PROMISE, START, fleet, openmetrics, samples
from tests.slo.servers import Prometheus, prometheus

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

MINUTES = 600
FIRST, LAST = START + 60, START + MINUTES * 60


def spec(subject: Subject, allow: float, wanted: float = 1.0) -> PartitionSLO:
    return PartitionSLO(
        name="compute",
        sli=Sli(subject=subject, guarantee="compute", dimension="compute", allow=allow, wanted=wanted),
        objectives=(
            Objective(
                name="some", classes=("isolated", "declared"), target=0.99, fast=Severity.PAGE, slow=Severity.TICKET
            ),
        ),
    )


Points = dict[tuple[str, int], bool]


def recorded(server: Prometheus, expression: str) -> set[tuple[str, int]]:
    """Pod and minute of every point of a marker."""
    found: list[dict[str, Any]] = server.query_range(expression, FIRST, LAST)
    assert all(value == "1" for row in found for _, value in row["values"])
    return {(row["metric"]["pod"], int(at)) for row in found for at, _ in row["values"]}


def judged(found: Slices, least: int) -> set[tuple[str, int]]:
    return {
        (found.entities[row].pod, found.first + int(column) * 60)
        for row in range(len(found.entities))
        for column in (found.states[row] >= least).nonzero()[0]
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_every_minute_of_every_partition_is_the_same(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    history = fleet(24, MINUTES, seed)
    known = facts(samples(history, INFO), samples(history, PROMISE), ())
    values = counters(samples(history, COUNTER), "compute", (), START, LAST)
    compared = marked = 0
    with prometheus(tmp_path, openmetrics=openmetrics(history), flags=("--query.max-samples=200000000",)) as server:
        for one in (
            spec(Subject.GUARANTEE, 0.25),
            spec(Subject.GUARANTEE, 0.0, wanted=30.0),
            spec(Subject.COVERAGE, 0.5),
        ):
            found = slices(one, values, known)
            for expression, least in ((rules.valid(one), sli.GOOD), (rules.bad(one), sli.BAD)):
                ours, theirs = judged(found, least), recorded(server, expression)
                assert ours == theirs, sorted(ours ^ theirs)[:20]
                compared += found.states.size
                marked += len(theirs)
    assert marked > 10_000
    with capsys.disabled():
        sys.stdout.write(f"\nparity, seed {seed}: {compared:,} points compared, {marked:,} marked, none differs\n")

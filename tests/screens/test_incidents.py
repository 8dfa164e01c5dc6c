"""The story that the demo tells: what breaks, when an alert fires, and what ends it."""

from __future__ import annotations

from exporter.incidents import Story, follow
from exporter.ledger import Limits
from exporter.model import Missing, Reason
from exporter.pipeline import State, step
from tests.join.worlds import POLICY, allocations, evidence, gpu, holds, pod, pods, reading, uuid

HELD, STORE = allocations(holds("a", uuid("GPU", 1))), pods(pod("a"))
THERE, LOST, SILENT = reading([gpu(1)]), reading([gpu(1, lost=True)]), Missing(Reason.TIMEOUT)


def kinds(*drivers: object) -> list[tuple[float, str]]:
    state, story, told = State(), Story(), []
    for second, driver in enumerate(drivers):
        result = step(state, evidence(driver, HELD, STORE, at=float(second)), POLICY, Limits())  # type: ignore[arg-type]
        state, story = result.state, follow(story, result)
        told += [(line.at, line.kind) for line in story.news]
    return told


def test_an_alert_fires_when_a_guarantee_was_broken_for_five_seconds() -> None:
    assert kinds(THERE, *[LOST] * 7) == [(1.0, "broken"), (6.0, "alert")]


def test_a_guarantee_that_is_kept_again_ends_the_incident() -> None:
    assert kinds(LOST, LOST, THERE) == [(0.0, "broken"), (2.0, "resolved")]


def test_a_tick_that_cannot_tell_does_not_end_it() -> None:
    assert kinds(LOST, SILENT, SILENT, LOST) == [(0.0, "broken")]

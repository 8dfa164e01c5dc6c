"""Every drift of the catalogue is detected, named and judged; and nodes that are as they should be have none."""

from __future__ import annotations

import pytest

from exporter.drift import Severity
from exporter.simulator import scenario
from tests.drift import catalogue
from tests.drift.catalogue import CASES, Case, play, verdict
from tests.drift.worlds import hooked, mps, part, set_as_promised, whole
from tests.join.worlds import facts, think
from tests.scenarios.stage import played


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_drift_is_detected_named_and_judged(case: Case) -> None:
    result, drift = play(case)
    assert drift is not None, result.drifts
    assert drift.severity is case.severity
    assert verdict(result, drift) == case.judged


def test_the_catalogue_is_whole() -> None:
    assert {case.number for case in CASES} == set(range(1, 17))
    assert len(catalogue.table().splitlines()) == len(CASES) + 1


def test_a_node_that_is_as_it_should_be_has_no_drift() -> None:
    assert think(whole(facts(10, "uid-a", "a-main"))).drifts == ()
    kept = hooked(
        ("a", part(30, 10)), ("b", part(60, 20)), limits={"a": set_as_promised(30, 10), "b": set_as_promised(60, 20)}
    )
    assert think(*kept).drifts == ()
    assert think(*mps(daemon=None)).drifts == ()


def test_the_worst_drift_is_told_first() -> None:
    order = list(Severity)
    drifts = played("hami-hook-off", 5).result.drifts
    assert [order.index(drift.severity) for drift in drifts] == sorted(order.index(d.severity) for d in drifts)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mig-mixed", set()),
        ("hami-hook-off", {"unenforced"}),
        ("kai-fractions", {"rogue_process"}),
        ("dra-claims", set()),
        ("rogue-process", {"rogue_process", "host_process"}),
        ("oversubscribed", {"oversubscribed"}),
        ("gpu-lost", {"device_lost"}),
        ("mig-reshaped", {"mig_reconfigured"}),
    ],
)
def test_a_scenario_shows_the_drifts_of_its_story(name: str, expected: set[str]) -> None:
    assert name in scenario.names()
    assert {drift.name for drift in played(name, 45).result.drifts} == expected

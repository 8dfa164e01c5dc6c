"""The arithmetic of burn rates against the SRE workbook's tables, and against a total breach played minute by minute."""

from __future__ import annotations

import pytest

from slo.burnrate import BURNS, exact, threshold, thresholds
from slo.spec import Objective, PartitionSLO, Severity, Sli, Subject

DAY = 86400
SLI = Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.1)


def spec(target: float, period: int = 30 * DAY, slow: Severity = Severity.TICKET) -> tuple[PartitionSLO, Objective]:
    objective = Objective(name="all", target=target, fast=Severity.PAGE, slow=slow)
    return PartitionSLO(name="s", sli=SLI, period=period, objectives=(objective,)), objective


@pytest.mark.parametrize(
    ("days", "factors"),
    [(30, [14.4, 6, 3, 1]), (28, [13.44, 5.6, 2.8, 0.933333333333]), (7, [3.36, 1.4, 0.7, 0.233333333333])],
)
def test_factors_are_the_workbooks(days: int, factors: list[float]):
    assert [found.factor for found in thresholds(*spec(0.99, days * DAY))] == factors


@pytest.mark.parametrize(
    ("target", "least"),
    [(0.95, [44, 109, 217, 217]), (0.99, [9, 22, 44, 44]), (0.995, [5, 11, 22, 22]), (0.999, [3, 3, 5, 5])],
)
def test_so_many_bad_slices_fire(target: float, least: list[int]):
    assert [found.least_bad for found in thresholds(*spec(target))] == least


def test_a_severity_of_none_has_no_threshold():
    assert [found.burn.name for found in thresholds(*spec(0.99, slow=Severity.NONE))] == ["fast", "fast"]


@pytest.mark.parametrize(("target", "possible"), [(0.93, False), (0.9306, True), (0.99, True)])
def test_a_target_so_low_that_a_total_breach_stays_below_cannot_fire(target: float, possible: bool):  # noqa: FBT001
    found = threshold(BURNS[0], Severity.PAGE, target, 30 * DAY, 3)
    assert found.possible is possible
    assert (found.long_above < 60 and found.short_above < 5) is possible


def test_thresholds_are_free_of_binary_dust():
    found = threshold(BURNS[0], Severity.PAGE, 0.999, 30 * DAY, 1)
    assert (found.long_above, found.short_above) == (0.864, 0.072)
    assert exact(1 - 0.999) == 0.001


def test_the_floor_holds_for_the_long_window_alone():
    found = threshold(BURNS[0], Severity.PAGE, 0.999, 30 * DAY, 3)
    assert found.least_bad == 3
    assert found.short_above == 0.072

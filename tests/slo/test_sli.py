"""Seconds and states of slices: what a step between two minutes says, and what it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.sli import BAD, GOOD, IDLE, UNKNOWN, seconds, states
from slo.spec import Sli, Subject

NONE = (math.nan,) * 4
COMPUTE = Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.25, wanted=1.0)
COVERAGE = Sli(subject=Subject.COVERAGE, guarantee="compute", dimension="compute", allow=0.5)


def step(before: tuple[float, ...], now: tuple[float, ...]) -> list[float]:
    found: list[float] = seconds(np.array(before), np.array(now)).tolist()
    return found


def state(spent: tuple[float, ...], sli: Sli = COMPUTE) -> int:
    return int(states(np.array(spent), sli))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param((100, 10, 5, 0), (140, 30, 5, 0), (40, 20, 0, 0), id="a minute is the difference"),
        pytest.param(NONE, (30, 10, 0, 0), (30, 10, 0, 0), id="born within the minute: the counters themselves"),
        pytest.param((500, 10, 0, 0), (30, 5, 0, 0), (30, 5, 0, 0), id="restarted: the counters themselves"),
        pytest.param((20, 0, 0, 0), (5, 55, 0, 0), (5, 55, 0, 0), id="restarted unseen: what went back counts from 0"),
        pytest.param((100, 0, 0, 0), (200, 0, 0, 0), (100, 0, 0, 0), id="a missed scrape is caught up"),
    ],
)
def test_a_step_that_can_be_told(before: tuple[float, ...], now: tuple[float, ...], expected: tuple[float, ...]):
    assert step(before, now) == list(expected)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param((40, 0, 0, 0), (40, 0, 0, 0), id="no new sample, and young enough to be taken for new"),
        pytest.param((40, 0, 0, 0), (40.4, 0, 0, 0), id="the dust of arithmetic is no new sample"),
        pytest.param((100, 0, 0, 0), (201, 0, 0, 0), id="back after a gap: when it was kept is not known"),
        pytest.param(NONE, (101, 0, 0, 0), id="first seen at an age"),
        pytest.param((900, 0, 0, 0), (101, 0, 0, 0), id="restarted longer ago than a step"),
        pytest.param((100, 0, 0, 0), NONE, id="gone"),
        pytest.param((100, 0, 0, 0), (160, 0, 0, math.nan), id="an outcome is missing"),
    ],
)
def test_a_step_of_which_nothing_is_known(before: tuple[float, ...], now: tuple[float, ...]):
    assert all(math.isnan(value) for value in step(before, now))


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        ((60, 0, 0, 0), GOOD),
        ((45, 15, 0, 0), GOOD),  # exactly what is allowed
        ((44.9, 15.1, 0, 0), BAD),
        ((0, 0.9, 59, 0), IDLE),  # wanted for less than a second
        ((0, 1, 59, 0), BAD),
        ((0, 0, 60, 0), IDLE),
        ((0, 0, 0, 60), IDLE),  # blind is measured, and counts for nothing here
        (NONE, UNKNOWN),
    ],
)
def test_a_slice_counts_the_time_that_was_wanted(spent: tuple[float, ...], expected: int):
    assert state(spent) == expected


@pytest.mark.parametrize(
    ("spent", "expected"),
    [((30, 0, 0, 30), GOOD), ((29, 0, 0, 31), BAD), ((0, 0, 60, 0), GOOD), ((0, 0, 0, 60), BAD), (NONE, UNKNOWN)],
)
def test_coverage_counts_all_time_and_blind_is_never_good(spent: tuple[float, ...], expected: int):
    assert state(spent, COVERAGE) == expected


SOME = st.tuples(*[st.floats(0, 40)] * 4)


@given(SOME, SOME)
def test_steps_add_up_whatever_the_outcomes_are(first: tuple[float, ...], more: tuple[float, ...]):
    now = tuple(a + b for a, b in zip(first, more, strict=True))
    if 0.5 < sum(now) - sum(first) <= 100:
        assert step(first, now) == pytest.approx(list(more), abs=1e-9)


def test_arrays_of_any_shape_are_judged_elementwise():
    before = np.zeros((3, 5, 4))
    now = np.tile(np.array([50.0, 10.0, 0.0, 0.0]), (3, 5, 1))
    assert states(seconds(before, now), COMPUTE).tolist() == [[GOOD] * 5] * 3

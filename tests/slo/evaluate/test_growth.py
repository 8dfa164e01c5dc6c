"""By how much counters grew: against a sum by hand over random histories with restarts, gaps, births and double scrapes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.growth import Growth
from slo.sli import LOOKBACK
from tests.slo.parity.histories import START, Series, samples

NAME = "lost"
MINUTES = 24
PAGE = 360
BIN = 120


def grown(history: list[Series]) -> dict[str, list[float]]:
    """Growth by pod and bin, read in pages of six minutes."""
    growth: Growth[str] = Growth(lambda labels: labels["pod"] or None, START, MINUTES * 60 // BIN, BIN)
    for first in range(START, START + MINUTES * 60, PAGE):
        inside = [
            Series(one.labels, [(at, value) for at, value in one.points if first - LOOKBACK < at <= first + PAGE])
            for one in history
        ]
        growth.page(samples(inside, NAME), first, first + PAGE)
    return {pod: found.tolist() for pod, found in growth.grown.items()}


def series(pod: str, points: list[tuple[float, float]], job: str = "a") -> Series:
    return Series({"__name__": NAME, "pod": pod, "job": job}, points)


@given(st.integers(0, 10_000))
def test_growth_is_the_sum_of_the_minutes(seed: int):
    rng = random.Random(seed)  # noqa: S311  # a test's history
    value = rng.choice([0.0, 5000.0])
    points: list[tuple[float, float]] = [(START, value)]
    expected = [0.0] * (MINUTES * 60 // BIN)
    for minute in range(1, MINUTES + 1):
        step = rng.choice([0.0, 60 * rng.random()])
        if value > 60 and rng.random() < 0.1:  # a restart that can be told
            value = step = rng.random() * 60
        else:
            value += step
        points.append((START + minute * 60, value))
        expected[(minute * 60 - 1) // BIN] += step
    found = grown([series("p", points), series("p", list(points), job="b")])
    assert found["p"] == pytest.approx(expected)


def test_who_is_born_counts_from_zero_and_who_was_there_before_does_not():
    late: list[tuple[float, float]] = [(START + 600 + n * 60, 50.0 + n) for n in range(5)]
    old: list[tuple[float, float]] = [(START + 600 + n * 60, 9000.0 + n) for n in range(5)]
    found = grown([series("born", late), series("old", old)])
    assert sum(found["born"]) == pytest.approx(54)
    assert sum(found["old"]) == pytest.approx(4)


def test_a_gap_is_bridged_also_across_pages():
    points: list[tuple[float, float]] = [(START, 100.0), (START + 60, 110.0), (START + 1200, 400.0)]
    assert sum(grown([series("p", points)])["p"]) == pytest.approx(300)


def test_what_is_of_no_interest_is_left_out():
    assert grown([series("", [(START, 1.0), (START + 60, 2.0)])]) == {}

"""The studies beside the truth bench: the fit, the ceiling and the replays say what they should of cases that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.truth import ranges_tuning
from bench.truth.ceiling import ALL, FAR, Flags, Numbers, lowest, ranked, study
from bench.truth.counterfactual import replayed
from bench.truth.fit import fitted, logistic, swept
from bench.truth.physics import Demand, Device, Kind
from bench.truth.rows import Row, rows
from bench.truth.worlds import Sampling, Tenant, World
from exporter.demand_inference import WEIGHTS


@pytest.fixture(scope="module")
def some_rows() -> list[Row]:
    return [row for seed in range(8) for row in rows(700_000 + seed, ranges_tuning.RANGES, everything=True)]


def test_the_regression_finds_the_odds_that_made_the_data() -> None:
    chance = np.random.default_rng(3)
    given = np.c_[np.ones(20_000), chance.normal(size=(20_000, 2))]
    odds = given @ np.array([-1.0, 2.0, 0.5])
    happened = (chance.random(20_000) < 1 / (1 + np.exp(-odds))).astype(float)
    assert logistic(given, happened) == pytest.approx([-1.0, 2.0, 0.5], abs=0.1)


def test_what_the_judge_uses_is_what_is_fitted(some_rows: list[Row]) -> None:
    asked = [row for row in some_rows if row.terms is not None]
    assert len(asked) > 10
    assert {len(row.terms or ()) for row in asked} == {len(WEIGHTS)}
    assert len(fitted(some_rows)) == len(WEIGHTS)
    # The weights in use tell breaches from others on worlds that they have not seen.
    odds: dict[bool, list[float]] = {True: [], False: []}
    for row in asked:
        odds[row.broken].append(float(np.dot(WEIGHTS, row.terms or ())))
    assert np.mean(odds[True]) > np.mean(odds[False]) + 2


def test_the_sweep_has_a_line_for_each_margin(some_rows: list[Row]) -> None:
    head, *lines = swept(some_rows)
    assert head.split()[0] == "margin"
    assert all(0.0 <= float(cell) <= 1.0 for line in lines for cell in line.split()[:7])
    assert lines[-1].endswith("if steadiness alone could condemn")


@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_the_threshold_is_the_lowest_that_keeps_both_goals(wrong: int) -> None:
    # 300 breaches found for sure, then `wrong` false ones far from the threshold, then one more breach.
    broken = np.array([True] * 300 + [False] * wrong + [True])
    found = np.linspace(1.0, 0.1, len(broken))
    threshold = lowest(found, broken, np.ones(len(broken), bool))
    called = found >= threshold
    assert (broken & called).sum() / called.sum() >= max(FAR, ALL)
    assert called.sum() == {0: 301, 1: 302, 20: 303}[wrong]


def test_no_threshold_keeps_the_goals_where_the_surest_are_wrong() -> None:
    assert lowest(np.array([0.9, 0.8]), np.array([False, True]), np.ones(2, bool)) == float("inf")


def test_the_study_sets_ceiling_and_judge_side_by_side(some_rows: list[Row]) -> None:
    def classify(_: Numbers, broken: Flags, asked: Numbers) -> Numbers:
        assert broken.any()
        return np.nan_to_num(asked[:, 0])  # a ranking by one figure will do

    text = list(study(some_rows, some_rows[:40], classify))
    told = [text[1], text[2], text[4], text[5]]
    assert [line.split(":")[-1].strip().split("  ")[0] for line in told] == ["the ceiling", "the judge"] * 2
    assert text[3].startswith("alone, on short bursts: ")
    assert "knowable" in text[-1]


def test_a_figure_that_separates_ranks_first_and_ties_count_half(some_rows: list[Row]) -> None:
    far = [replace(row, ratio=0.3 if row.broken else 1.2, short=row.broken) for row in some_rows if row.terms]
    broken = np.array([float(row.broken) for row in far])
    given = np.c_[np.ones(len(far)), -broken, np.where(np.arange(len(far)) % 2 == 0, broken, 0.0)]
    names = ["same", "telling", "half"]
    best = {name: part for part, name in ranked(far, names, given)}
    assert list(best) == ["telling", "half", "same"]
    assert (best["telling"], best["same"]) == (1.0, 0.5)


def backlogged(offset: int) -> Demand:
    return Demand(Kind.BACKLOGGED, 1.0, 0.0, (0.0,), steady=False, offset=offset)


def test_who_gives_the_most_back_took_the_most() -> None:
    # A hog with five processes, a small neighbour with one, a victim with one; a third is promised to each.
    tenants = (
        Tenant("victim", 1 / 3, (0,), "backlogged", False),  # noqa: FBT003  # the field's name is on the class
        Tenant("hog", 1 / 3, (1, 2, 3, 4, 5), "backlogged", False),  # noqa: FBT003
        Tenant("small", 1 / 3, (6,), "backlogged", False),  # noqa: FBT003
    )
    demands = tuple(backlogged(i) for i in range(7))
    world = World(5, tenants, demands, 0.002, 0.0, Sampling(1.0, 0.0, 0.0, 0.0, 0.0), changes=False)
    found = [each for each in replayed(world) if len(each.back) == 2]
    assert found
    for each in found:
        assert max(each.back, key=lambda name: each.back[name]) == "hog"
        assert each.ruled == "hog"
        assert each.agrees("hog")
        assert each.given
        assert not each.agrees("small")


def test_a_replay_with_everybody_is_what_happened() -> None:
    demands = (
        backlogged(0),
        Demand(Kind.CLOSED, 0.003, 0.01, (0.0,), steady=False, offset=9),
        Demand(Kind.OPEN, 0.004, 0.02, (0.0,), steady=False, offset=77),
    )
    device = Device(demands, 0.002, 0.0001)
    device.run(10.0)
    twin, before = device.fork([0, 1, 2], 1.0), list(device.used)
    device.run(30.0)
    twin.run(30.0)
    assert twin.used == pytest.approx(
        [after - first for after, first in zip(device.used, before, strict=True)], abs=0.02
    )

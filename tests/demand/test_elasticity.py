"""Elasticity: a share that moves with the length of a round is held up by it, one that does not is not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from exporter.demand import Answer, Evidence
from exporter.demand_elasticity import UNSEEN, Elasticity, Moves, elasticity
from exporter.demand_inference import ratio, terms
from exporter.demand_window import Means, means
from tests.demand.devices import POLICY, A, B, Seen, Use, watch

QUARTERS = {A: 0.25, B: 0.25}
SECONDS = 20


def seen(share: Callable[[float], float], seconds: int = SECONDS, noise: float = 0.0) -> Elasticity:
    """The elasticity of a share that is this function of the length of a round, in turns, which varies from 3 to 5."""
    chance, moves = random.Random(7), Moves()  # noqa: S311  # a reproducible stream
    for second in range(seconds):
        length = 4 + math.sin(second)
        moves = moves.grown(1.0, share(length) + chance.gauss(0.0, noise), 1 / length)
    return elasticity(Moves(), moves)


@pytest.mark.parametrize(
    ("share", "power"),
    [
        pytest.param(lambda length: 0.3 / length, 1.0, id="a burst a round, however short, and no pause"),
        pytest.param(lambda length: 0.3 / (length + 4.0), 0.5, id="as long thinking as waiting"),
        pytest.param(lambda _: 0.08, 0.0, id="work that arrives by itself"),
        pytest.param(lambda length: 0.02 * length, -1.0, id="more when the others are many"),
    ],
)
def test_the_power_is_the_part_of_the_time_spent_waiting(share: Callable[[float], float], power: float) -> None:
    found = seen(share)
    assert found.power == pytest.approx(power, abs=0.04)


def test_noise_widens_the_error_and_more_seconds_narrow_it() -> None:
    clear, noisy, longer = (seen(lambda _: 0.1, *more) for more in ((20, 0.0), (20, 0.02), (80, 0.02)))
    assert clear.error < longer.error < noisy.error
    assert abs(noisy.power) < 3 * noisy.error


def test_a_round_that_never_changes_tells_nothing() -> None:
    moves = Moves()
    for _ in range(SECONDS):
        moves = moves.grown(1.0, 0.1, 0.3)
    found = elasticity(Moves(), moves)
    assert found.power == pytest.approx(0.0, abs=1e-6)
    assert found.error > 0.3


@pytest.mark.parametrize(
    ("share", "beside"),
    [pytest.param(0.0, 0.5, id="it used nothing"), pytest.param(0.5, 0.02, id="nobody beside it to tell a round by")],
)
def test_a_second_that_says_nothing_is_not_counted(share: float, beside: float) -> None:
    assert Moves().grown(1.0, share, beside) == Moves()


def test_a_few_seconds_are_too_few() -> None:
    assert seen(lambda length: 0.3 / length, seconds=4) == UNSEEN
    assert elasticity(Moves(), Moves()) == UNSEEN


def rounds(share: Callable[[float], float]) -> Callable[[int], Use]:
    """A tenant beside two to four others that always have work; its share is that function of how many there are."""

    def use(second: int) -> Use:
        others = 2 + second % 3
        own = share(others)
        return {A: [own], B: [round((1 - own) / others, 2) if i < others else 0.0 for i in range(4)]}

    return use


def judged(share: Callable[[float], float]) -> tuple[Answer, Evidence]:
    said = watch(rounds(share), QUARTERS, seconds=40).answers[A]
    return said.answer, said.evidence


def test_tiny_bursts_that_wait_a_whole_turn_each_are_found_by_giving_way() -> None:
    # A fifth of a turn and no pause: on a quarter of a GPU of its own it would use all of it.
    assert judged(lambda others: round(0.2 / (others + 0.2), 2)) == (Answer.BROKEN, Evidence.QUEUEING)


def test_the_same_mean_share_that_does_not_give_way_is_not_called_broken() -> None:
    assert judged(lambda _: 0.07)[0] is not Answer.BROKEN


def test_a_share_that_grows_while_the_others_are_many_is_no_breach() -> None:
    assert judged(lambda others: 0.025 * others)[0] is not Answer.BROKEN


@pytest.mark.parametrize("percent", range(3, 11))
def test_requests_at_equal_times_are_not_condemned_for_being_steady(percent: int) -> None:
    said = watch({A: [percent / 100], B: [(1 - percent / 100) / 3] * 3}, QUARTERS, seconds=40).answers[A]
    assert said.answer is not Answer.BROKEN


def test_the_elasticity_is_of_the_window_and_not_of_before() -> None:
    before: Seen = watch(rounds(lambda others: round(0.2 / (others + 0.2), 2)), QUARTERS, seconds=60)
    after = watch(rounds(lambda _: 0.07), QUARTERS, seconds=int(POLICY.window) + 1, before=before)
    window = means(after.memory.tracks[A], after.at - POLICY.window)
    assert window is not None
    assert abs(elasticity(*window.moves).power) < 0.1


def test_a_round_is_told_by_the_largest_process_of_somebody_else() -> None:
    tracks = watch({A: [0.3, 0.4], B: [0.1, 0.2]}, QUARTERS, seconds=10).memory.tracks
    for holder, largest in ((A, 0.2), (B, 0.4)):
        moves = tracks[holder].last.moves
        assert moves.turn / moves.seconds == pytest.approx(math.log(largest))


@pytest.mark.parametrize(
    ("power", "ratio"),
    [
        pytest.param(1.0, 0.08 / 0.25, id="it always waits: its share of its promise"),
        pytest.param(0.5, 0.08 / 0.25 + 0.5, id="it thinks in half of the time"),
        pytest.param(0.0, 0.08 / 0.25 + 1.0, id="it never waits"),
        pytest.param(-2.0, 0.08 / 0.25 + 1.0, id="and not less than never"),
    ],
)
def test_the_elasticity_is_a_ratio_of_delivered_to_entitled(power: float, ratio: float) -> None:
    window = Means(20.0, 0.08, 1.0, 1, 0.4, 3.0, 0.01, None)
    told = terms(window, Elasticity(power, 0.1), None, 0.25)
    # Beyond 1.25 a ratio says no more than "content".
    assert told[8] == pytest.approx(min(1.25, ratio) - 0.9)


@pytest.mark.parametrize("tolerance", [0.02, 0.1, 0.3])
def test_a_policy_moves_the_threshold_and_not_the_estimate(tolerance: float) -> None:
    # A tenth of a GPU beside nine that always have work: every policy asks about the same tenant.
    window = Means(20.0, 0.1, 1.0, 1, 1.0, 9.0, 0.005, None)
    assert ratio(window, None, 0.25, 1 - tolerance) == ratio(window, None, 0.25, 0.9) < 0.7

"""The queueing model: what it says of devices whose answer is known in closed form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.queueing import dedicated, pause, readiness, under_pressure

SHARES = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_equal_shares_of_a_full_device_are_all_always_ready(count: int) -> None:
    assert readiness([1 / count] * count) == pytest.approx([1.0] * count)


@pytest.mark.parametrize(
    ("shares", "ready"),
    [
        ([], []),
        ([0.0, 0.0], [0.0, 0.0]),
        ([0.3], [0.3]),  # alone: ready only while it is served
        ([0.25, 0.75], [0.5, 1.0]),  # half of the time it shares the device with one that never pauses
        ([0.1, 0.0], [0.1, 0.0]),
    ],
)
def test_readiness_is_the_share_stretched_by_the_queue(shares: list[float], ready: list[float]) -> None:
    assert readiness(shares) == pytest.approx(ready, abs=0.02)


@given(SHARES)
def test_readiness_is_a_part_of_the_time_whatever_the_shares(shares: list[float]) -> None:
    for share, ready in zip(shares, readiness(shares), strict=True):
        assert min(share, 1.0) - 1e-9 <= ready <= 1.0


@given(st.lists(st.floats(0, 0.3), max_size=8), st.randoms(use_true_random=False))
def test_readiness_does_not_depend_on_the_order(shares: list[float], random: object) -> None:
    order = list(range(len(shares)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert readiness([shares[i] for i in order]) == pytest.approx([readiness(shares)[i] for i in order])


@pytest.mark.parametrize(
    ("processes", "thinking", "speed", "share"),
    [
        (1, 0.0, 0.25, 0.25),  # backlogged: the whole of it
        (3, 0.0, 0.25, 0.25),
        (1, 9.0, 0.25, 1 / (4 + 9)),  # computes 1 ms and thinks 9 ms
        (1, 1.0, 1.0, 0.5),
        (2, 1.0, 1.0, 0.8),  # mean value analysis of two customers by hand: 2 / (1 + 1.5)
    ],
)
def test_a_dedicated_device_gives_what_mean_value_analysis_says(
    processes: int, thinking: float, speed: float, share: float
) -> None:
    assert dedicated(processes, thinking, speed) == pytest.approx(share)


@given(st.integers(1, 8), st.floats(0, 1e4), st.floats(1e-3, 1))
def test_a_dedicated_device_never_gives_more_than_its_speed(processes: int, thinking: float, speed: float) -> None:
    assert 0.0 < dedicated(processes, thinking, speed) <= speed * (1 + 1e-9)


@given(st.integers(1, 4), st.floats(0.05, 20), st.floats(0, 6))
def test_the_pause_is_what_the_share_was_made_from(processes: int, thinking: float, pressure: float) -> None:
    share = under_pressure(processes, thinking, pressure)
    again = under_pressure(processes, pause(share, processes, pressure), pressure)
    assert again == pytest.approx(share, rel=0.12)  # Schweitzer's approximation against the exact recursion


@given(st.integers(1, 4), st.floats(0, 20), st.floats(0.1, 1))
def test_a_dedicated_device_is_like_a_queue_of_as_many_others(processes: int, thinking: float, speed: float) -> None:
    if processes == 1:
        assert under_pressure(1, thinking, 1 / speed - 1) == pytest.approx(dedicated(1, thinking, speed))

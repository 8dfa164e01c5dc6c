"""Compute on whole GPUs and MIG instances: clocks and what is attached, while the engine is busy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.exclusive_compute import Slow, exclusive_compute, slow_since
from exporter.model import EngineRun, GpuState, GpuUse, GpuUuid, Missing, Partition, Reason, Sampled, Throttle
from exporter.verdict import Cause, Evidence, Outcome, Verdict
from tests.join.worlds import gpu
from tests.judge.made import GPU1, POLICY, UNREAD, clocks, device, partition, process

FULL = clocks(1.5)


def busy(engine: object = 0.9, **changed: object) -> Partition:
    return partition(on=device(engine_active=engine), **changed)  # type: ignore[arg-type]


def judged(part: Partition, use: GpuUse) -> Verdict:
    return exclusive_compute(part, use, POLICY)


@pytest.mark.parametrize(("engine", "outcome"), [(0.0, Outcome.IDLE), (0.049, Outcome.IDLE), (0.05, Outcome.KEPT)])
def test_a_device_whose_engine_hardly_works_is_idle(engine: float, outcome: Outcome) -> None:
    found = judged(busy(engine), FULL)
    assert (found.outcome, found.evidence) == (outcome, Evidence.BUSY)


def test_an_idle_device_loses_nothing_to_a_slow_clock() -> None:
    assert judged(busy(0.01), clocks(0.1, Throttle.HW_THERMAL)).outcome is Outcome.IDLE


def test_at_the_reference_clock_the_promise_is_kept_and_boost_is_not_promised() -> None:
    for ratio in (1.0, 1.6):
        found = judged(busy(), clocks(ratio))
        assert (found.outcome, found.entitled, found.delivered) == (Outcome.KEPT, 1.0, 1.0)


def test_training_at_the_power_limit_is_normal_as_long_as_the_clock_is_above_the_reference() -> None:
    assert judged(busy(), clocks(1.1, Throttle.SW_POWER_CAP)).outcome is Outcome.KEPT


@pytest.mark.parametrize(("ratio", "outcome"), [(0.9001, Outcome.KEPT), (0.8999, Outcome.BROKEN)])
def test_a_tenth_less_is_tolerated_and_no_more(ratio: float, outcome: Outcome) -> None:
    assert judged(busy(), clocks(ratio, Throttle.SW_THERMAL)).outcome is outcome


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ({Throttle.HW_THERMAL}, Cause.THERMAL),
        ({Throttle.SW_THERMAL}, Cause.THERMAL),
        ({Throttle.SW_POWER_CAP}, Cause.POWER_CAP),
        ({Throttle.HW_POWER_BRAKE}, Cause.POWER_CAP),
        ({Throttle.HW_SLOWDOWN}, Cause.HW_SLOWDOWN),
        ({Throttle.HW_SLOWDOWN, Throttle.HW_THERMAL}, Cause.THERMAL),
        ({Throttle.HW_SLOWDOWN, Throttle.HW_POWER_BRAKE}, Cause.POWER_CAP),
        ({Throttle.SW_POWER_CAP, Throttle.SW_THERMAL}, Cause.THERMAL),
        ({Throttle.APPLICATIONS_CLOCKS}, Cause.UNKNOWN),
    ],
)
def test_a_slow_clock_is_blamed_on_the_most_specific_reason_that_the_driver_gives(
    reasons: set[Throttle], cause: Cause
) -> None:
    found = judged(busy(), clocks(0.75, *reasons))
    assert found.outcome is Outcome.BROKEN
    assert found.loss == {cause: pytest.approx(0.25)}
    assert found.delivered == pytest.approx(0.75)


def test_a_slow_clock_is_of_unknown_cause_where_reasons_cannot_be_read() -> None:
    assert judged(busy(), clocks(0.5, throttle=UNREAD)).loss == {Cause.UNKNOWN: pytest.approx(0.5)}


def test_a_slow_clock_that_nothing_holds_back_by_the_driver_is_not_blamed_on_anybody() -> None:
    found = judged(busy(), clocks(0.5))
    assert (found.outcome, found.reason) == (Outcome.BLIND, Reason.AMBIGUOUS)


@pytest.mark.parametrize("throttle", [frozenset(), UNREAD])
def test_a_light_load_lets_the_clock_down_by_itself(throttle: frozenset[Throttle] | Missing) -> None:
    found = judged(busy(0.3), clocks(0.2, throttle=throttle))
    assert (found.outcome, found.delivered) == (Outcome.KEPT, 1.0)
    assert judged(busy(0.5), clocks(0.2, throttle=throttle)).outcome is not Outcome.KEPT


def test_a_light_load_under_a_thermal_slowdown_is_slowed_all_the_same() -> None:
    assert judged(busy(0.3), clocks(0.2, Throttle.HW_THERMAL)).loss == {Cause.THERMAL: pytest.approx(0.8)}


def small(engine: float = 0.9) -> Partition:
    """Promised 2g (32 SMs of 132) and given 1g (16)."""
    return partition(on=device(1, engine_active=engine), compute=32 / 132)


def test_half_the_sms_are_half_the_promise() -> None:
    found = judged(small(), FULL)
    assert found.loss == {Cause.WRONG_PROFILE: pytest.approx(0.5)}
    assert found.delivered == pytest.approx(16 / 132)


def test_what_is_not_attached_and_what_is_slow_add_up_to_the_whole_loss() -> None:
    found = judged(small(), clocks(0.5, Throttle.SW_POWER_CAP))
    assert found.loss == {Cause.WRONG_PROFILE: pytest.approx(0.5), Cause.POWER_CAP: pytest.approx(0.25)}
    assert found.delivered == pytest.approx(8 / 132)


def test_a_small_instance_under_a_light_load_loses_its_sms_and_not_its_idle_clock() -> None:
    found = judged(small(0.3), clocks(0.2))
    assert found.loss == {Cause.WRONG_PROFILE: pytest.approx(0.5)}


def test_more_sms_than_promised_are_not_counted_as_delivered() -> None:
    found = judged(partition(on=device(1, sm_count=32.0), compute=16 / 132), FULL)
    assert found.outcome is Outcome.KEPT
    assert found.delivered == pytest.approx(16 / 132)


def test_more_sms_than_promised_make_up_for_no_slow_clock() -> None:
    found = judged(partition(on=device(1, sm_count=32.0), compute=16 / 132), clocks(0.5, Throttle.HW_THERMAL))
    assert found.loss == {Cause.THERMAL: pytest.approx(0.5)}


def test_a_promise_of_nothing_is_kept() -> None:
    assert judged(busy(compute=0.0), clocks(0.1, Throttle.HW_THERMAL)).outcome is Outcome.KEPT


@pytest.mark.parametrize(
    ("part", "use", "reason"),
    [
        (busy(UNREAD), FULL, Reason.TIMEOUT),
        (busy(), clocks(Missing(Reason.PERMISSION)), Reason.PERMISSION),
        (busy(), replace(FULL, sm_clock_max_hertz=UNREAD), Reason.TIMEOUT),
        (busy(compute=Missing(Reason.NOT_YET)), FULL, Reason.NOT_YET),
        (partition(on=device(1, sm_count=UNREAD)), FULL, Reason.TIMEOUT),
        (partition(on=device(1), gpu=None), FULL, Reason.UNSUPPORTED),
        (busy(device=None), FULL, Reason.UNSUPPORTED),
    ],
)
def test_what_cannot_be_read_is_blind_for_its_own_reason(part: Partition, use: GpuUse, reason: Reason) -> None:
    assert judged(part, use) == Verdict(Outcome.BLIND, reason)


@pytest.mark.parametrize(
    ("part", "use"),
    [
        (busy(), clocks(0.0)),
        (busy(), clocks(-1.0)),
        (busy(), replace(FULL, sm_clock_max_hertz=1e300)),
        (partition(on=device(1, sm_count=0.0)), FULL),
        (partition(on=device(1, sm_count=-16.0)), FULL),
    ],
)
def test_numbers_that_cannot_be_are_a_contradiction_and_no_breach(part: Partition, use: GpuUse) -> None:
    assert judged(part, use) == Verdict(Outcome.BLIND, Reason.CONTRADICTION)


# --- an engine that is known as a mean over half a minute that has passed (dcgm-exporter) ---

BEGAN = 70.0
HOT = clocks(0.75, Throttle.HW_THERMAL)
RUNS = (process(1),)


def mean(engine: float, run: EngineRun | None, *, low: bool = False, processes: object = RUNS) -> Partition:
    """A tenant whose engine was busy for this part of the time, and in the samples before as `run` says."""
    sampled = Sampled(
        source="dcgm",
        began=BEGAN + 60,
        seen=BEGAN + 105,
        interval=30.0,
        engine=run,
        low_confidence=low,
        readings=frozenset({"engine_active"}),
    )
    return partition(on=device(engine_active=engine, sampled=sampled, processes=processes))


def run_of(least: float, most: float) -> EngineRun:
    return EngineRun(BEGAN, least, most)


def judged_mean(part: Partition, use: GpuUse, slow: float | None) -> tuple[Outcome, Reason | None]:
    found = exclusive_compute(part, use, POLICY, None if slow is None else Slow(slow, BEGAN + 120))
    return found.outcome, found.reason


UNKNOWN = (Outcome.BLIND, Reason.DEMAND_UNKNOWN)


@pytest.mark.parametrize(
    ("part", "slow", "expected"),
    [
        (mean(0.95, run_of(0.91, 0.99)), BEGAN, (Outcome.BROKEN, None)),
        (mean(0.9, run_of(0.9, 0.9)), BEGAN - 5, (Outcome.BROKEN, None)),
        (mean(0.95, run_of(0.91, 0.99)), BEGAN + 1, UNKNOWN),
        (mean(0.95, run_of(0.91, 0.99)), None, UNKNOWN),
        (mean(0.95, run_of(0.89, 0.99)), BEGAN, UNKNOWN),
        (mean(0.95, None), BEGAN, UNKNOWN),
        (mean(0.95, run_of(0.91, 0.99), low=True), BEGAN, UNKNOWN),
        (mean(0.04, run_of(0.0, 0.04)), BEGAN, (Outcome.IDLE, None)),
        (mean(0.04, run_of(0.0, 0.05)), BEGAN, (Outcome.BLIND, Reason.NOT_YET)),
        (mean(0.04, None), BEGAN, (Outcome.BLIND, Reason.NOT_YET)),
        (mean(0.95, run_of(0.91, 0.99), processes=()), BEGAN, (Outcome.IDLE, None)),
        (mean(0.04, None, processes=()), BEGAN, (Outcome.IDLE, None)),
        (mean(0.95, run_of(0.91, 0.99), processes=UNREAD), BEGAN, (Outcome.BROKEN, None)),
    ],
    ids=[
        "wanted and slow throughout",
        "just",
        "slow for a part of it",
        "not slow before",
        "wanted for a part of it",
        "came since, or too few samples",
        "too low a mean",
        "idle throughout",
        "at work a while ago",
        "idle, and came since",
        "gone",
        "nobody came",
        "processes cannot be listed",
    ],
)
def test_a_mean_says_broken_of_a_time_that_was_wanted_and_slow_throughout(
    part: Partition, slow: float | None, expected: tuple[Outcome, Reason | None]
) -> None:
    assert judged_mean(part, HOT, slow) == expected


def test_at_full_clock_a_mean_says_kept_whichever_seconds_were_wanted() -> None:
    some = run_of(0.0, 0.95)
    for part in (mean(0.06, some), mean(0.5, None), mean(0.95, run_of(0.95, 0.95)), mean(0.3, some, low=True)):
        assert judged_mean(part, FULL, None) == (Outcome.KEPT, None)


def test_a_smaller_device_than_promised_needs_no_slow_clock() -> None:
    def small(engine: float) -> Partition:
        run = EngineRun(BEGAN, engine, engine)
        sampled = Sampled("dcgm", BEGAN, BEGAN, 30.0, engine=run, readings=frozenset({"engine_active"}))
        return partition(on=device(1, engine_active=engine, sampled=sampled, processes=RUNS), compute=0.5)

    assert judged_mean(small(0.95), FULL, None) == (Outcome.BROKEN, None)
    assert judged_mean(small(0.5), FULL, None) == UNKNOWN


def test_an_engine_of_now_needs_no_history_though_other_readings_are_means() -> None:
    sampled = Sampled("dcgm", BEGAN, BEGAN, 30.0, readings=frozenset({"sm_active"}))
    assert judged(partition(on=device(engine_active=0.3, sampled=sampled)), HOT).outcome is Outcome.BROKEN


def test_a_gpu_is_slow_since_the_first_of_the_ticks_in_a_row_that_see_it_slow() -> None:
    def slow(use: GpuUse, now: float, before: dict[GpuUuid, Slow]) -> dict[GpuUuid, Slow]:
        return slow_since((GpuState(gpu=gpu(1), use=use),), now, POLICY, before)

    first = slow(HOT, 10.0, {})
    assert first == {GPU1: Slow(10.0, 10.0)}
    second = slow(HOT, 11.0, first)
    assert second == {GPU1: Slow(10.0, 11.0)}
    assert slow(clocks(0.95, Throttle.HW_THERMAL), 12.0, second) == {}
    assert slow(clocks(UNREAD), 12.0, second) == {}
    # Nobody looked for a while, or the clock went back: it may have been anything in between.
    assert slow(HOT, 21.1, second) == {GPU1: Slow(21.1, 21.1)}
    assert slow(HOT, 9.0, second) == {GPU1: Slow(9.0, 9.0)}

"""Compute on whole GPUs and MIG instances: clocks and what is attached, while the engine is busy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.exclusive_compute import exclusive_compute
from exporter.model import GpuUse, Missing, Partition, Reason, Throttle
from exporter.verdict import Cause, Evidence, Outcome, Verdict
from tests.judge.made import POLICY, UNREAD, clocks, device, partition

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

"""The truth bench itself: its physics conserves time, its twin is the same tenant, and the judge has not seen either."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from bench.truth import ranges_report, ranges_tuning
from bench.truth.__main__ import main
from bench.truth.hearing import Case, hear
from bench.truth.physics import ENDLESS, Demand, Device, Kind
from bench.truth.score import judged, part, plain, rates
from bench.truth.story import play
from bench.truth.worlds import draw


def backlogged(offset: int = 0) -> Demand:
    return Demand(Kind.BACKLOGGED, 1.0, 0.0, (0.0,), steady=False, offset=offset)


def closed(burst: float, pause: float, offset: int = 0) -> Demand:
    return Demand(Kind.CLOSED, burst, pause, (0.0,), steady=False, offset=offset)


def arriving(burst: float, load: float, offset: int = 0) -> Demand:
    return Demand(Kind.OPEN, burst, burst / load, (0.0,), steady=False, offset=offset)


def used(demands: list[Demand], seconds: float = 100.0, speed: float = 1.0) -> list[float]:
    device = Device(demands, quantum=0.002, switch=0.0, speed=speed)
    device.run(seconds)
    return [each / seconds for each in device.used]


@pytest.mark.parametrize(
    ("demands", "speed", "expected"),
    [
        pytest.param([backlogged(), backlogged()], 1.0, [0.5, 0.5], id="turns are equal"),
        pytest.param([backlogged()], 0.25, [0.25], id="a slow device gives what it is"),
        pytest.param([closed(0.001, 0.009)], 1.0, [0.1], id="one that thinks nine times as long as it computes"),
        pytest.param([closed(0.001, 0.009)], 0.25, [1 / 13], id="and on a quarter of the device"),
        pytest.param([arriving(0.004, 0.2)], 0.25, [0.2], id="arrivals are all served, however slowly"),
        pytest.param([arriving(0.004, 0.2), *[backlogged()] * 2], 1.0, [0.2, 0.4, 0.4], id="and beside others"),
    ],
)
def test_the_device_gives_what_queueing_theory_says(demands: list[Demand], speed: float, expected: list[float]) -> None:
    assert used(demands, speed=speed) == pytest.approx(expected, rel=0.05)


def test_time_is_used_lost_to_turns_or_idle_and_nothing_else() -> None:
    device = Device([backlogged(), backlogged(1), backlogged(2)], quantum=0.002, switch=0.0001)
    device.run(10.0)
    assert sum(device.used) + device.switching == pytest.approx(10.0, abs=0.003)
    assert device.switching == pytest.approx(10.0 * 0.0001 / 0.0021, rel=0.01)


def test_a_backlogged_process_off_duty_uses_nothing() -> None:
    device = Device([Demand(Kind.BACKLOGGED, 1.0, 0.0, (1.0, 3.0), steady=False, offset=0)], 0.002, 0.0)
    device.run(10.0)
    assert device.used[0] == pytest.approx(2.0)


def test_a_fork_goes_on_as_the_process_itself_would_have() -> None:
    demands = [closed(0.02, 0.03, 7), arriving(0.01, 0.3, 99)]
    device = Device(demands, 0.002, 0.0)
    device.run(5.0)
    twin, before = device.fork([0, 1], 1.0), list(device.used)
    device.run(25.0)
    twin.run(25.0)
    went_on = [after - first for first, after in zip(before, device.used, strict=True)]
    assert twin.used == pytest.approx(went_on, abs=0.003)  # a turn may be cut at the fork


def test_a_fork_of_a_busy_device_starts_with_the_work_in_hand() -> None:
    device = Device([backlogged(), backlogged(1)], 0.002, 0.0)
    device.run(1.0)
    twin = device.fork([1], 0.25)
    assert twin.left == [pytest.approx(ENDLESS)]
    twin.run(2.0)
    assert twin.used == [pytest.approx(0.25)]


def test_a_fork_goes_off_duty_when_the_process_does() -> None:
    device = Device([Demand(Kind.BACKLOGGED, 1.0, 0.0, (0.0, 5.0), steady=False, offset=0)], 0.002, 0.0)
    device.run(2.0)
    twin = device.fork([0], 0.5)
    twin.run(20.0)
    assert twin.used == [pytest.approx(1.5)]


def test_the_same_seed_is_the_same_story() -> None:
    assert play(draw(11, ranges_tuning.RANGES)) == play(draw(11, ranges_tuning.RANGES))


def test_the_worlds_for_tuning_and_for_reporting_share_neither_seeds_nor_ranges() -> None:
    assert abs(ranges_tuning.SEED - ranges_report.SEED) > 1_000_000
    same = [
        name
        for name in ("replicas", "processes", "kinds", "duty", "load", "log_closed_burst", "quantum", "switch", "noise")
        if getattr(ranges_tuning.RANGES, name) == getattr(ranges_report.RANGES, name)
    ]
    assert not same


def test_the_judge_is_right_far_more_often_than_the_plain_inversion() -> None:
    cases = [case for seed in range(40) for case in hear(play(draw(500_000 + seed, ranges_tuning.RANGES)))]
    far = [case for case in cases if case.far]
    assert rates(far, judged).hits > 10
    assert (rates(far, judged).precision or 0.0) >= 0.97
    assert rates(far, judged).false <= rates(far, plain).false
    assert max(case.imbalance for case in cases) < 1e-9


def test_an_interval_is_of_worlds_and_not_of_their_windows() -> None:
    first = next(case for case in hear(play(draw(500_001, ranges_tuning.RANGES))))

    def cases(worlds: int, each: int) -> list[Case]:
        return [replace(first, world=world, short=world % 2 == 0) for world in range(worlds) for _ in range(each)]

    few, windows, worlds = (
        part(cases(*n), lambda _: True, lambda case: case.short) for n in ((8, 1), (8, 50), (400, 1))
    )
    assert few.value == windows.value == worlds.value == 0.5
    assert (few.low, few.high) == (windows.low, windows.high)
    assert few.low is not None
    assert worlds.low is not None
    assert few.low < 0.3
    assert 0.43 < worlds.low < 0.5


def test_a_part_of_nothing_is_none() -> None:
    assert part([], lambda _: True, lambda _: True).value is None


def test_the_command_prints_every_figure_beside_its_goal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--set", "tuning", "--worlds", "3", "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    for line in ("precision of broken, far", "recall of broken, far", "main neighbour named", "the study's plain"):
        assert line in printed


JUDGE = ["shared_compute", "queueing", *(path.stem for path in Path("exporter").glob("demand*.py"))]


@pytest.mark.parametrize("module", JUDGE)
def test_the_judge_knows_nothing_of_the_simulator_or_the_bench(module: str) -> None:
    tree = ast.parse(Path(f"exporter/{module}.py").read_text(encoding="utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in named if name.startswith(("bench", "exporter.simulator", "tests"))]

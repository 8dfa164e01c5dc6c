"""Boards, memory and dedicated twins, each by itself."""

from __future__ import annotations

import random

import pytest

from exporter.model import Throttle
from exporter.simulator.climate import Climate
from exporter.simulator.demand import Client
from exporter.simulator.engine import RoundRobin
from exporter.simulator.gpus import H100_SXM
from exporter.simulator.memory import Memory
from exporter.simulator.node import SimNode
from exporter.simulator.scenario import load, parse
from exporter.simulator.spec import BACKLOGGED, Demand, DemandKind, Throttling
from exporter.simulator.synthetic import synthetic
from exporter.simulator.tenancy import Dedicated
from exporter.simulator.truth import PartitionTruth, over


def stream(number: int) -> random.Random:
    return random.Random(f"test/{number}")  # noqa: S311  # a reproducible stream, no secret


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_given_as_far_as_there_is_room():
    memory = Memory(100, reserved=5, base=5)
    assert [memory.ask(1, 60), memory.ask(2, 60)] == [60, 30]
    assert (memory.used, memory.free) == (95, 0)


def test_memory_comes_back_when_a_process_ends():
    memory = Memory(100)
    memory.ask(1, 60)
    memory.release(1)
    assert (memory.used, memory.free, memory.of(1)) == (0, 100, 0)


def test_a_limit_holds_for_one_process():
    memory = Memory(100)
    assert [memory.ask(pid, 40, limit=25) for pid in (1, 2)] == [25, 25]


def test_a_process_that_asks_again_gets_the_difference():
    memory = Memory(100)
    assert [memory.ask(1, 60), memory.ask(1, 90), memory.ask(1, 10)] == [60, 90, 10]
    assert memory.free == 90


# --- boards -----------------------------------------------------------------------------------------------------------


def settled(load: float, limit: float = 700.0, *forced: Throttling) -> Climate:
    climate = Climate(H100_SXM)
    climate.limit = limit
    climate.settle(load, forced)
    return climate


def held(reason: Throttle, ratio: float) -> Throttling:
    return Throttling(at=0.0, until=1.0, gpu="", reason=reason, clock_ratio=ratio)


@pytest.mark.parametrize("load", [0.0, 100.0, 400.0, 628.0])
def test_below_the_limit_the_clock_is_full_and_power_is_idle_plus_load(load: float):
    climate = settled(load)
    assert (climate.ratio, climate.throttle) == (1.0, frozenset())
    assert climate.power == pytest.approx(72.0 + load)


@pytest.mark.parametrize("limit", [650.0, 400.0, 200.0])
def test_above_the_limit_the_clock_falls_until_power_is_at_the_limit(limit: float):
    climate = settled(628.0, limit)
    assert climate.power == pytest.approx(limit)
    assert climate.ratio == pytest.approx(((limit - 72) / 628) ** (1 / 3))
    assert climate.throttle == frozenset({Throttle.SW_POWER_CAP})


def test_a_reason_from_outside_holds_the_clock_down_and_power_with_it():
    climate = settled(628.0, 700.0, held(Throttle.HW_SLOWDOWN, 0.5))
    assert climate.clock == pytest.approx(990e6)
    assert climate.power == pytest.approx(72 + 628 / 8)
    assert climate.throttle == frozenset({Throttle.HW_SLOWDOWN})


def test_an_idle_board_reports_its_idle_clock():
    assert settled(0.0).clock == 345e6


def test_a_board_that_is_throttled_for_heat_is_as_hot_as_its_slowdown_temperature():
    forced = (held(Throttle.HW_THERMAL, 0.4),)
    climate = settled(628.0, 700.0, *forced)
    for _ in range(200):
        climate.pass_time(0.5, forced)
    assert climate.temperature == pytest.approx(87.0, abs=0.5)


def test_energy_is_power_times_time():
    climate = settled(100.0)
    climate.pass_time(10.0, ())
    assert climate.energy == pytest.approx(1720.0)


# --- twins ------------------------------------------------------------------------------------------------------------


def twin_of(share: float, *demands: Demand) -> tuple[Dedicated, RoundRobin, list[Client]]:
    engine, dedicated = RoundRobin(), Dedicated(share, 0.0)
    clients = [Client(stream(number), demand) for number, demand in enumerate(demands)]
    for client in clients:
        engine.add(client)
        dedicated.admit(client, engine.wakes(client))
    return dedicated, engine, clients


def test_a_backlogged_tenant_is_entitled_to_its_share_and_wants_the_device():
    dedicated, _, _ = twin_of(0.25, BACKLOGGED, BACKLOGGED)
    assert dedicated.run(8.0, 1.0) == pytest.approx((2.0, 8.0))


def test_alone_a_tenant_uses_what_its_twin_says_it_wants():
    demand = Demand(kind=DemandKind.CLOSED, burst=0.05, think=0.08)
    dedicated, engine, clients = twin_of(0.5, demand, demand)
    _, alone = dedicated.run(50.0, 1.0)
    engine.run(50.0, 1.0)
    assert sum(client.used for client in clients) == pytest.approx(alone, abs=1e-6)


def test_a_twin_that_comes_late_goes_on_from_where_the_tenant_is():
    demand = Demand(kind=DemandKind.CLOSED, burst=0.4, think=0.4)
    engine = RoundRobin()
    client = Client(stream(1), demand)
    engine.add(client)
    engine.run(7.3, 1.0)
    dedicated = Dedicated(1.0, 7.3)
    dedicated.admit(client, engine.wakes(client))
    before = client.used
    engine.run(40.0, 1.0)
    assert dedicated.run(40.0, 1.0) == pytest.approx((client.used - before,) * 2, abs=1e-9)


def test_a_dismissed_process_wants_nothing_more():
    dedicated, _, clients = twin_of(0.5, BACKLOGGED)
    dedicated.dismiss(clients[0])
    assert dedicated.run(3.0, 1.0) == (0.0, 0.0)


@pytest.mark.parametrize(("share", "burst", "think"), [(0.25, 0.01, 0.09), (0.5, 0.02, 0.02), (0.25, 0.05, 0.01)])
def test_a_closed_loop_is_entitled_to_what_the_formula_says(share: float, burst: float, think: float):
    dedicated, _, _ = twin_of(share, Demand(kind=DemandKind.CLOSED, burst=burst, think=think))
    alone = burst / (burst + think)
    slow, _ = dedicated.run(1500.0, 1.0)
    assert slow / 1500.0 == pytest.approx(1 / (1 / share + 1 / alone - 1), rel=0.06)


# --- the node ---------------------------------------------------------------------------------------------------------

SLOTS = """
about = "Slots of one H100."
[node]
name = "gpu-test-0"
[[gpu]]
name = "h100-0"
board = "H100-SXM-80GB"
sharing = "SHARING"
replicas = 4
[[pod]]
namespace = "search"
name = "reranker-0"
deleted = 10
[[pod.container]]
name = "main"
holds = ["h100-0::0", "h100-0::2"]
[[pod.container.process]]
command = "python"
demand = "backlogged"
memory_gib = 90
"""


@pytest.mark.parametrize(
    ("sharing", "promised", "memory"), [("mps", 0.5, 2 * 20389 << 20), ("time-slicing", 0.25, None)]
)
def test_two_slots_promise_twice_the_cap_under_mps_and_one_turn_under_time_slicing(
    sharing: str, promised: float, memory: int | None
):
    node = SimNode(parse(SLOTS.replace("SHARING", sharing)))
    node.advance_to(1.0)
    (part,) = node.truth()[-1].partitions
    assert (part.promised, part.memory_promised) == (promised, memory)


def test_a_process_gets_no_more_memory_than_there_is_and_gives_it_back_at_its_end():
    node = SimNode(parse(SLOTS.replace("SHARING", "time-slicing")))
    memory = node.gpus[0].whole.memory
    assert memory.free == 0
    node.advance_to(11.0)
    assert memory.used == 0
    assert node.truth()[-1].partitions == ()


def test_an_mps_client_is_held_to_its_pinned_limit():
    node = SimNode(parse(SLOTS.replace("SHARING", "mps")))
    assert sorted(node.gpus[0].whole.memory.of(pid) for pid in node.population.processes) == [30 << 20, 20389 << 20]


def test_a_gpu_that_was_lost_does_no_work_for_the_time_it_was_away():
    text = SLOTS.replace("SHARING", "time-slicing").replace("deleted = 10\n", "")
    node = SimNode(parse(text + '[[event]]\nkind = "gpu_lost"\ngpu = "h100-0"\nat = 3\nuntil = 7\n'))
    busy = []
    for second in range(1, 11):
        node.advance_to(second)
        busy.append(node.gpus[0].whole.engine.busy)
    assert busy == pytest.approx([1, 2, 3, 3, 3, 3, 3, 4, 5, 6])
    lost = [part.gone for tick in node.truth() for part in tick.partitions]
    assert lost == [""] * 2 + ["device_lost"] * 4 + [""] * 4


def test_a_synthetic_node_has_no_instance_more_than_asked_for():
    node = SimNode(synthetic(9, processes=2))
    assert [len(gpu.devices) for gpu in node.gpus] == [7, 2]
    assert len(node.population.processes) == 18


def test_synthetic_pods_can_be_born_one_after_the_other():
    node = SimNode(synthetic(5, seconds_apart=2.0))
    counts = []
    for second in (1.0, 3.0, 9.0):
        node.advance_to(second)
        counts.append(len(node.truth()[-1].partitions))
    assert counts == [1, 2, 5]


def test_a_window_of_truth_averages_and_keeps_the_books_balanced():
    node = SimNode(load("time-slicing-hog"), 3)
    for second in range(1, 41):
        node.advance_to(second)
    for key in {part.key for part in node.truth()[-1].partitions}:
        ticks = [part for tick in node.truth()[-20:] for part in tick.partitions if part.key == key]
        whole = over(node.truth()[-20:], key)
        assert isinstance(whole, PartitionTruth)
        assert whole.seconds == pytest.approx(20.0)
        assert whole.used == pytest.approx(sum(part.used for part in ticks) / 20)
        assert sum(whole.causes.values()) == pytest.approx(whole.lost, abs=1e-9)
    assert over(node.truth(), key._replace(pod="nobody")) is None

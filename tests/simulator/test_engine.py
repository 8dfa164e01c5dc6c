"""How a device divides its time: against exact results, and against what no schedule may do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.simulator.demand import NEVER, Client
from exporter.simulator.engine import Concurrent, Engine, RoundRobin
from exporter.simulator.spec import BACKLOGGED, IDLE, Demand, DemandKind


def stream(number: int) -> random.Random:
    return random.Random(f"test/{number}")  # noqa: S311  # a reproducible stream, no secret


def closed(burst: float, think: float) -> Demand:
    return Demand(kind=DemandKind.CLOSED, burst=burst, think=think)


def arriving(burst: float, load: float) -> Demand:
    return Demand(kind=DemandKind.OPEN, burst=burst, load=load)


def served(engine: Engine, demands: list[Demand], seconds: float, speed: float = 1.0) -> list[float]:
    clients = [Client(stream(number), demand) for number, demand in enumerate(demands)]
    for client in clients:
        engine.add(client)
    engine.run(seconds, speed)
    return [client.used / seconds for client in clients]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_backlogged_processes_take_turns_and_get_equal_shares(count: int):
    assert served(RoundRobin(), [BACKLOGGED] * count, 30.0) == pytest.approx([1 / count] * count, abs=1e-3)


@pytest.mark.parametrize(("burst", "think"), [(0.01, 0.01), (0.002, 0.05), (0.3, 0.1)])
def test_a_closed_loop_alone_uses_its_duty_cycle(burst: float, think: float):
    assert served(RoundRobin(), [closed(burst, think)], 600.0)[0] == pytest.approx(burst / (burst + think), rel=0.1)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.8])
def test_arrivals_below_capacity_are_all_served(load: float):
    assert served(RoundRobin(), [arriving(0.02, load)], 1000.0)[0] == pytest.approx(load, rel=0.1)


def test_a_closed_loop_on_a_quarter_as_fast_device_uses_what_the_design_says():
    # demand.md: alone a = 10 %; on a dedicated quarter 1 / (1/p + 1/a - 1) = 7.7 %.
    slow = RoundRobin(0.0, 0.002 / 0.25)
    clients = [Client(stream(0), closed(0.01, 0.09))]
    slow.add(clients[0])
    slow.run(2000.0, 0.25)
    assert slow.busy / 2000.0 * 0.25 == pytest.approx(0.0769, rel=0.05)


def test_a_tenant_with_more_processes_gets_more_turns():
    assert served(RoundRobin(), [BACKLOGGED] * 4, 10.0)[0] == pytest.approx(0.25, abs=1e-3)


def test_every_change_of_process_costs_its_switch():
    engine = RoundRobin(switch=0.0005)
    shares = served(engine, [BACKLOGGED, BACKLOGGED], 10.0)
    assert sum(shares) == pytest.approx(0.8, abs=0.01)
    assert engine.switching == pytest.approx(2.0, abs=0.1)


def test_a_process_alone_pays_for_no_switch():
    engine = RoundRobin(switch=0.0005)
    assert served(engine, [BACKLOGGED], 10.0) == [1.0]
    assert engine.switching == 0.0


def test_the_last_one_to_finish_pays_for_no_switch():
    engine = RoundRobin(switch=0.0005)
    one_burst = Demand(kind=DemandKind.CLOSED, burst=0.0008, think=1e6)
    clients = [Client(stream(number), one_burst) for number in range(2)]
    for client in clients:
        client.left = 0.001
        engine.join(client, NEVER)
    engine.run(1.0, 1.0)
    assert engine.switching == pytest.approx(0.0005)


def test_mps_clients_run_side_by_side_up_to_their_cap():
    assert served(Concurrent(0.25), [BACKLOGGED] * 2, 10.0) == pytest.approx([0.25, 0.25])


def test_mps_clients_share_the_device_when_their_caps_sum_to_more_than_it():
    engine = Concurrent(0.5)
    assert served(engine, [BACKLOGGED] * 5, 10.0) == pytest.approx([0.2] * 5)
    assert engine.busy == pytest.approx(10.0)


def test_an_idle_process_uses_nothing():
    assert served(RoundRobin(), [IDLE, BACKLOGGED], 5.0) == [0.0, 1.0]


def test_a_removed_process_uses_nothing_more_and_its_time_goes_to_the_others():
    engine = RoundRobin()
    first, second = Client(stream(1), BACKLOGGED), Client(stream(2), BACKLOGGED)
    engine.add(first)
    engine.add(second)
    engine.run(1.0, 1.0)
    before = first.used
    engine.remove(first)
    engine.run(2.0, 1.0)
    assert first.used == before
    assert second.used == pytest.approx(1.5, abs=0.01)


def test_a_slower_clock_makes_bursts_longer():
    fast, slow = served(RoundRobin(), [closed(0.05, 0.05)], 500.0)[0], 0.0
    slow = served(RoundRobin(), [closed(0.05, 0.05)], 500.0, speed=0.5)[0]
    assert slow == pytest.approx(2 / 3, rel=0.1)
    assert slow > fast


DEMANDS = st.one_of(
    st.just(BACKLOGGED),
    st.just(IDLE),
    st.builds(closed, st.floats(0.0005, 0.2), st.floats(0.0, 0.3)),
    st.builds(arriving, st.floats(0.0005, 0.2), st.floats(0.05, 1.5)),
)
ENGINES = st.one_of(
    st.builds(RoundRobin, switch=st.sampled_from([0.0, 0.00004, 0.001])),
    st.builds(Concurrent, st.floats(0.1, 1.0)),
)


@settings(max_examples=60, deadline=None)
@given(ENGINES, st.lists(DEMANDS, min_size=1, max_size=6), st.lists(st.floats(0.001, 0.7), min_size=1, max_size=8))
def test_no_schedule_hands_out_more_time_than_there_is(engine: Engine, demands: list[Demand], steps: list[float]):
    clients = [Client(stream(number), demand) for number, demand in enumerate(demands)]
    for client in clients:
        engine.add(client)
    now = 0.0
    for step in steps:
        before = [client.used for client in clients]
        now += step
        engine.run(now, 0.7)
        gained = [client.used - earlier for client, earlier in zip(clients, before, strict=True)]
        assert all(each >= 0.0 for each in gained)
        assert sum(gained) <= step + 1e-9
        assert engine.busy + engine.switching <= now + 0.001 + 1e-9


@settings(max_examples=40, deadline=None)
@given(st.lists(DEMANDS, min_size=1, max_size=5), st.lists(st.floats(0.0005, 0.4), min_size=1, max_size=6))
def test_the_steps_in_which_time_passes_do_not_matter(demands: list[Demand], steps: list[float]):
    end = sum(steps)
    parts: list[list[float]] = []
    for stops in ([sum(steps[: number + 1]) for number in range(len(steps))], [end]):
        engine = RoundRobin()
        clients = [Client(stream(number), demand) for number, demand in enumerate(demands)]
        for client in clients:
            engine.add(client)
        for stop in stops:
            engine.run(min(stop, end), 1.0)
        engine.run(end, 1.0)
        parts.append([client.used for client in clients])
    # A cut can move a burst's end by a rounding error, and with it at most one turn.
    assert parts[0] == pytest.approx(parts[1], abs=0.0021 * len(demands))

"""What holds on every simulated node at all times, whatever the scenario, the seed and the steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Throttle
from exporter.simulator.node import SimNode
from exporter.simulator.scenario import load, names
from exporter.simulator.sources import build
from exporter.simulator.synthetic import synthetic

SCENARIOS = {name: load(name) for name in names()}
STEPS = st.lists(st.sampled_from([0.05, 0.3, 0.5, 1.0, 1.7, 4.0]), min_size=3, max_size=12)

_THERMAL = {Throttle.HW_THERMAL, Throttle.SW_THERMAL}


def check_memory(node: SimNode) -> None:
    for gpu in node.gpus:
        for device in gpu.devices:
            memory = device.memory
            assert memory.used + memory.free + memory.reserved == memory.total
            assert memory.free >= 0
            assert sum(memory.of(each.pid) for each in node.population.on(device)) <= memory.used
        whole = gpu.whole.memory
        assert sum(device.memory.used for device in gpu.devices) <= whole.total


def check_climate(node: SimNode) -> None:
    for gpu in node.gpus:
        climate = gpu.climate
        board = climate.board
        assert board.power_idle <= climate.power <= max(climate.limit, board.power_idle)
        assert board.clock_idle <= climate.clock <= board.clock_max
        assert climate.temperature >= 20.0
        assert (climate.ratio < 1.0) <= bool(climate.throttle)
        if Throttle.SW_POWER_CAP in climate.throttle:
            assert climate.power == pytest.approx(climate.limit)


def check_truth(node: SimNode) -> None:
    tick = node.truth()[-1]
    for gpu in node.gpus:
        here = [part for part in tick.partitions if part.key.gpu == gpu.uuid]
        # A share is the mean over the partition's own life, which may begin or end within the tick.
        used = sum(part.used * part.seconds for part in here)
        assert used <= (tick.end - tick.start) * (1.0 + 1e-6) + 0.0001
    for part in tick.partitions:
        assert 0.0 <= part.entitled <= part.promised + 1e-9
        assert part.delivered >= 0.0
        assert sum(part.causes.values()) == pytest.approx(part.lost, abs=1e-9)
        assert all(amount >= 0.0 for amount in part.causes.values())
        assert sum(part.neighbours.values()) == pytest.approx(part.causes.get("neighbour", 0.0), abs=1e-9)
        assert part.memory_used <= part.memory_obtainable


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SCENARIOS)), st.integers(0, 1000), STEPS)
def test_memory_adds_up_power_stays_in_bounds_and_the_ledger_of_causes_balances(
    name: str, seed: int, steps: list[float]
):
    node = SimNode(SCENARIOS[name], seed)
    energy = {gpu.uuid: 0.0 for gpu in node.gpus}
    for step in steps:
        node.advance_to(node.now + step * 3)
        check_memory(node)
        check_climate(node)
        check_truth(node)
        for gpu in node.gpus:
            assert gpu.climate.energy >= energy[gpu.uuid]
            energy[gpu.uuid] = gpu.climate.energy


@pytest.mark.parametrize("name", names())
def test_energy_is_the_integral_of_power(name: str):
    node = SimNode(SCENARIOS[name], 5)
    total = {gpu.uuid: 0.0 for gpu in node.gpus}
    for number in range(1, 61):
        power = {gpu.uuid: gpu.climate.power for gpu in node.gpus}
        node.advance_to(number * 0.5)
        for gpu in node.gpus:
            total[gpu.uuid] += power[gpu.uuid] * 0.5
            assert gpu.climate.energy == pytest.approx(total[gpu.uuid], rel=1e-9)


def test_temperature_follows_power_slowly():
    node = SimNode(SCENARIOS["gpu-lost"], 1)
    seen = []
    for second in range(1, 61):
        node.advance_to(second)
        seen.append(node.gpus[0].climate.temperature)
    assert seen == sorted(seen)
    assert seen[2] - seen[0] < (seen[-1] - seen[0]) / 3
    assert seen[-1] == pytest.approx(25 + 0.09 * 320, abs=1.0)


def readings(name: str, seed: int) -> str:
    sources = build(SCENARIOS[name], seed, start=1000.0)
    lines = []
    for now in (1000.0, 1001.0, 1001.03, 1002.5, 1016.0, 1017.0, 1026.0):
        lines.append(repr(sources.driver.read(now)))
        lines.append(repr(sources.kubelet.read(now)))
        lines.append(repr(sources.processes.read(range(20_000, 20_400))))
    lines.append(repr(sources.node.truth()))
    return "\n".join(lines)


@pytest.mark.parametrize("name", names())
def test_the_same_seed_and_the_same_times_give_the_same_node(name: str):
    assert readings(name, 7) == readings(name, 7)


def test_another_seed_gives_other_uuids_and_other_bursts():
    assert readings("mig-mixed", 7) != readings("mig-mixed", 8)
    first, second = (SimNode(SCENARIOS["mig-mixed"], seed).gpus[0].uuid for seed in (7, 8))
    assert first != second


_PROGRAM = """
from hashlib import sha256
from exporter.simulator.node import SimNode
from exporter.simulator.scenario import load
node = SimNode(load("demo"), 3)
for second in range(1, 31):
    node.advance_to(second)
parts = [(p.key, p.used, p.entitled, sorted(p.causes.items()), sorted(p.neighbours.items()))
         for tick in node.truth() for p in tick.partitions]
print(sha256(repr(parts).encode()).hexdigest())
"""


def test_the_order_of_hashes_changes_nothing():
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(digests) == 1


def test_time_goes_forward_only():
    node = SimNode(SCENARIOS["mig-mixed"])
    node.advance_to(5.0)
    node.advance_to(5.0)
    with pytest.raises(ValueError, match="forward"):
        node.advance_to(4.0)


def test_the_history_of_truth_is_bounded():
    node = SimNode(SCENARIOS["gpu-lost"], history=10)
    for number in range(1, 26):
        node.advance_to(number)
    assert [tick.end for tick in node.truth()] == [float(number) for number in range(16, 26)]


@pytest.mark.parametrize(("partitions", "gpus"), [(1, 1), (7, 1), (8, 2), (56, 8)])
def test_a_synthetic_node_has_as_many_partitions_as_asked_for(partitions: int, gpus: int):
    node = SimNode(synthetic(partitions))
    node.advance_to(1.0)
    assert len(node.gpus) == gpus
    assert len(node.truth()[-1].partitions) == partitions


def test_a_synthetic_node_that_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="0"):
        synthetic(0)

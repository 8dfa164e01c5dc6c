"""Plays one world: the exporter's own collector on a simulated node under a clock that is moved by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.verdicts.noise import NoisyDriver
from bench.verdicts.parameters import Parameters
from bench.verdicts.seen import Watcher
from bench.verdicts.truth import Expected, expected
from bench.verdicts.worlds import World
from exporter.collect import Collector
from exporter.model import DeviceUuid
from exporter.pipeline import Result
from exporter.policy import Policy
from exporter.simulator.sources import build
from exporter.verdict import Guarantee
from exporter.witness import Clock, Sources

_EPOCH = 1_760_000_000.0
_PATIENCE = 30.0
"""Bounds the wait for a worker thread that answers in microseconds."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick: what the exporter made of it, and what was right. `unread`: devices that lacked a value."""

    at: float
    since: float
    result: Result
    expected: Mapping[tuple[str, str, Guarantee], Expected]
    trouble: bool
    unread: frozenset[DeviceUuid]


@dataclass(slots=True)
class _Hands:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return _EPOCH + self.now


def play(told: Parameters, world: World) -> Iterator[Moment]:
    """Tick once a second, now and then late, to the end of the world."""
    policy, hands = Policy(time_slicing_memory_fair=world.fair_memory), _Hands()
    node = build(world.scenario, world.number, 0.0, sleep=lambda _: None)
    driver = NoisyDriver(node.driver, told.noise, told.seed + world.number)
    sources = Sources(driver=driver, kubelet=node.kubelet, pods=node.pods, processes=node.processes)
    clock = Clock(hands.monotonic, hands.wall)
    collector = Collector("node-1", sources, policy=policy, clock=clock, patience=_PATIENCE, deadline=_PATIENCE)
    watcher, before = Watcher(node.node), None
    try:
        for since, at in _times(told, world):
            hands.now = at
            result, seen = collector.run_tick().result, watcher.look()
            yield Moment(at, since, result, expected(seen, before, policy), seen.trouble, driver.unread)
            before = seen
    finally:
        collector.close()


def _times(told: Parameters, world: World) -> Iterator[tuple[float, float]]:
    """When the tick before was, and when this one is."""
    draw = random.Random(f"ticks-{told.seed}-{world.number}")  # noqa: S311  # a reproducible stream, no secret
    at = 0.0
    while at < world.seconds:
        since = at
        at += draw.choice((2.0, 3.0, 7.0)) if draw.random() < told.skipped_ticks else 1.0
        yield since, at

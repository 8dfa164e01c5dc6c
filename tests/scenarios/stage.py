"""A simulated node under a clock that is moved by hand: the same page every time."""

from __future__ import annotations

from dataclasses import dataclass

from exporter import budget
from exporter.collect import Collector, Tick
from exporter.simulator import scenario
from exporter.simulator.sources import SimSources, build
from exporter.witness import Clock, Sources

EPOCH = 1_760_000_000.0
"""Unix time of a scenario's second 0."""


@dataclass
class Hands:
    """The clock's hands, in simulated seconds."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return EPOCH + self.now


class Stage:
    """A scenario, its node, and the exporter's collector on it."""

    def __init__(self, name: str, seed: int = 1, series_limit: int = budget.DEFAULT) -> None:
        self.hands = Hands()
        self.node: SimSources = build(scenario.load(name), seed, 0.0, sleep=lambda _: None)
        sources = Sources(
            driver=self.node.driver,
            kubelet=self.node.kubelet,
            pods=self.node.pods,
            processes=self.node.processes,
            enforcers=self.node.enforcers,
            dcgm=self.node.dcgm,
        )
        # Patience only bounds the wait for a worker thread that answers in microseconds.
        self.collector = Collector(
            "node-1",
            sources,
            clock=Clock(self.hands.monotonic, self.hands.wall),
            patience=30.0,
            series_limit=series_limit,
        )
        self.tick: Tick = self.collector.run_tick()

    def play(self, until: float) -> Tick:
        """Tick once a simulated second up to and including `until`."""
        while self.hands.now < until:
            self.hands.now += 1.0
            self.tick = self.collector.run_tick()
        return self.tick

    def close(self) -> None:
        self.collector.close()


def played(name: str, until: float, seed: int = 1) -> Tick:
    """Play a scenario and return its last tick."""
    stage = Stage(name, seed)
    try:
        return stage.play(until)
    finally:
        stage.close()

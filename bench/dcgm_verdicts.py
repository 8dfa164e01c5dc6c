"""How often compute is judged right where an A100's instances have their activity from dcgm-exporter alone.

    python -m bench.dcgm_verdicts [--worlds N]

Random worlds of 15 minutes: an A100 in three instances, whose tenants change every two minutes or so between working always,
idling, and coming and going, and whose clock is held down now and then for 20 s to 5 minutes. The simulated dcgm-exporter
collects every 10 s or every 30 s, and the exporter reads its page every 15 s. The truth is of each second: the engine was busy
in it, and the clock was below what is promised. Nothing was tuned on these worlds.

How to read it: *precision* is the part of the seconds called broken that were; *recall* the part of the broken seconds that were
called so. *A minute late* leaves out of the wrong ones those in which the same tenant had been short-changed within the minute
before: what is said of now by a page is what was.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.table import aligned
from exporter.collect import Collector
from exporter.model import DeviceUuid
from exporter.policy import Policy
from exporter.simulator import scenario
from exporter.simulator.hardware import SimGpu
from exporter.simulator.sources import SimSources, build
from exporter.verdict import Guarantee, Outcome
from exporter.witness import Clock, Sources

SECONDS = 900
INTERVALS = (10, 30)
TENANTS = 3
_LATE = 60.0


@dataclass(slots=True)
class Count:
    """Seconds of tenants, by what was and what was said."""

    seconds: Counter[tuple[Outcome, Outcome]] = field(default_factory=Counter)
    late: int = 0  # wrongly called broken within a minute of a broken second

    def said(self, outcome: Outcome) -> int:
        """Seconds that were called so."""
        return sum(count for (_, told), count in self.seconds.items() if told is outcome)

    def were(self, outcome: Outcome) -> int:
        """Seconds that were so."""
        return sum(count for (truth, _), count in self.seconds.items() if truth is outcome)


def world(dice: random.Random, interval: int) -> str:
    """A scenario file."""
    lines = ['about = "bench"', "[node]", 'name = "node-1"', 'mig_strategy = "mixed"', f"dcgm_seconds = {interval}"]
    lines += ["[[gpu]]", 'name = "a"', 'board = "A100-SXM-80GB"', f"mig = {['2g.20gb'] * TENANTS}"]
    for number in range(TENANTS):
        lines += ["[[pod]]", 'namespace = "team"', f'name = "pod-{number}"', f'workload = "Job/pod-{number}"']
        lines += ["[[pod.container]]", 'name = "main"', f'holds = ["a/{number}"]']
        lines += ["[[pod.container.process]]", 'command = "python"', "memory_gib = 2", *_demand(dice)]
        at = dice.expovariate(1 / 130) + 5
        while at < SECONDS - 10:
            lines += ["[[pod.container.process.phase]]", f"at = {at:.1f}", *_demand(dice)]
            at += dice.expovariate(1 / 130) + 5
    at = dice.expovariate(1 / 120) + 10
    while (until := at + dice.uniform(20, 300)) < SECONDS - 10:
        lines += ["[[event]]", 'kind = "throttle"', f"at = {at:.1f}", f"until = {until:.1f}", 'gpu = "a"']
        lines += ['reason = "hw_thermal"', f"clock_ratio = {dice.uniform(0.3, 0.5):.2f}"]
        at = until + dice.expovariate(1 / 120) + 10
    return "\n".join(lines)


def _demand(dice: random.Random) -> list[str]:
    kind = dice.choice(["backlogged", "backlogged", "idle", "open", "closed"])
    more = {
        "open": ["burst_ms = 9", f"load = {dice.uniform(0.1, 0.9):.2f}"],
        "closed": ["burst_ms = 5000", f"think_ms = {dice.choice([3000, 20000])}"],
    }
    return [f'demand = "{kind}"', *more.get(kind, [])]


class _Hand:
    """The clock's hand, in the world's seconds."""

    now = 0.0

    def read(self) -> float:
        return self.now


def play(text: str, seed: int, count: Count) -> None:
    """Play a world and count its seconds."""
    node = build(scenario.parse(text), seed, 0.0, sleep=lambda _: None)
    hand = _Hand()
    collector = Collector("node-1", _sources(node), clock=Clock(hand.read, hand.read), patience=30.0)
    busy: dict[DeviceUuid, float] = {}
    broken: dict[str, float] = {}
    for second in range(SECONDS):
        hand.now = float(second)
        verdicts = collector.run_tick().result.verdicts
        truth = _truth(node.node.gpus[0], busy)
        for key, answers in verdicts.items():
            was, told = truth[DeviceUuid(key.device)], answers[Guarantee.COMPUTE].outcome
            count.seconds[was, told] += 1
            if was is Outcome.BROKEN:
                broken[key.pod] = hand.now
            elif told is Outcome.BROKEN and hand.now - broken.get(key.pod, -_LATE) < _LATE:
                count.late += 1
    collector.close()


def _sources(node: SimSources) -> Sources:
    return Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        enforcers=node.enforcers,
        dcgm=node.dcgm,
    )


def _truth(gpu: SimGpu, before: dict[DeviceUuid, float]) -> dict[DeviceUuid, Outcome]:
    """What was so of each instance in the second that has passed; `before` are the engines' counters, brought up to date."""
    policy = Policy()
    slow = gpu.climate.ratio < policy.reference_clock * (1 - policy.compute_tolerance)
    found = {}
    for device in gpu.devices:
        busy = device.engine.busy - before.get(device.uuid, 0.0)
        before[device.uuid] = device.engine.busy
        wanted = busy >= policy.busy_threshold
        found[device.uuid] = (Outcome.BROKEN if slow else Outcome.KEPT) if wanted else Outcome.IDLE
    return found


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.dcgm_verdicts", description="Judge by a page alone.")
    parser.add_argument("--worlds", type=int, default=20, help="worlds for each interval (20)")
    asked = parser.parse_args(argv)
    rows = []
    for interval in INTERVALS:
        count = Count()
        for seed in range(asked.worlds):
            play(world(random.Random(seed), interval), seed, count)  # noqa: S311  # reproducible worlds
        rows.append(_row(interval, count))
    head = ("dcgm-exporter collects every", "precision", "a minute late", "recall", "kept or idle right", "blind")
    print(f"{asked.worlds} worlds of {SECONDS} s with {TENANTS} tenants for each interval", end="\n\n")
    print(aligned(head, rows), end="")
    return 0


def _row(interval: int, count: Count) -> tuple[str, ...]:
    right = count.seconds[Outcome.BROKEN, Outcome.BROKEN]
    said, were = count.said(Outcome.BROKEN), count.were(Outcome.BROKEN)
    good = (Outcome.KEPT, Outcome.IDLE)
    fine = sum(count.seconds[outcome, outcome] for outcome in good)
    named = sum(count.said(outcome) for outcome in good)
    figures = (
        right / max(1, said),
        (right + count.late) / max(1, said),
        right / max(1, were),
        fine / max(1, named),
        count.said(Outcome.BLIND) / max(1, count.seconds.total()),
    )
    return (f"{interval} s", *(f"{figure:.3f}" for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Blame of another kind: `python -m bench.truth.counterfactual`, the same window again without one of the others.

Truth and judge say of a breach that it is due to whoever used more than its promise. That is a rule, and the bench's columns
for cause and neighbour test the readings that it is applied to. Here the window is replayed from its start once for each
other tenant and intruder, without its processes. Who gives the victim the most back has taken the most, whatever it was
promised. The figures are how often the rule, on exact use, and the judge, on readings, name that one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from bench.truth.hearing import NEAR, TIE, judged
from bench.truth.physics import Device
from bench.truth.running import SETS
from bench.truth.score import Part, part
from bench.truth.story import ENDS, TOLERANCE, WINDOW, Truth, play
from bench.truth.worlds import World, draw
from exporter.demand import Answer, Assessment

WORLDS = 100


@dataclass(frozen=True, slots=True)
class Replayed:
    """One breach: what the victim would have got more of the device without each of the others, and who was named."""

    world: int
    back: Mapping[str, float]
    ruled: str  # by the rule, from exact use; empty where it names nobody
    named: str | None  # by the judge; None where it did not say broken

    @property
    def given(self) -> bool:
        """Whether anybody alone gives clearly something back."""
        return max(self.back.values()) >= TIE

    def agrees(self, name: str) -> bool:
        """Whether nobody gives clearly more back than the one of that name."""
        return name in self.back and self.back[name] >= max(self.back.values()) - TIE


def replayed(world: World) -> Iterator[Replayed]:
    """Replay every clear breach of a world."""
    story = play(world)
    heard = judged(story)
    device = Device(world.demands, world.quantum, world.switch)
    for end in ENDS:
        device.run(end - WINDOW)
        for truth in story.truths:
            if truth.end == end and truth.broken and truth.ratio < 1 - TOLERANCE - NEAR:
                back = dict(_back(device, world, truth))
                ruled = max(truth.takers, key=lambda name: truth.takers[name], default="")
                if back:
                    yield Replayed(world.seed, back, ruled, _named(world, heard[end][truth.tenant]))


def _back(device: Device, world: World, truth: Truth) -> Iterator[tuple[str, float]]:
    """What the victim gets more in the window without each of the others."""
    victim = next(tenant for tenant in world.tenants if tenant.name == truth.tenant)
    for other in world.tenants:
        if other is not victim:
            left = [i for i in range(len(world.demands)) if i not in other.members]
            twin = device.fork(left, 1.0)
            twin.run(truth.end)
            got = sum(twin.used[left.index(i)] for i in victim.members) / WINDOW
            yield other.name, got - truth.delivered


def _named(world: World, said: Assessment) -> str | None:
    """Whom the judge blames the most: a neighbour, or the intruder whose cause is the largest."""
    if said.answer is not Answer.BROKEN:
        return None
    amounts = {key.pod: amount for key, amount in said.neighbours.items()}
    amounts |= {t.name: said.loss[t.rogue] for t in world.tenants if t.rogue and t.rogue in said.loss}
    return max(amounts, key=lambda name: amounts[name], default="")


def _one(seed: int) -> list[Replayed]:
    return list(replayed(draw(seed, SETS["report"].RANGES)))


def lines(found: Sequence[Replayed]) -> Iterator[str]:
    """Yield the report."""
    yield f"{len(found):,} breaches far from the threshold, each replayed without each of the others"
    rule = part(found, lambda r: r.given, lambda r: r.agrees(r.ruled))
    yield _line("the rule names who gives the most back", rule)
    said = part(found, lambda r: r.given and r.named is not None, lambda r: r.agrees(r.named or ""))
    yield _line("the judge does, where it says broken", said)
    yield _line("left out of these: nobody alone gives any", part(found, lambda _: True, lambda r: not r.given))


def _line(name: str, found: Part) -> str:
    if found.value is None or found.low is None or found.high is None:
        return f"{name:44}       -"
    return f"{name:44}{found.value:8.3f}   95 % by world {found.low:.3f} to {found.high:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay and print; the exit status is 0 whatever comes out."""
    parser = argparse.ArgumentParser(prog="python -m bench.truth.counterfactual", description=__doc__)
    parser.add_argument(
        "--worlds", type=int, default=WORLDS, help=f"how many of the report's worlds (default: {WORLDS})"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    seeds = [SETS["report"].SEED + number for number in range(chosen.worlds)]
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        found = [each for some in pool.map(_one, seeds, chunksize=8) for each in some]
    print(f"set report, {chosen.worlds:,} worlds")
    print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

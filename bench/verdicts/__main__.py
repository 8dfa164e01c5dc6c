"""How often the judge is right on simulated nodes, beside what really happened there.

    python -m bench.verdicts [--quick] [--worlds N] [--set reporting|tuning] [--workers N]

Random nodes (`worlds`, `trouble`) run for some minutes of simulated time under the exporter's own collector, join, judge
and ledger, with readings as good as a real driver's (`noise`). What each guarantee's answer should have been is worked
out from the simulator's truth by the words of the contract (`truth` says where the two differ); the judge sees readings
only. Compute on time-sliced devices has a bench of its own.

How to read it. Each tick of each partition counts once. `precision`: of the ticks that were called broken, those that
were. `recall`: of those that were, and could be known, those that were called so. `clear` leaves out the ticks within
0.1 of the compute threshold (0.01 of the memory's) and those in which the clock crosses it: truth is the tick's mean, a
clock is read at its end. `cause` and `neighbour`: of the ticks rightly called broken where one was clearly to blame,
those where it was blamed most. `blind`: of the ticks that could be known, those left blind. A delay runs from the tick
before the breach to the first tick that was called broken; an episode of five seconds and longer that was never called
so is missed. Ticks of a failing source, or with a value that the driver did not give, count for precision alone; what
the contract says cannot be known is left out.

The sets `tuning` and `reporting` share no seed and differ in their ranges: figures that are quoted are from `reporting`.
`--quick` takes less than a minute.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from bench.verdicts.balance import Balance, Worst
from bench.verdicts.parameters import SETS
from bench.verdicts.play import play
from bench.verdicts.report import table
from bench.verdicts.score import Score, Scorer
from bench.verdicts.worlds import world
from exporter.verdict import Guarantee

WORLDS, QUICK_WORLDS = 400, 60


def main(argv: Sequence[str]) -> int:
    """Measure and print. Exit status 0 whatever the figures are; a world that raises ends the bench."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.verdicts", description="Measure how often the judge is right."
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_WORLDS} worlds instead of {WORLDS}")
    parser.add_argument("--worlds", type=int, metavar="N", help="this many worlds")
    parser.add_argument("--set", choices=sorted(SETS), default="reporting", help="what worlds are drawn from")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    asked = parser.parse_args(argv)
    count = asked.worlds or (QUICK_WORLDS if asked.quick else WORLDS)
    started = time.monotonic()
    scores, worst, ticks = measure(asked.set, count, asked.workers)
    told = SETS[asked.set]
    text = f"{count} worlds of the set `{told.name}`, {ticks:,} ticks.\n\n{table(scores, worst)}"
    print(text)
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
    if asked.markdown is not None:
        asked.markdown.write_text(text, encoding="utf-8")
    return 0


def measure(name: str, count: int, workers: int) -> tuple[dict[Guarantee, Score], Worst, int]:
    """Play `count` worlds of a set; returns the scores, the ledger's worst differences and how many ticks there were."""
    scores, worst, ticks = {guarantee: Score() for guarantee in Guarantee}, Worst(), 0
    with ProcessPoolExecutor(workers) as pool:
        for scored, balance, played in pool.map(partial(measure_one, name), range(count), chunksize=4):
            for guarantee, score in scored.items():
                scores[guarantee].add(score)
            worst.add(balance)
            ticks += played
    return scores, worst, ticks


def measure_one(name: str, number: int) -> tuple[dict[Guarantee, Score], Worst, int]:
    """Play one world of a set."""
    logging.getLogger("slicewatch").addHandler(logging.NullHandler())  # sources fail on purpose here
    told = SETS[name]
    scorer, balance, ticks = Scorer(), Balance(), 0
    for moment in play(told, world(told, number)):
        scorer.note(moment)
        balance.note(moment)
        ticks += 1
    return scorer.scores, balance.worst, ticks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

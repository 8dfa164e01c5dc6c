"""Playing and judging many worlds on all cores. A module of its own, so that a worker process can import it."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from bench.truth import ranges_report, ranges_tuning
from bench.truth.hearing import Case, hear
from bench.truth.story import play
from bench.truth.worlds import Ranges, draw

SETS = {"report": ranges_report, "tuning": ranges_tuning}


def run(name: str, count: int, workers: int) -> list[Case]:
    """Play and judge that many worlds of a set, in the order of their seeds."""
    chosen = SETS[name]
    work = [(chosen.SEED + number, chosen.RANGES) for number in range(count)]
    if workers <= 1:
        return [case for each in work for case in one(each)]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [case for cases in pool.map(one, work, chunksize=16) for case in cases]


def one(work: tuple[int, Ranges]) -> list[Case]:
    """Play and judge the world of a seed."""
    seed, ranges = work
    return hear(play(draw(seed, ranges)))

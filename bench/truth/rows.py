"""What the judge had in hand at the end of each window of the tuning worlds, beside the truth: what constants are fitted on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from bench.truth.features import Heard, features
from bench.truth.hearing import NEAR, TURNS, key_of, listen
from bench.truth.running import SETS
from bench.truth.story import ENDS, TOLERANCE, WINDOW, Story, play
from bench.truth.worlds import Ranges, draw
from exporter.demand import Answer, DemandPolicy
from exporter.demand_appetite import appetite
from exporter.demand_elasticity import elasticity
from exporter.demand_inference import terms
from exporter.demand_verdict import ALWAYS, SELDOM
from exporter.demand_window import Level, Means, means

LEAST_SHARE = 0.015
"""Windows below are not fitted on: whole percents say nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One window of one tenant."""

    world: int
    short: bool  # a closed loop whose bursts take less than two turns
    promise: float
    broken: bool
    ratio: float
    answer: Answer
    window: Means | None
    levels: tuple[Level, ...]
    terms: tuple[float, ...] | None  # None where inference has no say
    figures: dict[str, float]  # everything a judge may look at; empty unless asked for

    @property
    def far(self) -> bool:
        """Whether the truth is far enough from the threshold to be told."""
        return abs(self.ratio - (1 - TOLERANCE)) > NEAR


def gather(name: str, count: int, workers: int, *, everything: bool = False) -> list[Row]:
    """Play that many worlds of a set; `everything` also takes down what the study of the knowable looks at."""
    chosen = SETS[name]
    seeds = [chosen.SEED + number for number in range(count)]
    one = partial(rows, ranges=chosen.RANGES, everything=everything)
    if workers <= 1:
        return [row for seed in seeds for row in one(seed)]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [row for found in pool.map(one, seeds, chunksize=16) for row in found]


def rows(seed: int, ranges: Ranges, *, everything: bool = False) -> list[Row]:
    """Return a row for each window of each tenant of one world that wanted something."""
    return list(taken(play(draw(seed, ranges)), everything=everything))


def taken(story: Story, *, everything: bool) -> Iterator[Row]:
    """Yield the rows of one story."""
    heard = Heard(story) if everything else None
    tenants = {tenant.name: tenant for tenant in story.world.tenants}
    for at, answers, memory in listen(story):
        for truth in story.truths if at in ENDS else ():
            if truth.end != at or not truth.wanted:
                continue
            tenant, key = tenants[truth.tenant], key_of(truth.tenant)
            track = memory.tracks.get(key)
            window = None if track is None else means(track, at - WINDOW)
            levels = () if track is None else track.levels
            inferred = _terms(window, levels, tenant.promise)
            figures = {f"term{number}": term for number, term in enumerate(inferred or ())}
            yield Row(
                world=story.world.seed,
                short=tenant.kind == "closed"
                and story.world.demands[tenant.members[0]].burst < TURNS * story.world.quantum,
                promise=tenant.promise,
                broken=truth.broken,
                ratio=truth.ratio,
                answer=answers[key].answer,
                window=window,
                levels=levels,
                terms=inferred,
                figures={} if heard is None else features(heard, tenant, at) | figures,
            )


def _terms(window: Means | None, levels: tuple[Level, ...], promise: float) -> tuple[float, ...] | None:
    """The terms of the inference, for windows that come to it."""
    policy = DemandPolicy()
    if window is None or window.seconds < policy.least_seconds:
        return None
    if not LEAST_SHARE <= window.share < (1 - TOLERANCE) * promise:
        return None
    if window.backlog is not None and not SELDOM < window.backlog < ALWAYS:
        return None
    return terms(window, elasticity(*window.moves), appetite(window, levels, promise), promise)

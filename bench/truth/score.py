"""Figures over many cases: precision and recall of `broken`, blindness, blame, and how long a breach went unseen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench.truth.hearing import Case
from exporter.demand import Answer

Says = Callable[[Case], bool]

RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Rates:
    """Precision and recall with the counts that they are made of; None where there is nothing to count."""

    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float | None:
        """Of what was called broken, the part that was."""
        return _part(self.hits, self.hits + self.false)

    @property
    def recall(self) -> float | None:
        """Of what was broken, the part that was called so."""
        return _part(self.hits, self.hits + self.missed)


@dataclass(frozen=True, slots=True)
class Part:
    """A figure that is a part of something, with its 95 % interval; None where there is nothing to count."""

    value: float | None
    low: float | None = None
    high: float | None = None


class OfAWorld(Protocol):
    """Something that was seen in a world; `world` is the world's seed."""

    @property
    def world(self) -> int:
        """The seed."""


Seen = TypeVar("Seen", bound=OfAWorld)


def part(cases: Iterable[Seen], among: Callable[[Seen], bool], passes: Callable[[Seen], bool]) -> Part:
    """Return the part of the cases `among` that pass, with a bootstrap over worlds: windows of one world are alike."""
    counts: dict[int, list[int]] = {}
    for case in cases:
        count = counts.setdefault(case.world, [0, 0])
        if among(case):
            count[1] += 1
            count[0] += passes(case)
    worlds = [(some, every) for some, every in counts.values()]
    value = _part(sum(some for some, _ in worlds), sum(every for _, every in worlds))
    if value is None:
        return Part(None)
    chance = random.Random(len(worlds))  # noqa: S311  # a reproducible stream, no secret
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        again = chance.choices(worlds, k=len(worlds))
        if every := sum(each[1] for each in again):
            drawn.append(sum(each[0] for each in again) / every)
    return Part(value, quantile(drawn, 0.025), quantile(drawn, 0.975))


def judged(case: Case) -> bool:
    """What the judge says."""
    return case.answer is Answer.BROKEN


def plain(case: Case) -> bool:
    """What the baseline says."""
    return case.baseline


def rates(cases: Iterable[Case], says: Says) -> Rates:
    """Count hits, false alarms and misses."""
    hits = false = missed = 0
    for case in cases:
        said, true = says(case), case.truth.broken
        hits += said and true
        false += said and not true
        missed += true and not said
    return Rates(hits, false, missed)


def share(cases: Sequence[Case], test: Callable[[Case], bool]) -> float | None:
    """Return the part of the cases that pass."""
    return _part(sum(test(case) for case in cases), len(cases))


def quantile(values: Sequence[float], part: float) -> float | None:
    """Return the value below which that part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _part(some: int, all_of_them: int) -> float | None:
    return some / all_of_them if all_of_them else None

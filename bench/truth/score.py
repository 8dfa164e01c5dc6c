"""Figures over many cases: precision and recall of `broken`, blindness, blame, and how long a breach went unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.truth.hearing import Case
from exporter.demand import Answer

Says = Callable[[Case], bool]


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


def right(answers: Iterable[bool | None]) -> float | None:
    """Return the part of the questions that were answered right, of those that could be asked."""
    asked = [answer for answer in answers if answer is not None]
    return _part(sum(asked), len(asked))


def quantile(values: Sequence[float], part: float) -> float | None:
    """Return the value below which that part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _part(some: int, all_of_them: int) -> float | None:
    return some / all_of_them if all_of_them else None

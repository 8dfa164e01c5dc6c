"""A fleet's objectives over a window: read page by page, judged whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporter.catalogue import GUARANTEE_SECONDS, PARTITION_INFO, PROMISE_INFO
from slo import budget
from slo.entity import Entity, Facts
from slo.evaluate import Evaluation, evaluate
from slo.grid import counters, facts
from slo.losses import PAGE
from slo.samples import History, Samples
from slo.sli import IDLE, LOOKBACK
from slo.slices import Slices, joined, slices
from slo.spec import Matcher, Op, PartitionSLO
from slo.verdicts import Budget
from toolkit.errors import UnreachableError

Watch = Callable[[Samples, int, int], None]
"""Told of each page of counters as it is read: the samples, and the page's first and last minute."""


@dataclass(frozen=True, slots=True)
class Worst:
    """A partition that is badly off, on one SLO."""

    spec: PartitionSLO
    who: Entity
    left: Budget


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a window of history comes to. Times are Unix seconds."""

    source: str
    start: int
    end: int
    known_from: int | None  # end of the first slice that anything is known of; None when nothing is
    partitions: int
    evaluations: tuple[Evaluation, ...]
    slices: Mapping[str, Slices]  # by the SLO's name

    def worst(self, most: int) -> list[Worst]:
        """Return the partitions with the least left of a budget that they have spent of."""
        found = [
            Worst(evaluation.spec, who, left)
            for evaluation in self.evaluations
            for who, left in budget.worst_first(evaluation.partitions)[:most]
            if left.bad
        ]
        return sorted(found, key=lambda one: (one.left.remaining or 0.0, one.spec.name, one.who))[:most]

    def need(self) -> None:
        """Raise UnreachableError when nothing is known: no data is neither kept nor quiet."""
        if self.known_from is None:
            raise UnreachableError(
                f"{self.source}: no counters of partitions in that time; is it what scrapes the exporters?"
            )


def judge(
    history: History, specs: Sequence[PartitionSLO], start: int, end: int, watch: Watch | None = None
) -> Judgement:
    """Judge SLOs over start < t ≤ end; both are whole minutes. Raises UnreachableError."""
    pages: dict[str, list[Slices]] = {spec.name: [] for spec in specs}
    known: dict[tuple[str, ...], dict[Entity, Facts]] = {spec.group_by: {} for spec in specs}
    guarantees = "|".join(sorted({spec.sli.guarantee for spec in specs}))
    matchers = (Matcher("guarantee", Op.MATCHES, guarantees),)
    for first in range(start, end, PAGE):
        last = min(first + PAGE, end)
        info, promise = (history.read(one.name, (), first - LOOKBACK, last) for one in (PARTITION_INFO, PROMISE_INFO))
        for group_by, found in known.items():
            found.update(facts(info, promise, group_by))
        samples = history.read(GUARANTEE_SECONDS.name, matchers, first - LOOKBACK, last)
        if watch is not None:
            watch(samples, first, last)
        for spec in specs:
            values = counters(samples, spec.sli.guarantee, spec.group_by, first, last)
            pages[spec.name].append(slices(spec, values, known[spec.group_by]))
    return _judged(history.name, specs, {name: joined(found) for name, found in pages.items()}, start, end)


def _judged(source: str, specs: Sequence[PartitionSLO], whole: Mapping[str, Slices], start: int, end: int) -> Judgement:
    begun = [first for found in whole.values() if (first := _known_from(found)) is not None]
    entities = {who for found in whole.values() for who in found.entities}
    evaluations = tuple(evaluate(spec, whole[spec.name]) for spec in specs)
    return Judgement(source, start, end, min(begun, default=None), len(entities), evaluations, whole)


def _known_from(found: Slices) -> int | None:
    measured = (found.states >= IDLE).any(axis=0)
    return found.first + int(measured.argmax()) * 60 if measured.any() else None

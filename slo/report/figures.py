"""What a report says, as values: pure arithmetic on what was gathered.

Fairness of a shared GPU is Jain's index J = (Σx)² / (n·Σx²) over its partitions that wanted compute, x being the part of the promise
that was got while it was wanted; J hides one that starves among many, so the least x stands beside it.

Credits are promised GPU-hours that were lost while they were wanted. They were spent elsewhere on the same GPUs, so they are no part
of the physical hours, which sum by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.catalogue import ACCOUNT_STATES
from slo.entity import Entity
from slo.evaluate import Evaluation
from slo.losses import Blame
from slo.report.gathered import Gathered, Spent, State
from slo.sli import BAD, Floats
from slo.slices import Slices
from slo.spec import SLICE, Objective, PartitionSLO, Severity
from slo.verdicts import Budget

UNKNOWN = "unknown"
MOST_WORST = 20
MOST_GPUS = 10
_HOUR = 3600.0
_WANTED = 60.0
"""Seconds of wanted compute below which a partition says nothing of fairness."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An objective's row."""

    slo: str
    objective: str
    budget: Budget
    pages: int
    tickets: int


@dataclass(frozen=True, slots=True)
class Burn:
    """An objective's budget as it was spent: the part of it [bins] up to each bin's end, by cause, most first."""

    slo: str
    objective: str
    ends: tuple[int, ...]  # Unix seconds
    spent: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Sufferer:
    """A partition that is badly off."""

    slo: str
    who: Entity
    klass: str
    budget: Budget
    blame: Blame | None


@dataclass(frozen=True, slots=True)
class Fairness:
    """How evenly the partitions of a GPU were short-changed. Ratios are 0 to 1."""

    gpu: str
    partitions: int
    jain: float
    least: float
    who: str  # the one that got least, NAMESPACE/POD


@dataclass(frozen=True, slots=True)
class Bill:
    """A namespace's GPU-hours. promised = delivered + idle_held + broken, where everything was measured."""

    namespace: str
    promised: float
    delivered: float
    borrowed: float
    broken: float

    @property
    def idle_held(self) -> float:
        """Promised, and neither wanted nor taken away."""
        return max(0.0, self.promised - self.delivered - self.broken)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. Times are Unix seconds."""

    source: str
    start: int
    end: int
    known_from: int
    partitions: int
    kept: tuple[Kept, ...]
    burns: tuple[Burn, ...]
    worst: tuple[Sufferer, ...]
    fairness: tuple[Fairness, ...]
    bills: tuple[Bill, ...]
    gpu_hours: Mapping[str, float]  # by state, of all GPUs


def figures(found: Gathered) -> Report:
    """Work out a report."""
    judged = found.judged
    blames = {name: losses.blame() for name, losses in found.losses.items()}
    return Report(
        source=judged.source,
        start=judged.start,
        end=judged.end,
        known_from=judged.start if judged.known_from is None else judged.known_from,
        partitions=judged.partitions,
        kept=tuple(_kept(one, objective) for one in judged.evaluations for objective in one.spec.objectives),
        burns=tuple(
            _burn(found, one, objective)
            for one in judged.evaluations
            for objective in one.spec.objectives
            if one.objectives[objective.name].bad
        ),
        worst=tuple(
            Sufferer(
                one.spec.name, one.who, _klass(found, one.spec, one.who), one.left, blames[one.spec.name].get(one.who)
            )
            for one in judged.worst(MOST_WORST)
        ),
        fairness=tuple(_fairness(found)),
        bills=tuple(_bills(found)),
        gpu_hours=_gpu_hours(found),
    )


def _kept(one: Evaluation, objective: Objective) -> Kept:
    mine = [each.alert.severity for each in one.episodes if each.alert.labels.get("objective") == objective.name]
    budget = one.objectives[objective.name]
    return Kept(one.spec.name, objective.name, budget, mine.count(Severity.PAGE), mine.count(Severity.TICKET))


def _burn(found: Gathered, one: Evaluation, objective: Objective) -> Burn:
    """Bad slices of each bin, split by what was lost in it; a bin with bad slices and no loss on record is of unknown cause."""
    spec, whole = one.spec, found.judged.slices[one.spec.name]
    bins = -(-(found.judged.end - found.judged.start) // found.length)
    mine = {who: row for row, who in enumerate(whole.entities) if _objective(spec, whole, row) is objective}
    bad = _binned(found, whole, sorted(mine.values()), bins)
    lost: dict[str, Floats] = {}
    for key, grown in found.losses[spec.name].causes.grown.items():
        if key.entity in mine:
            lost[key.name] = lost.get(key.name, np.zeros(bins)) + grown
    total = sum(lost.values(), np.zeros(bins))
    parts = {cause: np.divide(seconds, total, out=np.zeros(bins), where=total > 0) for cause, seconds in lost.items()}
    parts[UNKNOWN] = (total <= 0).astype(float)
    budget = one.objectives[objective.name]
    whole_budget = budget.valid * (1.0 - objective.target)
    spent = {cause: (part * bad).cumsum() / whole_budget for cause, part in parts.items() if (part * bad).any()}
    order = sorted(spent, key=lambda cause: (-spent[cause][-1], cause))
    ends = tuple(min(found.judged.start + (place + 1) * found.length, found.judged.end) for place in range(bins))
    return Burn(spec.name, objective.name, ends, {cause: spent[cause] for cause in order})


def _binned(found: Gathered, whole: Slices, rows: Sequence[int], bins: int) -> Floats:
    """Bad slices of some rows in each bin."""
    bad = (whole.states[rows] == BAD).sum(axis=0)
    ends = whole.first + np.arange(whole.minutes) * SLICE
    places = np.clip((ends - 1 - found.judged.start) // found.length, 0, bins - 1)
    return np.bincount(places, weights=bad, minlength=bins).astype(np.float64)


def _objective(spec: PartitionSLO, whole: Slices, row: int) -> Objective | None:
    return spec.objective(whole.facts[row].klass(spec.sli.dimension))


def _klass(found: Gathered, spec: PartitionSLO, who: Entity) -> str:
    whole = found.judged.slices[spec.name]
    return whole.facts[whole.entities.index(who)].klass(spec.sli.dimension)


def _fairness(found: Gathered) -> list[Fairness]:
    """The GPUs on which two or more partitions wanted compute, the worst first."""
    lost = _lost(found)
    shares: dict[str, dict[Entity, float]] = {}
    for who in {key.entity for key in found.spent.grown}:
        wanted = sum(found.spent.total(Spent(who, "compute", outcome)) for outcome in ("kept", "broken"))
        if wanted >= _WANTED:
            got = 1.0 - min(1.0, lost.get(who, 0.0) / wanted)
            shares.setdefault(who.gpu, {})[who] = got
    rows = [_fair(gpu, got) for gpu, got in shares.items() if len(got) > 1]
    return sorted(rows, key=lambda one: (one.least, one.gpu))[:MOST_GPUS]


def _fair(gpu: str, got: Mapping[Entity, float]) -> Fairness:
    values = list(got.values())
    squares = sum(one * one for one in values)
    jain = 1.0 if squares == 0 else sum(values) ** 2 / (len(values) * squares)
    who = min(got, key=lambda one: (got[one], one))
    return Fairness(gpu, len(got), jain, got[who], f"{who.namespace}/{who.pod}")


def _bills(found: Gathered) -> list[Bill]:
    """Every namespace's hours, the largest promise first. A loss weighs as much as the partition was promised."""
    promised: dict[Entity, float] = {}
    hours: dict[tuple[str, str], float] = {}
    for key in found.shares.grown:
        seconds = found.shares.total(key)
        hours[key.entity.namespace, key.kind] = hours.get((key.entity.namespace, key.kind), 0.0) + seconds / _HOUR
        if key.kind == "promised":
            promised[key.entity] = seconds
    broken: dict[str, float] = {}
    for who, seconds in _lost(found).items():
        age = sum(found.spent.total(Spent(who, "compute", outcome)) for outcome in ("kept", "broken", "idle", "blind"))
        if age > 0:
            ratio = promised.get(who, 0.0) / age
            broken[who.namespace] = broken.get(who.namespace, 0.0) + seconds * ratio / _HOUR
    names = {namespace for namespace, _ in hours}
    rows = [
        Bill(
            name,
            hours.get((name, "promised"), 0.0),
            hours.get((name, "delivered"), 0.0),
            hours.get((name, "borrowed"), 0.0),
            broken.get(name, 0.0),
        )
        for name in names
    ]
    return sorted(rows, key=lambda one: (-one.promised, one.namespace))


def _lost(found: Gathered) -> dict[Entity, float]:
    """Seconds of compute that each partition lost."""
    lost: dict[Entity, float] = {}
    for key in found.lost.grown:
        lost[key.entity] = lost.get(key.entity, 0.0) + found.lost.total(key)
    return lost


def _gpu_hours(found: Gathered) -> dict[str, float]:
    gpus = {key.gpu for key in found.states.grown}
    return {state: sum(found.states.total(State(gpu, state)) for gpu in gpus) / _HOUR for state in ACCOUNT_STATES}

"""An SLO's slices: each of its partitions, each minute, as one of four states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slo import sli
from slo.entity import Entity, Facts, labels
from slo.grid import Counters
from slo.sli import States
from slo.spec import SLICE, PartitionSLO


@dataclass(frozen=True, slots=True)
class Slices:
    """States [partitions, minutes] of one SLO. The slice in column k ends at `first + k·60` (Unix seconds)."""

    entities: tuple[Entity, ...]
    facts: tuple[Facts, ...]
    first: int
    states: States

    @property
    def minutes(self) -> int:
        """How many minutes there are."""
        return int(self.states.shape[1])


def mine(spec: PartitionSLO, entity: Entity, known: Facts) -> bool:
    """Whether a partition is one that the SLO judges: selected, and of a class that has an objective."""
    return spec.objective(known.klass(spec.sli.dimension)) is not None and spec.selects(
        labels(entity, spec.group_by), known
    )


def slices(spec: PartitionSLO, counters: Counters, known: Mapping[Entity, Facts]) -> Slices:
    """Judge an SLO's partitions: one slice for each step between two minutes of the counters.

    A partition of which no info was ever seen is left out: its class is not known, so no objective is its own.
    """
    rows = [
        (row, one, known[one])
        for row, one in enumerate(counters.entities)
        if one in known and mine(spec, one, known[one])
    ]
    picked = counters.values[[row for row, _, _ in rows]]
    states = sli.states(sli.seconds(picked[:, :-1], picked[:, 1:]), spec.sli)
    return Slices(
        tuple(one for _, one, _ in rows), tuple(found for _, _, found in rows), counters.first + SLICE, states
    )


def joined(pages: Sequence[Slices]) -> Slices:
    """Put pages of one SLO behind one another, in order of time; minutes between them and before a birth are unknown."""
    first = min(page.first for page in pages)
    end = max(page.first + page.minutes * SLICE for page in pages)
    rows: dict[Entity, Facts] = {}
    for page in pages:
        rows |= dict(zip(page.entities, page.facts, strict=True))
    place = {one: row for row, one in enumerate(rows)}
    states = np.full((len(rows), (end - first) // SLICE), sli.UNKNOWN, dtype=np.uint8)
    for page in pages:
        column = (page.first - first) // SLICE
        states[[place[one] for one in page.entities], column : column + page.minutes] = page.states
    return Slices(tuple(rows), tuple(rows.values()), first, states)

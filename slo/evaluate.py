"""A history judged whole: every alert that it raises, from when to when, and every budget at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slo import budget
from slo.burning import Burning, Flags
from slo.burnrate import HOUR, TENANT_FLOOR
from slo.entity import Entity
from slo.episodes import episodes
from slo.sli import BAD, GOOD
from slo.slices import Slices
from slo.spec import SLICE, PartitionSLO
from slo.verdicts import Budget, Episode
from slo.windows import Counted, History, within

TILE = 50
"""Partitions whose running sums are in work at a time: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a history of one SLO comes to."""

    spec: PartitionSLO
    episodes: tuple[Episode, ...]
    partitions: dict[Entity, Budget]
    tenants: dict[budget.Tenant, Budget]
    objectives: dict[str, Budget]

    @property
    def firing(self) -> tuple[Episode, ...]:
        """The alerts that fire at its end."""
        return tuple(one for one in self.episodes if one.until is None)


def evaluate(spec: PartitionSLO, found: Slices) -> Evaluation:
    """Evaluate an SLO over its slices; windows that reach before the first one find nothing there."""
    return Evaluation(
        spec,
        tuple(sorted(_episodes(spec, found), key=lambda one: (one.since, one.alert.key))),
        budget.partitions(spec, found),
        budget.tenants(spec, found),
        budget.objectives(spec, found),
    )


def _episodes(spec: PartitionSLO, found: Slices) -> Iterator[Episode]:
    keep = spec.alerting.keep_firing_for
    troubled = np.flatnonzero((found.states == BAD).any(axis=1))
    paging: dict[int, Flags] = {}
    for low in range(0, len(troubled), TILE):
        rows = troubled[low : low + TILE]
        table = _table(spec, found, rows)
        raised, pages = table.partitions(History(found.states[rows]))
        place = {one: int(row) for one, row in zip(table.entities, rows, strict=True)}
        for one in raised:
            if one.alert.entity is not None:
                yield from episodes(one, found.states[place[one.alert.entity]] == BAD, found.first, keep)
        paging |= {int(row): pages[number] for number, row in enumerate(rows) if pages[number].any()}
    yield from _tenants(spec, found, keep)
    if len(paging) > 1:
        yield from _wider(spec, found, paging, keep)
        yield from _fleet(spec, found, paging, keep)


def _table(spec: PartitionSLO, found: Slices, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Burning:
    return Burning(spec, tuple(found.entities[row] for row in rows), tuple(found.facts[row] for row in rows))


def _wider(spec: PartitionSLO, found: Slices, paging: dict[int, Flags], keep: int) -> Iterator[Episode]:
    """The alerts of GPUs and nodes, node by node: only those on which two partitions ever paged."""
    nodes: dict[tuple[str, ...], list[int]] = {}
    for row, (who, known) in enumerate(zip(found.entities, found.facts, strict=True)):
        nodes.setdefault((*who.site, known.node), []).append(row)
    for members in nodes.values():
        if sum(row in paging for row in members) > 1:
            rows = np.array(members, dtype=np.intp)
            counts = History(found.states[rows])
            pages = np.stack([paging.get(row, np.zeros(found.minutes, dtype=bool)) for row in members])
            troubled = (found.states[rows] == BAD).any(axis=0)
            for one in _table(spec, found, rows).wider(pages, counts.valid(HOUR) > 0, counts.bad(HOUR)):
                yield from episodes(one, troubled, found.first, keep)


def _fleet(spec: PartitionSLO, found: Slices, paging: dict[int, Flags], keep: int) -> Iterator[Episode]:
    everything = Burning(spec, found.entities, found.facts)
    sites = everything.sites()
    shape = (len(sites.keys), found.minutes)
    burning: Counted = np.zeros(shape, dtype=np.int32)
    valid: Counted = np.zeros(shape, dtype=np.int32)
    bad: Counted = np.zeros(shape, dtype=np.int32)
    for row, flags in paging.items():
        burning[sites.of[row]] += flags
    for low in range(0, len(found.entities), TILE):
        counts = History(found.states[low : low + TILE])
        np.add.at(valid, sites.of[low : low + TILE], counts.valid(HOUR) > 0)
        np.add.at(bad, sites.of[low : low + TILE], counts.bad(HOUR))
    troubled: Flags = np.asarray((found.states[list(paging)] == BAD).any(axis=0))
    for one in everything.fleet(sites, burning, valid, bad):
        yield from episodes(one, troubled, found.first, keep)


def _tenants(spec: PartitionSLO, found: Slices, keep: int) -> Iterator[Episode]:
    """The tickets of namespaces whose budget of the period is spent."""
    members: dict[budget.Tenant, list[int]] = {}
    for row, (who, known) in enumerate(zip(found.entities, found.facts, strict=True)):
        members.setdefault(budget.tenant(spec, who, known), []).append(row)
    for tenant, rows in members.items():
        states = found.states[rows]
        bad: Counted = (states == BAD).sum(axis=0, dtype=np.int32)[None]
        if int(bad.sum()) >= TENANT_FLOOR:
            valid: Counted = (states >= GOOD).sum(axis=0, dtype=np.int32)[None]
            spent = within(bad, spec.period // SLICE)[0], within(valid, spec.period // SLICE)[0]
            for one in budget.raised(spec, tenant, *spent):
                yield from episodes(one, bad[0] > 0, found.first, keep)

"""What partitions lost their promise to: by cause and by neighbour, over a window of history."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from exporter.catalogue import BLIND_SECONDS, LOST_SECONDS, LOST_TO_NEIGHBOUR
from slo.entity import Entity
from slo.grid import entity
from slo.growth import Growth
from slo.samples import History
from slo.sli import LOOKBACK
from slo.spec import Matcher, Op, PartitionSLO, Subject

PAGE = 6 * 3600
"""Seconds of history that are read at a time."""


@dataclass(frozen=True, slots=True)
class Blame:
    """The cause of most of a partition's loss, and its part of it (0 to 1); the neighbour that took most, NAMESPACE/POD."""

    cause: str
    part: float
    neighbour: str = ""

    def __str__(self) -> str:
        whose = f" {self.neighbour}" if self.neighbour and self.cause == "neighbour" else ""
        return f"{self.cause}{whose} {self.part:.0%}"


class _Key(NamedTuple):
    entity: Entity
    name: str


class Losses:
    """Seconds that partitions lost on one guarantee, by cause and by neighbour (blind seconds by reason, for coverage)."""

    def __init__(self, spec: PartitionSLO, start: int, bins: int, length: int) -> None:
        self._spec = spec
        coverage = spec.sli.subject is Subject.COVERAGE
        by, self.metric = ("reason", BLIND_SECONDS.name) if coverage else ("cause", LOST_SECONDS.name)
        self.causes: Growth[_Key] = Growth(lambda labels: self._key(labels, labels.get(by, "")), start, bins, length)
        self._takers: Growth[_Key] = Growth(
            lambda labels: self._key(
                labels, f"{labels.get('neighbour_namespace', '')}/{labels.get('neighbour_pod', '')}"
            ),
            start,
            1,
            bins * length,
        )

    def page(self, history: History, first: int, last: int, only: Collection[Matcher] = ()) -> None:
        """Read a page of history, behind the one before. Raises UnreachableError."""
        matchers = (Matcher("guarantee", Op.EQUAL, self._spec.sli.guarantee), *only)
        for metric, growth in ((self.metric, self.causes), (LOST_TO_NEIGHBOUR.name, self._takers)):
            growth.page(history.read(metric, matchers, first - LOOKBACK, last), first, last)

    def blame(self) -> dict[Entity, Blame]:
        """Return who lost most to what."""
        found: dict[Entity, dict[str, float]] = {}
        for key in self.causes.grown:
            found.setdefault(key.entity, {})[key.name] = self.causes.total(key)
        takers: dict[Entity, dict[str, float]] = {}
        for key in self._takers.grown:
            takers.setdefault(key.entity, {})[key.name] = self._takers.total(key)
        return {
            who: Blame(most, seconds[most] / sum(seconds.values()), _most(takers.get(who, {})))
            for who, seconds in found.items()
            if (most := _most(seconds))
        }

    def _key(self, labels: Mapping[str, str], name: str) -> _Key:
        return _Key(entity(labels, self._spec.group_by), name)


def blamed(
    history: History, spec: PartitionSLO, worst: Collection[Entity], start: int, end: int
) -> dict[Entity, Blame]:
    """Return what some partitions lost most to in a window (Unix seconds). Raises UnreachableError."""
    losses = Losses(spec, start, 1, end - start)
    only = [
        Matcher("namespace", Op.MATCHES, _either(who.namespace for who in worst)),
        Matcher("pod", Op.MATCHES, _either(who.pod for who in worst)),
    ]
    for first in range(start, end, PAGE):
        losses.page(history, first, min(first + PAGE, end), only)
    return {who: blame for who, blame in losses.blame().items() if who in worst}


def _either(names: Iterable[str]) -> str:
    return "|".join(sorted({re.escape(name) for name in names}))


def _most(seconds: Mapping[str, float]) -> str:
    """The name with the most seconds; of equals the first by name; empty when all are nothing."""
    name = min(seconds, key=lambda one: (-seconds[one], one), default="")
    return name if seconds.get(name, 0.0) > 0 else ""

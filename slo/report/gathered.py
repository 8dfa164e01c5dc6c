"""Everything that a report is made of, read from a history once: slices, losses by cause, and who used which part of a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.catalogue import ACCOUNTED_SECONDS, LOST_SECONDS, SHARE_SECONDS
from slo.check.judgement import Judgement, judge
from slo.entity import Entity
from slo.grid import entity
from slo.growth import Growth
from slo.losses import Losses
from slo.samples import History, Samples
from slo.sli import LOOKBACK
from slo.spec import Matcher, Op, PartitionSLO

_LENGTHS = (300, 900, 3600, 7200, 21600)
_MOST_BINS = 120
_COMPUTE = (Matcher("guarantee", Op.EQUAL, "compute"),)


class Spent(NamedTuple):
    """A partition's seconds of one guarantee and outcome."""

    entity: Entity
    guarantee: str
    outcome: str


class Share(NamedTuple):
    """A partition's GPU-seconds of one kind: promised, delivered, borrowed."""

    entity: Entity
    kind: str


class Lost(NamedTuple):
    """A partition's seconds of compute that one cause took."""

    entity: Entity
    cause: str


class State(NamedTuple):
    """A GPU's seconds of one state."""

    gpu: str
    state: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """A window of history, summed. `length` is a bin's, in seconds."""

    judged: Judgement
    length: int
    losses: Mapping[str, Losses]  # by the SLO's name
    spent: Growth[Spent]
    lost: Growth[Lost]
    shares: Growth[Share]
    states: Growth[State]


def gather(history: History, specs: Sequence[PartitionSLO], start: int, end: int) -> Gathered:
    """Read start < t ≤ end (Unix seconds, whole minutes), six hours at a time. Raises UnreachableError."""
    length = next((each for each in _LENGTHS if (end - start) / each <= _MOST_BINS), _LENGTHS[-1])
    bins = -(-(end - start) // length)
    losses = {spec.name: Losses(spec, start, bins, length) for spec in specs}
    spent: Growth[Spent] = Growth(_spent, start, 1, end - start)
    lost: Growth[Lost] = Growth(_lost, start, 1, end - start)
    shares: Growth[Share] = Growth(_share, start, 1, end - start)
    states: Growth[State] = Growth(_state, start, 1, end - start)

    def page(samples: Samples, first: int, last: int) -> None:
        spent.page(samples, first, last)
        for each in losses.values():
            each.page(history, first, last)
        lost.page(history.read(LOST_SECONDS.name, _COMPUTE, first - LOOKBACK, last), first, last)
        shares.page(history.read(SHARE_SECONDS.name, (), first - LOOKBACK, last), first, last)
        states.page(history.read(ACCOUNTED_SECONDS.name, (), first - LOOKBACK, last), first, last)

    judged = judge(history, specs, start, end, page)
    return Gathered(judged, length, losses, spent, lost, shares, states)


def _spent(labels: Mapping[str, str]) -> Spent:
    return Spent(entity(labels, ()), labels.get("guarantee", ""), labels.get("outcome", ""))


def _lost(labels: Mapping[str, str]) -> Lost:
    return Lost(entity(labels, ()), labels.get("cause", ""))


def _share(labels: Mapping[str, str]) -> Share:
    return Share(entity(labels, ()), labels.get("kind", ""))


def _state(labels: Mapping[str, str]) -> State:
    return State(labels.get("gpu", ""), labels.get("state", ""))

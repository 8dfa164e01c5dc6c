"""Counts how often the judge was right: by guarantee, over ticks and over episodes of a breach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bench.verdicts.play import Moment
from bench.verdicts.truth import Expected
from exporter.catalogue import PartitionKey
from exporter.model import DeviceUuid
from exporter.verdict import Cause, Guarantee, Outcome, Verdict

SETTLED = 4.0
"""Seconds after which a fresh exporter has had two answers of each source."""

_LONG = 5.0
"""Seconds that an episode lasts at the least, to count as missed when nobody noticed it."""


@dataclass(slots=True)
class Pair:
    """How many of how many."""

    part: int = 0
    whole: int = 0

    def note(self, *, right: bool) -> None:
        """Count one."""
        self.whole += 1
        self.part += right

    def add(self, other: Pair) -> None:
        """Add another count."""
        self.part += other.part
        self.whole += other.whole

    @property
    def ratio(self) -> float | None:
        """The part of 1; None of nothing."""
        return self.part / self.whole if self.whole else None


@dataclass(slots=True)
class Score:
    """One guarantee's counts. `clear_…` leave out the ticks near a threshold."""

    precision: Pair = field(default_factory=Pair)
    clear_precision: Pair = field(default_factory=Pair)
    recall: Pair = field(default_factory=Pair)
    clear_recall: Pair = field(default_factory=Pair)
    cause: Pair = field(default_factory=Pair)
    neighbour: Pair = field(default_factory=Pair)
    blind: Pair = field(default_factory=Pair)
    missed: Pair = field(default_factory=Pair)
    delays: list[float] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Add another world's counts."""
        for name in ("precision", "clear_precision", "recall", "clear_recall", "cause", "neighbour", "blind", "missed"):
            mine: Pair = getattr(self, name)
            mine.add(getattr(other, name))
        self.delays += other.delays


@dataclass(slots=True)
class _Episode:
    """A breach that is going on: since when, and whether it was noticed or could not be."""

    since: float
    noticed: bool = False
    excused: bool = False


class Scorer:
    """Compares one world's ticks."""

    def __init__(self) -> None:
        self.scores = {guarantee: Score() for guarantee in Guarantee}
        self._episodes: dict[tuple[PartitionKey, Guarantee], _Episode] = {}

    def note(self, moment: Moment) -> None:
        """Compare one tick."""
        for key, verdicts in moment.result.verdicts.items():
            unread = DeviceUuid(key.device) in moment.unread
            for guarantee, verdict in verdicts.items():
                right = moment.expected.get((key.namespace, key.pod, guarantee))
                if right is None:
                    continue
                excused = moment.trouble or unread or not right.knowable
                if moment.at > SETTLED:
                    self._compare(self.scores[guarantee], verdict, right, excused=excused)
                self._follow(key, guarantee, verdict, right, moment, excused=excused)

    @staticmethod
    def _compare(score: Score, verdict: Verdict, right: Expected, *, excused: bool) -> None:
        if right.outcome is None:
            return
        said, was = verdict.outcome is Outcome.BROKEN, right.outcome is Outcome.BROKEN
        if said:
            score.precision.note(right=was)
            if right.clear:
                score.clear_precision.note(right=was)
        if not excused:
            score.blind.note(right=verdict.outcome is Outcome.BLIND)
            if was:
                score.recall.note(right=said)
                if right.clear:
                    score.clear_recall.note(right=said)
        if said and was and right.cause is not None:
            score.cause.note(right=_most(verdict.loss) == right.cause)
            if right.neighbour is not None and right.cause is Cause.NEIGHBOUR:
                score.neighbour.note(right=_most(verdict.neighbours) == right.neighbour)

    def _follow(
        self,
        key: PartitionKey,
        guarantee: Guarantee,
        verdict: Verdict,
        right: Expected,
        moment: Moment,
        *,
        excused: bool,
    ) -> None:
        score, name = self.scores[guarantee], (key, guarantee)
        if not right.broken:
            ended = self._episodes.pop(name, None)
            if ended is not None and not ended.excused and (ended.noticed or moment.since - ended.since >= _LONG):
                score.missed.note(right=not ended.noticed)
            return
        episode = self._episodes.setdefault(name, _Episode(moment.since))
        # A source that fails, and a start in the middle of a breach, delay nobody's judgement but their own.
        episode.excused = episode.excused or excused or episode.since < SETTLED
        if verdict.outcome is Outcome.BROKEN and not episode.noticed:
            episode.noticed = True
            if not episode.excused:
                score.delays.append(moment.at - episode.since)


K = TypeVar("K")


def _most(parts: Mapping[K, float]) -> K | None:
    return max(parts, key=lambda name: parts[name], default=None)

"""What a watcher would say while it happens: guarantees that break, alerts that fire and resolve. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.catalogue import PartitionKey
from exporter.explain import promise_words, verdict_words
from exporter.pipeline import Result
from exporter.verdict import Guarantee, Outcome, Verdict

HOLD = 5.0
"""Seconds for which a guarantee must be broken before the demo's alert fires."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A guarantee of a partition that is broken: since when, and whether the alert has fired."""

    since: float
    firing: bool
    text: str
    promised: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the story. `kind`: `broken`, `alert`, `resolved`."""

    at: float
    kind: str
    key: PartitionKey
    guarantee: Guarantee
    text: str


Open = Mapping[tuple[PartitionKey, Guarantee], Incident]


@dataclass(frozen=True, slots=True)
class Story:
    """The incidents that are open, and what happened on this tick."""

    open: Open = field(default_factory=dict)
    news: tuple[Happening, ...] = ()


def follow(story: Story, result: Result) -> Story:
    """Advance the story by one tick."""
    now = result.snapshot.at
    news: list[Happening] = []
    still: dict[tuple[PartitionKey, Guarantee], Incident] = {}
    for partition in result.snapshot.partitions:
        for guarantee, verdict in result.verdicts[partition.key].items():
            before = story.open.get((partition.key, guarantee))
            if not _goes_on(verdict, before):
                continue
            text = verdict_words(partition, guarantee, verdict) if verdict.outcome is Outcome.BROKEN else ""
            if before is None:
                before = Incident(now, firing=False, text=text, promised=promise_words(partition))
                news.append(Happening(now, "broken", partition.key, guarantee, text))
            fires = not before.firing and now - before.since >= HOLD
            if fires:
                news.append(Happening(now, "alert", partition.key, guarantee, text or before.text))
            still[partition.key, guarantee] = Incident(
                before.since, before.firing or fires, text or before.text, before.promised
            )
    for (key, guarantee), incident in story.open.items():
        if (key, guarantee) not in still:
            text = f"after {now - incident.since:.0f} s"
            news.append(Happening(now, "resolved", key, guarantee, text))
    return Story(still, tuple(news))


def _goes_on(verdict: Verdict, before: Incident | None) -> bool:
    """An incident begins when something is broken, and a tick that cannot tell does not end it."""
    return verdict.outcome is Outcome.BROKEN or (before is not None and verdict.outcome is Outcome.BLIND)

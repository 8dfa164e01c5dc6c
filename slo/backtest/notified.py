"""From episodes to what a person would have been told: Alertmanager's inhibition played on a history.

As the generated configuration has it (`slo.rules.routing`): the fleet's alert hides its nodes', a node's its GPUs', a GPU's its
partitions', all of one SLO; a page hides the tickets of the same partition. An alert that was hidden for its whole life was
never told of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slo.spec import SLICE, Severity
from slo.verdicts import AlertName, Episode

_WIDTH = {AlertName.FLEET: 3, AlertName.NODE: 2, AlertName.GPU: 1}
_EQUAL = {AlertName.FLEET: (), AlertName.NODE: ("node",), AlertName.GPU: ("node", "gpu")}
_PARTITION = ("gpu", "device", "namespace", "pod", "container")


@dataclass(frozen=True, slots=True)
class Notified:
    """An episode that somebody would have been told of. Times are seconds."""

    episode: Episode
    lasted: int  # to the end of the history, if it still fired
    detection: int  # from the end of the first bad slice to the alert


def notified(episodes: Sequence[Episode], group_by: Sequence[str], end: int) -> tuple[Notified, ...]:
    """Return the episodes of one SLO that are not hidden for their whole life; `end` is Unix seconds."""
    by_width: dict[int, list[Episode]] = {}
    for one in episodes:
        by_width.setdefault(_WIDTH.get(one.alert.name, 0), []).append(one)
    pages: dict[tuple[str, ...], list[Episode]] = {}
    for one in by_width.get(0, ()):
        if one.alert.name is AlertName.PARTITION and one.alert.severity is Severity.PAGE:
            pages.setdefault(_partition(one, group_by), []).append(one)
    found = []
    for one in episodes:
        width = _WIDTH.get(one.alert.name, 0)
        above = [
            wide
            for level in range(width + 1, 4)
            for wide in by_width.get(level, ())
            if one.alert.name is not AlertName.TENANT and _same(one, wide, (*group_by, *_EQUAL[wide.alert.name]))
        ]
        if one.alert.severity is Severity.TICKET:
            above += pages.get(_partition(one, group_by), [])
        if not _covered(one, above, end):
            until = end if one.until is None else one.until
            found.append(Notified(one, until - one.since, one.since - one.began))
    return tuple(found)


def _partition(one: Episode, group_by: Sequence[str]) -> tuple[str, ...]:
    return tuple(one.alert.labels.get(name, "") for name in (*group_by, *_PARTITION))


def _same(one: Episode, other: Episode, names: Iterable[str]) -> bool:
    return all(one.alert.labels.get(name, "") == other.alert.labels.get(name, "") for name in names)


def _covered(one: Episode, above: Sequence[Episode], end: int) -> bool:
    """Whether each of an episode's evaluations fell into one of the others."""
    at, until = one.since, end if one.until is None else one.until
    for wide in sorted(above, key=lambda each: each.since):
        if wide.since <= at:
            at = max(at, end if wide.until is None else wide.until)
    return at >= max(until, one.since + SLICE)


def noisiest(found: Iterable[Notified], most: int) -> list[tuple[str, int]]:
    """Return who people were told of most often, NAMESPACE/POD, with how often."""
    counts = Counter(
        f"{one.episode.alert.labels['namespace']}/{one.episode.alert.labels['pod']}"
        for one in found
        if "pod" in one.episode.alert.labels
    )
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]

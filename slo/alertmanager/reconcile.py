"""What is known of alerts against what fires now: which begin, go on, end, and are forgotten. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from slo.alertmanager.notice import Entry, Key, Notice


def reconcile(
    known: Mapping[Key, Entry], firing: Iterable[Notice], now: int, *, resolved_for: int, hold: bool
) -> dict[Key, Entry]:
    """Return what is known after a round.

    An alert that fires keeps the beginning that it was first sent with, whatever an evaluator that was started again makes
    of it. One that no longer fires has ended now, and is remembered for `resolved_for` seconds. With `hold` the round was
    not a complete evaluation: nothing ends.
    """
    found: dict[Key, Entry] = {}
    for notice in firing:
        before = known.get(notice.key)
        starts_at = before.starts_at if before is not None and before.active else notice.since
        found[notice.key] = Entry(notice.key, notice.annotations, starts_at)
    for key, entry in known.items():
        if key not in found:
            ended = _ended(entry, now, hold=hold)
            if ended.ended_at is None or now - ended.ended_at < resolved_for:
                found[key] = ended
    return found


def _ended(entry: Entry, now: int, *, hold: bool) -> Entry:
    """The entry of an alert that does not fire. An end in the future is a clock that was set back: it ended now."""
    if entry.ended_at is None:
        return entry if hold else replace(entry, ended_at=now)
    return replace(entry, ended_at=min(entry.ended_at, now))

"""The JSON that Alertmanager's API v2 takes (`POST /api/v2/alerts`). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from slo.alertmanager.notice import Entry

PATH: Final = "/api/v2/alerts"

_LATEST: Final = 253402300799  # the end of the year 9999, RFC 3339's last


def body(entries: Sequence[Entry], now: float, lifetime: int, ahead: float = 0.0, generator_url: str = "") -> bytes:
    """Write a batch of alerts. `ahead` is by how many seconds the peer's clock is ahead of the one that told `now`.

    A firing alert ends `lifetime` seconds after the peer's now: a peer that hears no more of it ends it by itself. Whether an
    alert has ended the peer tells by its own clock, so that an end is written in its time.
    """
    return json.dumps(
        [_alert(entry, now, lifetime, ahead, generator_url) for entry in entries],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode("utf-8", "replace")


def _alert(entry: Entry, now: float, lifetime: int, ahead: float, generator_url: str) -> dict[str, object]:
    ends = (now + lifetime if entry.ended_at is None else entry.ended_at) + ahead
    alert: dict[str, object] = {
        "labels": dict(entry.key),
        "annotations": dict(entry.annotations),
        # A clock that was set back may put the end before the beginning, which Alertmanager refuses.
        "startsAt": timestamp(min(entry.starts_at, ends)),
        "endsAt": timestamp(ends),
    }
    return alert | ({"generatorURL": generator_url} if generator_url else {})


def timestamp(at: float) -> str:
    """Write Unix seconds as RFC 3339, in milliseconds."""
    text = datetime.fromtimestamp(min(max(at, 0.0), _LATEST), UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

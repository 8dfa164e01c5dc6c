"""A thread for one peer, so that a peer that is slow or dead delays no other.

A round leaves its alerts with each lane; a lane that is still busy finds the newest when it is done, and never sends an older
state after a newer one. What a peer has taken is not sent again before its time, whatever was refused or failed.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from slo.alertmanager.batches import Delivery, Reply, Verdict, deliver
from slo.alertmanager.line import Line
from slo.alertmanager.notice import Accepted, Entry, Key
from slo.alertmanager.payload import body
from slo.alertmanager.peer import Peer
from slo.alertmanager.settings import Settings

_EARLY: Final = 0.25
"""Part of `resend` by which a round may come early and still be the next: rounds are a minute apart only on average."""

_SKEW: Final = 30.0
"""Seconds by which a peer's clock may be off before what it was sent is dated anew. An alert lives minutes."""


@dataclass(frozen=True, slots=True)
class Work:
    """A round's alerts. `now` is Unix seconds; `at` the monotonic clock at that time."""

    number: int = 0
    entries: Mapping[Key, Entry] = field(default_factory=dict)
    now: float = 0.0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """How a peer is. `ahead` is by how many seconds its clock is ahead of ours; `last_success` is Unix seconds."""

    url: str
    up: bool | None = None  # None before it was asked
    error: str = ""
    last_success: float | None = None
    ahead: float = 0.0
    posts: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a lane has done: the last round that it finished, what its peer has taken, and what it refused since asked last."""

    done: int
    accepted: Mapping[Key, Accepted]
    refused: Mapping[Key, str]
    status: PeerStatus


class Lane:
    """One peer's thread. Its methods may be called from any thread."""

    def __init__(
        self, peer: Peer, accepted: Mapping[Key, Accepted], settings: Settings, changed: threading.Condition
    ) -> None:
        self._settings = settings
        self._line = Line(peer)
        self._changed = changed  # shared by all lanes, so that a round can wait for any of them
        self._work = Work()
        self._done = 0
        self._accepted = dict(accepted)
        self._fresh: set[Key] = set()
        self._refused: dict[Key, tuple[float, str]] = {}  # until when, on the monotonic clock, and why
        self._status = PeerStatus(peer.url)
        self._failures = 0
        self._retry_at: float | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"alertmanager {peer.url}", daemon=True)
        self._thread.start()

    def offer(self, work: Work) -> None:
        """Leave a round's alerts. While the lane waits after a failure, the round is done at once: nothing was sent."""
        with self._changed:
            self._work = work
            for known in (self._accepted, self._refused):
                for key in known.keys() - work.entries.keys():
                    del known[key]
            if self._retry_at is not None and time.monotonic() < self._retry_at:
                self._done = work.number
            self._changed.notify_all()

    def state(self) -> LaneState:
        """Return what the lane has done so far. Call it with the condition held, or take it as of some moment."""
        with self._changed:
            refused = {key: why for key, (_, why) in self._refused.items()}
            return LaneState(self._done, dict(self._accepted), refused, self._status)

    def collect(self) -> frozenset[Key]:
        """Return the alerts that the peer took since it was asked last."""
        with self._changed:
            fresh = frozenset(self._fresh)
            self._fresh.clear()
            return fresh

    @property
    def done(self) -> int:
        """The last round that it finished."""
        return self._done

    def close(self) -> None:
        """Tell the thread to end when the request in progress has; `join` waits for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(max(0.0, timeout))

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._send(work)
        finally:
            self._line.close()

    def _next(self) -> Work | None:
        """Wait for something to do; None when there is nothing any more."""
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                if self._retry_at is None and self._work.number > self._done:
                    return self._work
                if self._retry_at is not None and now >= self._retry_at:
                    return self._work
                self._changed.wait(None if self._retry_at is None else self._retry_at - now)
            return None

    def _send(self, work: Work) -> None:
        with self._changed:
            entries = self._due(work)
        done = deliver(entries, lambda part: self._post(part, work), batch=self._settings.batch)
        with self._changed:
            self._note(work, done)
            self._changed.notify_all()

    def _due(self, work: Work) -> list[Entry]:
        """Return what the peer has to be told now, new pages first, as the round has them in order."""
        now, clock = _now(work), time.monotonic()
        for key in [key for key, (until, _) in self._refused.items() if until <= clock]:
            del self._refused[key]
        return [
            entry
            for key, entry in work.entries.items()
            if key not in self._refused and _is_due(entry, self._accepted.get(key), now, self._settings.resend)
        ]

    def _post(self, part: Sequence[Entry], work: Work) -> Reply:
        """Post once; and once more when the peer's clock turns out to be so far off that the dates meant something else."""
        reply, ahead = self._post_once(part, work)
        if reply.verdict is Verdict.ACCEPTED and abs(ahead - self._status.ahead) > _SKEW:
            self._status = replace(self._status, ahead=ahead)
            reply, _ = self._post_once(part, work)
        return reply

    def _post_once(self, part: Sequence[Entry], work: Work) -> tuple[Reply, float]:
        settings = self._settings
        sent = body(part, _now(work), settings.lifetime, self._status.ahead, settings.generator_url)
        answered = self._line.post(sent, settings.deadline)
        ahead = self._status.ahead if answered.date is None else answered.date - _now(work)
        self._status = replace(
            self._status,
            posts=self._status.posts + 1,
            errors=self._status.errors + (answered.reply.verdict is Verdict.FAILED),
        )
        return answered.reply, ahead

    def _note(self, work: Work, done: Delivery) -> None:
        now, clock = _now(work), time.monotonic()
        for entry in done.accepted:
            if entry.key in self._work.entries:  # else a newer round has forgotten it
                self._accepted[entry.key] = Accepted(now, not entry.active)
                self._fresh.add(entry.key)
        for entry, why in done.refused:
            self._refused[entry.key] = (clock + self._settings.refused_for, why)
        self._done = max(self._done, work.number)
        if done.failure is None:
            self._failures, self._retry_at = 0, None
            if done.posts:
                self._status = replace(self._status, up=True, error="", last_success=now)
            return
        self._failures += 1
        wait = min(self._settings.backoff_most, self._settings.backoff * 2.0 ** min(self._failures - 1, 16))
        self._retry_at = clock + wait * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, so that clients do not come in step
        self._status = replace(self._status, up=False, error=done.failure)


def _now(work: Work) -> float:
    """Unix seconds now: the round's, and what has passed since by a clock that nobody sets."""
    return work.now + time.monotonic() - work.at


def _is_due(entry: Entry, accepted: Accepted | None, now: float, resend: int) -> bool:
    if accepted is None or accepted.resolved == entry.active:
        return True
    passed = now - accepted.at
    return passed >= resend * (1 - _EARLY) or passed < 0  # sent in the future: the clock was set back

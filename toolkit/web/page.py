"""What the collecting thread hands to the serving threads: one immutable page, replaced as a whole.

A scrape only sends bytes. The page that it will find is put together and compressed ahead of it, in the collecting
thread, in the form that the last scrapes asked for; a form that nobody asks for costs nothing.
"""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

LATELY = 300.0
"""Seconds after which a form that nobody asks for any more is not prepared ahead."""

_AHEAD = 1.5
"""Pages, in intervals between them, that a request may come early and still find its form prepared."""

_GZIP_LEVEL = 1
"""A page of labels shrinks to a tenth at level 1 already; higher levels cost several times as much for little."""

Body = bytes | Callable[[], bytes]
"""Bytes, or a function that renders them when they are first asked for; it is called once."""


class Format(StrEnum):
    """What a page can be sent as."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"
    SNAPSHOT = "snapshot"


CONTENT_TYPES = {
    Format.TEXT: "text/plain; version=0.0.4; charset=utf-8",
    Format.OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    Format.SNAPSHOT: "application/json; charset=utf-8",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """One tick's page. `at` is Unix seconds; `ready` whether it is good enough for a first scrape.

    What is rendered or compressed on demand is kept, and made once however many requests want it.
    """

    text: Body  # Prometheus text format 0.0.4
    openmetrics: Body  # OpenMetrics 1.0.0
    snapshot: Body  # the joined node as JSON
    at: float
    ready: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _made: dict[tuple[Format, bool], bytes] = field(default_factory=dict, init=False, repr=False)

    def body(self, wanted: Format, *, gzipped: bool = False) -> bytes:
        """Return the page in a format, rendered and compressed now if it never was. Raises what the renderer raises."""
        made = self._made.get((wanted, gzipped))
        if made is not None:
            return made
        with self._lock:
            return self._make(wanted, gzipped)

    def _make(self, wanted: Format, gzipped: bool) -> bytes:  # noqa: FBT001  # half of a key, not an option
        if (wanted, False) not in self._made:
            body = self._source(wanted)
            self._made[wanted, False] = body if isinstance(body, bytes) else body()
        if gzipped and (wanted, True) not in self._made:
            # No time in the header: equal pages make equal bytes.
            self._made[wanted, True] = gzip.compress(self._made[wanted, False], _GZIP_LEVEL, mtime=0)
        return self._made[wanted, gzipped]

    def _source(self, wanted: Format) -> Body:
        match wanted:
            case Format.TEXT:
                return self.text
            case Format.OPENMETRICS:
                return self.openmetrics
            case Format.SNAPSHOT:
                return self.snapshot


@dataclass(frozen=True, slots=True)
class _Wish:
    """When a form was last asked for, and how long after the time before (monotonic seconds); 0 when it was the first."""

    last: float
    spacing: float


class Publisher:
    """The one reference between the collecting thread and the serving ones. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._page: Page | None = None
        self._since = clock()
        self._asked: dict[tuple[Format, bool], _Wish] = {}
        self._lock = threading.Lock()

    @property
    def page(self) -> Page | None:
        """The newest page, or None before the first."""
        return self._page

    def publish(self, page: Page) -> None:
        """Prepare the forms that are expected to be asked for, then replace the page. By the collecting thread only."""
        now = self._clock()
        for wanted, gzipped in self._expected(now, now - self._since):
            # A form that cannot be rendered fails the requests for it, which say so; it must not hold back the others.
            with contextlib.suppress(Exception):
                page.body(wanted, gzipped=gzipped)
        self._page = page
        self._since = self._clock()

    def _expected(self, now: float, interval: float) -> list[tuple[Format, bool]]:
        """Forms whose next request, by the spacing of the last two, falls before the page after this one.

        Prometheus scrapes at a steady interval of many ticks: preparing every page would do the work ten times over.
        """
        with self._lock:
            return [
                form
                for form, wish in self._asked.items()
                if form[0] is not Format.SNAPSHOT  # people ask for it, at no interval
                and now - wish.last <= LATELY
                and 0 < wish.spacing <= now - wish.last + _AHEAD * interval
            ]

    def serve(self, wanted: Format, *, gzipped: bool) -> bytes | None:
        """Return the newest page's bytes and remember that this form is wanted; None before the first page."""
        page = self._page
        if page is None:
            return None
        now = self._clock()
        with self._lock:
            before = self._asked.get((wanted, gzipped))
            self._asked[wanted, gzipped] = _Wish(now, 0.0 if before is None else now - before.last)
        return page.body(wanted, gzipped=gzipped)

    def fresh(self, within: float) -> bool:
        """Whether a page was published in the last `within` seconds, or this publisher is not older than that."""
        return self._clock() - self._since <= within

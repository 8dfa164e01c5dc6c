"""dcgm-exporter's page as a source of activity (source `dcgm`): what the driver itself does not tell of MIG before Hopper.

The exporter is asked over HTTP, under one deadline and one byte budget. It answers 200 with an empty body while it reloads and
500 for the whole page when one collector fails; both are no answer, and not a node without GPUs. After three failures in a
row it is left alone for half a minute: a node agent that is short of memory is not helped by being asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from exporter.dcgm.history import History, reading
from exporter.dcgm.page import Page, parse
from exporter.dcgm.reading import DcgmReading
from exporter.errors import SourceError
from exporter.model import Reason
from exporter.sources.bounded_page import Place, fetch
from toolkit.site import Site

DEADLINE = 7.5
"""Seconds for a whole page; dcgm-exporter gives up writing one after 10."""
MOST_BYTES = 16 * 1024 * 1024
"""Ten vGPU pods on each of 56 instances make 4 MB."""

_TOLERATED, _REST = 3, 30.0
_PORTS = {"http": 80, "https": 443}
_PATH = "/metrics"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row, the last of them, and until when (monotonic seconds) nothing is asked."""

    failures: int = 0
    last: SourceError | None = None
    until: float = 0.0

    def failed(self, error: SourceError, now: float) -> Breaker:
        """Count one more."""
        count = self.failures + 1
        return Breaker(count, error, now + _REST if count >= _TOLERATED else 0.0)


class DcgmExporter:
    """A dcgm-exporter. Satisfies `base.DcgmSource`; constructing it touches nothing."""

    def __init__(self, site: Site, *, deadline: float = DEADLINE, most_bytes: int = MOST_BYTES) -> None:
        self._place = place(site)
        self._deadline, self._most = deadline, most_bytes
        self._history = History()
        self._breaker = Breaker()

    def read(self, now: float) -> DcgmReading:
        """Ask for the page once. Raises SourceError, NOT_YET while the exporter reloads."""
        breaker = self._breaker
        if breaker.last is not None and now < breaker.until:
            raise SourceError(
                f"{breaker.last}; left alone after {breaker.failures} failures in a row", breaker.last.reason
            )
        try:
            told, self._history = reading(self._page(), now, self._history)
        except SourceError as error:
            self._breaker = breaker.failed(error, now)
            raise
        self._breaker = Breaker()
        return told

    def close(self) -> None:
        """Nothing is kept open."""

    def _page(self) -> Page:
        try:
            body = fetch(self._place, deadline=self._deadline, max_bytes=self._most)
        except SourceError as error:
            hint = "; dcgm-exporter serves /metrics" if error.reason is Reason.UNSUPPORTED else ""
            reason = Reason.ERROR if error.reason is Reason.UNSUPPORTED else error.reason
            raise SourceError(f"{self._place}: {error}{hint}", reason) from error
        page = parse(body.decode("utf-8", "replace"))
        if not page.devices:
            raise self._refusal(page)
        return page

    def _refusal(self, page: Page) -> SourceError:
        if page.counts.lines == 0:
            return SourceError(f"{self._place}: an empty page: dcgm-exporter is reloading", Reason.NOT_YET)
        return SourceError(
            f"{self._place}: no field of DCGM on {page.counts.lines} lines ({page.counts.bad_lines} of them no samples):"
            " is it a dcgm-exporter?"
        )


def place(site: Site) -> Place:
    """Where the page of a site is; without a path it is where dcgm-exporter has it."""
    parts = urlsplit(site.url)
    return Place(
        address=parts.hostname or "",
        port=parts.port or _PORTS[parts.scheme],
        path=parts.path or _PATH,
        tls=site.tls,
        authorization=site.authorization,
    )

"""Minutes from exporters themselves: scraped, kept, judged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from slo.embedded.scrape import Scraper
from slo.embedded.store import ParquetHistory
from slo.embedded.targets import Watched
from slo.run.judge import COUNTER, INFO, PROMISE, Judges
from slo.run.status import TargetRow
from slo.samples import Samples, together
from slo.sli import LOOKBACK
from slo.spec import SLICE
from toolkit.errors import UnreachableError
from toolkit.logs import log

_LOG = logging.getLogger(__name__)

PAGE = 6 * 3600
"""Seconds of history that are read at a time."""

LATE = 30.0
"""Seconds after a minute's end up to which a scrape still tells what was then."""


class ExportersFeed:
    """Feeds the evaluators by scraping. For one thread."""

    def __init__(
        self, watched: Watched, history: ParquetHistory, judges: Judges, wall: Callable[[], float] = time.time
    ) -> None:
        self._watched = watched
        self._scraper = Scraper(watched.targets)
        self._wall = wall
        self._history = history
        self._judges = judges
        self._before: tuple[int, Samples] | None = None
        self.trouble = ""
        """Why the last minute was not kept; empty when it was."""

    def minute(self, at: int) -> int:
        """Scrape, as of the minute that ends at `at` (Unix seconds); return its partitions. Raises UnreachableError.

        A minute that is long over cannot be scraped any more: it stays unknown. One that cannot be kept, on a disk that is full
        or read-only, is judged all the same: pages matter more than history.
        """
        if self._wall() - at > SLICE + LATE:
            return 0
        changed = self._watched.changed()
        if changed is not None:
            self._scraper.close()
            self._scraper = Scraper(changed)
        found = self._scraper.round(at)
        self._keep(at, found)
        now = _only(found, COUNTER)
        if self._before is None or self._before[0] != at - SLICE:
            self._before = (at - SLICE, self._history.read(COUNTER, (), at - SLICE - 1, at - SLICE))
        self._judges.learn(_only(found, INFO), _only(found, PROMISE))
        partitions = self._judges.minute(together([self._before[1], now]), at)
        self._before = (at, now)
        if at % PAGE == 0:
            self._judges.forget()
        return partitions

    def _keep(self, at: int, found: Samples) -> None:
        """Write a minute down; when that fails, say so once, and in `trouble`."""
        before, self.trouble = self.trouble, ""
        try:
            self._history.append(at, found)
        except UnreachableError as error:
            self.trouble = str(error)
            if self.trouble != before:
                log(_LOG, logging.ERROR, "history is not kept; minutes are judged all the same", error=self.trouble)

    def catch_up(self, start: int, end: int) -> None:
        """Read the minutes after `start` up to `end` from what was kept. What was not scraped then is unknown."""
        for first in range(start, end, PAGE):
            last = min(first + PAGE, end)
            info, promise = (self._history.read(name, (), first, last) for name in (INFO, PROMISE))
            self._judges.learn(info, promise)
            self._judges.replay(self._history.read(COUNTER, (), first - LOOKBACK, last), first, last)

    def targets(self) -> Sequence[TargetRow]:
        """Return the exporters, and whether they answer."""
        return [TargetRow(url=one.url, up=not one.error, error=one.error) for one in self._scraper.health]


def _only(samples: Samples, metric: str) -> Samples:
    """The samples of one metric."""
    numbers = [number for number, labels in enumerate(samples.series) if labels["__name__"] == metric]
    frame = samples.frame.filter(samples.frame["series"].is_in(numbers))
    places = {number: place for place, number in enumerate(numbers)}
    renumbered = frame["series"].replace_strict(places, return_dtype=samples.frame.schema["series"])
    return Samples(tuple(samples.series[number] for number in numbers), frame.with_columns(renumbered))

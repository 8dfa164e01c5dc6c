"""The tick: hear the witness, join, judge, advance the ledger, render, publish.

One thread runs it. A scrape never reaches further than the page that the last tick published.
"""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Callable
from dataclasses import replace

from exporter import __version__, budget
from exporter.catalogue import CHECKS, TICK_DURATION, PartitionKey
from exporter.exposition import Rendered, Writer
from exporter.ledger import NS, Limits
from exporter.metrics import Own, SourceHealth, families
from exporter.pipeline import Result, State, step
from exporter.policy import Policy
from exporter.selfmetrics import SelfMetrics
from exporter.watched import Histogram
from exporter.witness import DEADLINE, PATIENCE, Clock, Hearing, Live, OverError, Sources, Witness
from toolkit.logs import log

_LOG = logging.getLogger("slicewatch.collect")


class Tick:
    """What one tick made. Its page is rendered when it is first asked for: most pages are never scraped."""

    def __init__(self, result: Result, health: tuple[SourceHealth, ...], render: Callable[[], Rendered]) -> None:
        self.result = result
        self.health = health
        self._render = render
        self._lock = threading.Lock()
        self._rendered: Rendered | None = None

    @property
    def rendered(self) -> Rendered:
        """The page; rendered once, by whichever thread asks first. Raises ValueError for rows that the contract forbids."""
        with self._lock:
            if self._rendered is None:
                self._rendered = self._render()
            return self._rendered


class Collector:
    """Runs ticks on what a witness tells; every method is called by one thread. `heard` is told each hearing first."""

    def __init__(
        self,
        node: str,
        sources: Sources | Witness,
        *,
        tick: float = 1.0,
        departed_keep: float = 60.0,
        policy: Policy | None = None,
        clock: Clock | None = None,
        patience: float = PATIENCE,
        deadline: float = DEADLINE,
        series_limit: int = budget.DEFAULT,
        self_metrics: SelfMetrics | None = None,
        heard: Callable[[Hearing], None] | None = None,
    ) -> None:
        self._clock = Clock() if clock is None else clock
        self._witness: Witness = (
            Live(node, sources, clock=self._clock, patience=patience, deadline=deadline)
            if isinstance(sources, Sources)
            else sources
        )
        self._tick = tick
        self._policy = Policy() if policy is None else policy
        self._limits = Limits(keep=round(departed_keep * NS), gap=round(max(5.0, 5 * tick) * NS))
        self._state = State()
        self._series_limit = series_limit
        self._full = False
        self._writer = Writer()
        self._writing = threading.Lock()
        self._ticks = Histogram(TICK_DURATION.buckets)
        self._self_metrics = self_metrics
        self._heard = heard

    def run_tick(self) -> Tick:
        """Run one tick and return what it made. Raises OverError when the witness has nothing more to say."""
        started = self._clock.monotonic()
        holders = {(key.namespace, key.pod) for key in self._state.memory.leases.by_key}
        hearing = self._witness.hear(started, holders)
        if self._heard is not None:
            self._heard(hearing)
        result = step(self._state, hearing.evidence, self._policy, self._limits)
        self._state = result.state
        hidden = budget.over(result.snapshot, result.state.ledger, self._series_limit)
        self._say_full(bool(hidden))
        result = replace(result, snapshot=budget.counted(result.snapshot, hidden))
        own = Own(
            version=__version__,
            python=platform.python_version(),
            ticks=self._ticks.distribution(),
            sources=hearing.health,
            untrusted={check: result.state.judged.trust.refused.get(check, 0) for check in CHECKS},
        )
        self._ticks.observe(self._clock.monotonic() - started)
        return Tick(result, hearing.health, lambda: self._render(result, hidden, own))

    def _say_full(self, full: bool) -> None:  # noqa: FBT001  # a state
        """Log once that the page is full, and once that it no longer is."""
        if full and not self._full:
            why = "the youngest partitions have no series; slicewatch_orphans counts them"
            log(_LOG, logging.WARNING, "the page is full", limit=self._series_limit, why=why)
        elif self._full and not full:
            log(_LOG, logging.INFO, "the page has room for every partition again")
        self._full = full

    def _render(self, result: Result, hidden: frozenset[PartitionKey], own: Own) -> Rendered:
        """Render a page, in the collecting thread ahead of a scrape or in a serving thread: one at a time."""
        snapshot, ledger = budget.without(result.snapshot, result.state.ledger, hidden)
        rows = families(snapshot, result.verdicts, ledger, own)
        with self._writing:
            return self._writer.render(rows, () if self._self_metrics is None else self._self_metrics.read())

    def run(self, publish: Callable[[Tick], None], stop: threading.Event) -> None:
        """Tick until told to stop. A tick that fails is a defect: it is logged, and the page before stays up."""
        due = self._clock.monotonic()
        last: Tick | None = None
        while not stop.is_set():
            try:
                publish(last := self.run_tick())
            except OverError as over:
                if last is None:
                    log(_LOG, logging.ERROR, "nothing was heard", why=str(over))
                    return
                publish(last)  # as it was, so that it can be looked at
            except Exception:  # noqa: BLE001  # the loop outlives any one tick
                log(_LOG, logging.ERROR, "the tick failed; the page before stays up", exc_info=True)
            due += self._tick
            now = self._clock.monotonic()
            if due <= now:  # ticks were missed: go on with the next whole one, never catch up in a burst
                due = now + self._tick - (now - due) % self._tick
            stop.wait(due - now)

    def close(self) -> None:
        """Let the witness go."""
        self._witness.close()

"""The tick's own CPU: thinking (join, promise, judge, ledger), families, and both formats of the page.

The driver is left out: readings are taken beforehand and change on every tick. Times are CPU seconds of the thread, the
garbage collector's included, as they are in the collecting thread of a running exporter.
"""

from __future__ import annotations

import gc
import gzip
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.evidence import evidence
from bench.measure import median, timed
from exporter import __version__
from exporter.catalogue import SOURCE_READ_DURATION, TICK_DURATION
from exporter.exposition import Family, Rendered, Writer
from exporter.ledger import NS, Limits
from exporter.metrics import Own, SourceHealth, families
from exporter.partitions import Evidence
from exporter.pipeline import Result, State, step
from exporter.policy import Policy
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.spec import Scenario
from exporter.watched import Histogram

WARM_UP = 10
"""Ticks before the measurement, in which the lines that hardly change are written for the first time."""

_LIMITS = Limits(keep=60 * NS, gap=5 * NS)


@dataclass(slots=True)
class TickTimes:
    """CPU seconds of each tick, by part."""

    step: list[float] = field(default_factory=list)
    families: list[float] = field(default_factory=list)
    render: list[float] = field(default_factory=list)  # the lines of both formats
    join: list[float] = field(default_factory=list)  # both pages put together of their lines, when they are asked for
    own: list[float] = field(default_factory=list)  # reading process_* and python_*
    gzip: list[float] = field(default_factory=list)  # the OpenMetrics page, as Prometheus asks for it

    def total(self) -> float:
        """Median CPU seconds of a whole tick, without what only a scrape asks for."""
        return median([sum(parts) for parts in zip(self.step, self.families, self.render, self.own, strict=True)])


@dataclass(slots=True)
class Ticker:
    """The collecting thread's work on prepared evidence, part by part."""

    times: TickTimes = field(default_factory=TickTimes)
    families: list[Family] = field(default_factory=list)
    series: int = 0
    text: bytes = b""
    packed: bytes = b""
    _state: State = field(default_factory=State)
    _policy: Policy = field(default_factory=Policy)
    _writer: Writer = field(default_factory=Writer)
    _own: SelfMetrics = field(default_factory=SelfMetrics)
    _ticks: Histogram = field(default_factory=lambda: Histogram(TICK_DURATION.buckets))
    _reads: Histogram = field(default_factory=lambda: Histogram(SOURCE_READ_DURATION.buckets))

    def tick(self, given: Evidence) -> None:
        """Run one tick."""
        times = self.times
        result = timed(times.step, step, self._state, given, self._policy, _LIMITS)
        self._state = result.state
        self._ticks.observe(times.step[-1])
        self._reads.observe(times.step[-1])
        self.families = timed(times.families, self._families, result, given.at)
        foreign = timed(times.own, self._own.read)
        rendered = timed(times.render, self._writer.render, self.families, foreign)
        self.series = rendered.series
        self.text, openmetrics = timed(times.join, both, rendered)
        self.packed = timed(times.gzip, gzip.compress, openmetrics, 1, mtime=0)

    def _families(self, result: Result, now: float) -> list[Family]:
        durations = self._reads.distribution()
        sources = tuple(
            SourceHealth(name=name, up=True, last_success=now, durations=durations)
            for name in ("cgroup", "gpm", "kubernetes", "nvml", "podresources")
        )
        own = Own(
            version=__version__,
            python=platform.python_version(),
            ticks=self._ticks.distribution(),
            sources=sources,
        )
        return list(families(result.snapshot, result.verdicts, result.state.ledger, own))


def both(rendered: Rendered) -> tuple[bytes, bytes]:
    """The page in text and in OpenMetrics."""
    return rendered.text, rendered.openmetrics


def run(scenario: Scenario, ticks: int) -> Ticker:
    """Tick `ticks` times, after a warm-up, and return the ticker with its times and its last page."""
    prepared = list(evidence(scenario, ticks + WARM_UP))
    with frozen_heap():
        ticker = Ticker()
        _play(ticker, prepared[:WARM_UP])
        ticker.times = TickTimes()
        _play(ticker, prepared[WARM_UP:])
    return ticker


def _play(ticker: Ticker, prepared: Iterable[Evidence]) -> None:
    for each in prepared:
        ticker.tick(each)


class frozen_heap:  # noqa: N801  # used as a statement's word
    """While it lasts, the garbage collector leaves alone what is there already.

    The prepared readings are the bench's: walking them must not be charged to the tick.
    """

    def __enter__(self) -> None:
        """Hide what is there."""
        gc.collect()
        gc.freeze()

    def __exit__(self, *exc: object) -> None:
        """Show it again."""
        gc.unfreeze()

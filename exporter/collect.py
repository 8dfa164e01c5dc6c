"""The tick: ask each source under its deadline, join, judge, advance the ledger, render, publish.

One thread runs it. A scrape never reaches further than the page that the last tick published; a source that hangs costs
its own answers and nothing else.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from exporter import __version__
from exporter.catalogue import CHECKS, SOURCE_READ_DURATION, TICK_DURATION
from exporter.errors import SourceError
from exporter.exposition import Rendered, Writer
from exporter.join import Evidence
from exporter.ledger import NS, Limits
from exporter.metrics import Own, SourceHealth, families
from exporter.model import Allocations, DriverReading, Missing, Pods, ProcessTable, Reason, Xid
from exporter.pipeline import Result, State, step
from exporter.policy import Policy
from exporter.selfmetrics import SelfMetrics
from exporter.sources.base import DemandSource, Driver, Kubelet, PodSource, ProcessSource
from exporter.watched import Histogram, Terms, Watched
from toolkit.logs import log

T = TypeVar("T")

_LOG = logging.getLogger("slicewatch.collect")

DEADLINE = 3.0
"""Seconds after which a source that has not answered is down."""

_PATIENCE = 0.25
"""Seconds for which a tick waits for a source whose answers are kept; a slower answer is used by the next tick."""

_FIRST_PODS = 10.0
"""Seconds for which a start waits for the pod store: before it is filled, ended pods of an old kubelet look alive."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic seconds for intervals, Unix seconds for timestamps."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The node's witnesses; None is switched off."""

    driver: Driver
    kubelet: Kubelet | None
    pods: PodSource | None
    processes: ProcessSource
    demand: DemandSource | None = None


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
    """Runs ticks; every method is called by one thread."""

    def __init__(
        self,
        node: str,
        sources: Sources,
        *,
        tick: float = 1.0,
        departed_keep: float = 60.0,
        policy: Policy | None = None,
        clock: Clock | None = None,
        patience: float = _PATIENCE,
        deadline: float = DEADLINE,
        self_metrics: SelfMetrics | None = None,
    ) -> None:
        self._node = node
        self._sources = sources
        self._tick = tick
        self._policy = Policy() if policy is None else policy
        self._clock = Clock() if clock is None else clock
        self._patience = patience
        self._deadline = deadline
        self._limits = Limits(keep=round(departed_keep * NS), gap=round(max(5.0, 5 * tick) * NS))
        self._state = State()
        self._writer = Writer()
        self._writing = threading.Lock()
        self._ticks = Histogram(TICK_DURATION.buckets)
        self._reads = Histogram(SOURCE_READ_DURATION.buckets)
        self._cgroup = SourceHealth(name="cgroup", up=False, last_success=None, durations=self._reads.distribution())
        self._self_metrics = self_metrics
        self._late_events: tuple[Xid, ...] = ()
        self._problems: frozenset[str] = frozenset()
        self._gpm: bool | Missing = Missing(Reason.UNSUPPORTED)  # as last told: boards without it have no such source
        self._started = self._clock.monotonic()
        terms = Terms(period=0.0, deadline=deadline, good_for=deadline)
        self._driver = self._watched("nvml", sources.driver.read, terms)
        self._kubelet = (
            None
            if sources.kubelet is None
            else self._watched(
                "podresources", sources.kubelet.read, Terms(period=5.0, deadline=deadline, good_for=60.0)
            )
        )
        self._pods = (
            None
            if sources.pods is None
            else self._watched("kubernetes", sources.pods.read, Terms(period=0.0, deadline=deadline, good_for=60.0))
        )

    def _watched(self, name: str, read: Callable[[float], T], terms: Terms) -> Watched[T]:
        return Watched(name, read, terms, self._clock.monotonic, SOURCE_READ_DURATION.buckets)

    def run_tick(self) -> Tick:
        """Run one tick and return what it made."""
        started = self._clock.monotonic()
        evidence = self._evidence(started)
        result = step(self._state, evidence, self._policy, self._limits)
        self._state = result.state
        health = self._health(started, evidence.driver)
        own = Own(
            version=__version__,
            python=platform.python_version(),
            ticks=self._ticks.distribution(),
            sources=health,
            untrusted={check: result.state.judged.trust.refused.get(check, 0) for check in CHECKS},
        )
        self._ticks.observe(self._clock.monotonic() - started)
        return Tick(result, health, lambda: self._render(result, own))

    def _render(self, result: Result, own: Own) -> Rendered:
        """Render a page, in the collecting thread ahead of a scrape or in a serving thread: one at a time."""
        rows = families(result.snapshot, result.verdicts, result.state.ledger, own)
        with self._writing:
            return self._writer.render(rows, () if self._self_metrics is None else self._self_metrics.read())

    def _evidence(self, now: float) -> Evidence:
        watched = [source for source in (self._kubelet, self._pods, self._driver) if source is not None]
        for source in watched:
            source.ask(now)
        driver = self._read_driver(now)
        if self._pods is not None:
            self._pods.collect(self._patience, self._clock.wall())
        if self._kubelet is not None:
            self._kubelet.collect(self._patience, self._clock.wall())
        pods: Pods | Missing = Missing(Reason.NOT_CONFIGURED) if self._pods is None else self._pods.answer(now)
        allocations, stale = self._allocations(now, pods)
        return Evidence(
            node=self._node,
            at=now,
            driver=driver,
            allocations=allocations,
            pods=pods,
            processes=self._processes(driver),
            allocations_stale=stale,
            declared=self._declared(pods, now),
        )

    def _declared(self, pods: Pods | Missing, now: float) -> Mapping[tuple[str, str], bool | Missing]:
        """What the holders of partitions say of their demand."""
        if self._sources.demand is None or isinstance(pods, Missing):
            return {}
        holders = {(key.namespace, key.pod) for key in self._state.memory.leases.by_key}
        declared = self._sources.demand.read(pods, holders, now)
        problems = frozenset(self._sources.demand.problems())
        for problem in sorted(problems - self._problems):
            log(_LOG, logging.WARNING, "declared demand cannot be read", problem=problem)
        self._problems = problems
        return declared

    def _read_driver(self, now: float) -> DriverReading | Missing:
        new: DriverReading | None = self._driver.collect(self._deadline, self._clock.wall())
        if new is None:
            # The last reading is not this tick's: serving it again would show a hung driver as a steady one.
            return Missing(Reason.TIMEOUT) if self._driver.failure is None else self._driver.failure
        events = self._late_events + new.events
        if now - new.at > self._deadline:
            # A read that was stuck has come back: its numbers are old, but its events happen only once.
            self._late_events = events
            return Missing(Reason.STALE)
        self._late_events = ()
        return replace(new, events=events)

    def _allocations(self, now: float, pods: Pods | Missing) -> tuple[Allocations | Missing, bool]:
        """Return the kubelet's last answer, and whether it is older than it is good for."""
        if self._kubelet is None:
            return Missing(Reason.NOT_CONFIGURED), False
        waiting = isinstance(pods, Missing) and pods.reason is Reason.NOT_YET
        if waiting and now - self._started < _FIRST_PODS:
            return Missing(Reason.NOT_YET), False
        last: Allocations | None = self._kubelet.last()
        if last is None:
            answer = self._kubelet.answer(now)
            return (answer if isinstance(answer, Missing) else Missing(Reason.NOT_YET)), False
        return last, self._kubelet.outdated(now)

    def _processes(self, driver: DriverReading | Missing) -> ProcessTable | Missing:
        uses = () if isinstance(driver, Missing) else driver.devices.values()
        pids = {p.pid for use in uses if not isinstance(use.processes, Missing) for p in use.processes}
        started = self._clock.monotonic()
        table, detail = self._look_up(pids)
        self._reads.observe(self._clock.monotonic() - started)
        if detail and detail != self._cgroup.detail:
            log(_LOG, logging.ERROR, detail, source="cgroup")
        self._cgroup = SourceHealth(
            name="cgroup",
            up=not detail,
            last_success=self._cgroup.last_success if detail else self._clock.wall(),
            durations=self._reads.distribution(),
            detail=detail,
        )
        return table

    def _look_up(self, pids: set[int]) -> tuple[ProcessTable | Missing, str]:
        try:
            return self._sources.processes.read(pids), ""
        except SourceError as error:
            return Missing(error.reason), str(error)
        except Exception as error:  # noqa: BLE001  # whatever procfs does, it degrades procfs alone
            return Missing(Reason.ERROR), f"{type(error).__name__}: {error}"

    def _health(self, now: float, driver: DriverReading | Missing) -> tuple[SourceHealth, ...]:
        sources = [self._driver.health(now)]
        if not isinstance(driver, Missing):
            self._gpm = driver.gpm
        if self._gpm != Missing(Reason.UNSUPPORTED):
            up = self._gpm is True and not isinstance(driver, Missing)
            detail = "" if up else "no two samples could be compared yet"
            sources.append(replace(sources[0], name="gpm", up=up, detail=detail))
        sources += [source.health(now) for source in (self._kubelet, self._pods) if source is not None]
        sources.append(self._cgroup)
        return tuple(sorted(sources, key=lambda source: source.name))

    def run(self, publish: Callable[[Tick], None], stop: threading.Event) -> None:
        """Tick until told to stop. A tick that fails is a defect: it is logged, and the page before stays up."""
        due = self._clock.monotonic()
        while not stop.is_set():
            try:
                publish(self.run_tick())
            except Exception:  # noqa: BLE001  # the loop outlives any one tick
                log(_LOG, logging.ERROR, "the tick failed; the page before stays up", exc_info=True)
            due += self._tick
            now = self._clock.monotonic()
            if due <= now:  # ticks were missed: go on with the next whole one, never catch up in a burst
                due = now + self._tick - (now - due) % self._tick
            stop.wait(due - now)

    def close(self) -> None:
        """Close every source on its own thread, waiting a second for each at the most."""
        self._driver.close(self._sources.driver.close, 1.0)
        if self._kubelet is not None and self._sources.kubelet is not None:
            self._kubelet.close(self._sources.kubelet.close, 1.0)
        if self._pods is not None and self._sources.pods is not None:
            self._pods.close(self._sources.pods.close, 1.0)
        if self._sources.demand is not None:
            self._sources.demand.close()

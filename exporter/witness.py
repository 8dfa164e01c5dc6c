"""What a node's sources say at one instant: asked each under its deadline, kept while good, told with their health.

A source that hangs costs its own answers and nothing else. A recording is another witness of the same kind.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from exporter.catalogue import SOURCE_READ_DURATION
from exporter.errors import SourceError
from exporter.metrics import SourceHealth
from exporter.model import Allocations, DriverReading, Missing, Pods, ProcessTable, Reason, Xid
from exporter.partitions import Evidence
from exporter.readback import Enforcers, Moment, ReadBack
from exporter.sources.base import DcgmSource, DemandSource, Driver, Kubelet, PodSource, ProcessSource
from exporter.watched import Histogram, Terms, Watched
from toolkit.logs import log

T = TypeVar("T")

_LOG = logging.getLogger("slicewatch.collect")

DEADLINE = 3.0
"""Seconds after which a source that has not answered is down."""

PATIENCE = 0.25
"""Seconds for which a tick waits for a source whose answers are kept; a slower answer is used by the next tick."""

_DCGM = Terms(period=15.0, deadline=8.0, good_for=60.0)
"""dcgm-exporter collects every 30 s by default: asked more often, it repeats itself."""

_FIRST_PODS = 10.0
"""Seconds for which a start waits for the pod store: before it is filled, ended pods of an old kubelet look alive."""

Holders = Collection[tuple[str, str]]
"""Pods that hold partitions: namespace, name."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic seconds for intervals, Unix seconds for timestamps."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The node's own sources; None is switched off."""

    driver: Driver
    kubelet: Kubelet | None
    pods: PodSource | None
    processes: ProcessSource
    demand: DemandSource | None = None
    dcgm: DcgmSource | None = None
    enforcers: Enforcers = field(default_factory=Enforcers)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was said at one instant, and how well each source does."""

    evidence: Evidence
    health: tuple[SourceHealth, ...]


class OverError(Exception):
    """There is nothing more to hear: a recording is at its end."""


class Witness(Protocol):
    """Whoever tells what a node is."""

    def hear(self, now: float, holders: Holders) -> Hearing:
        """Tell everything once. `now` is monotonic seconds. Raises OverError at the end of what there is."""

    def close(self) -> None:
        """Give back what was taken."""


class Live:
    """The node's sources, each on a worker thread of its own. Every method is called by one thread."""

    def __init__(
        self,
        node: str,
        sources: Sources,
        *,
        clock: Clock | None = None,
        patience: float = PATIENCE,
        deadline: float = DEADLINE,
    ) -> None:
        self._node = node
        self._sources = sources
        self._clock = Clock() if clock is None else clock
        self._patience = patience
        self._deadline = deadline
        self._reads = Histogram(SOURCE_READ_DURATION.buckets)
        self._cgroup = SourceHealth(name="cgroup", up=False, last_success=None, durations=self._reads.distribution())
        self._late_events: tuple[Xid, ...] = ()
        self._problems: frozenset[str] = frozenset()
        self._gpm: bool | Missing = Missing(Reason.UNSUPPORTED)  # as last told: boards without it have no such source
        self._started = self._clock.monotonic()
        self._read_back = ReadBack(sources.enforcers, self._watched)
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
        dcgm = sources.dcgm
        self._dcgm = None if dcgm is None else self._watched("dcgm", dcgm.read, _DCGM)

    def _watched(self, name: str, read: Callable[[float], T], terms: Terms) -> Watched[T]:
        return Watched(name, read, terms, self._clock.monotonic, SOURCE_READ_DURATION.buckets)

    def hear(self, now: float, holders: Holders) -> Hearing:
        """Ask every source and wait for each as long as it has; `holders` may declare their demand."""
        evidence = self._evidence(now, holders)
        return Hearing(evidence, self._health(now, evidence.driver))

    def _evidence(self, now: float, holders: Holders) -> Evidence:
        watched = [source for source in (self._kubelet, self._pods, self._dcgm, self._driver) if source is not None]
        for source in watched:
            source.ask(now)
        driver = self._read_driver(now)
        if self._pods is not None:
            self._pods.collect(self._patience, self._clock.wall())
        if self._kubelet is not None:
            self._kubelet.collect(self._patience, self._clock.wall())
        if self._dcgm is not None:
            self._dcgm.collect(self._patience, self._clock.wall())
        pods: Pods | Missing = Missing(Reason.NOT_CONFIGURED) if self._pods is None else self._pods.answer(now)
        allocations, stale = self._allocations(now, pods)
        moment = Moment(now, self._clock.wall(), self._patience)
        told = self._read_back.hear(moment, driver, allocations, pods, holders)
        return Evidence(
            node=self._node,
            at=now,
            driver=driver,
            allocations=allocations,
            pods=pods,
            processes=self._processes(driver),
            allocations_stale=stale,
            declared=self._declared(pods, holders, now),
            hooks=told.hooks,
            daemons=told.daemons,
            prepared=told.prepared,
            dcgm=Missing(Reason.NOT_CONFIGURED) if self._dcgm is None else self._dcgm.answer(now),
        )

    def _declared(self, pods: Pods | Missing, holders: Holders, now: float) -> Mapping[tuple[str, str], bool | Missing]:
        """What the holders of partitions say of their demand."""
        if self._sources.demand is None or isinstance(pods, Missing):
            return {}
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
        sources += [source.health(now) for source in (self._kubelet, self._pods, self._dcgm) if source is not None]
        sources += self._read_back.health(now)
        sources.append(self._cgroup)
        return tuple(sorted(sources, key=lambda source: source.name))

    def close(self) -> None:
        """Close every source on its own thread, waiting a second for each at the most."""
        self._driver.close(self._sources.driver.close, 1.0)
        if self._kubelet is not None and self._sources.kubelet is not None:
            self._kubelet.close(self._sources.kubelet.close, 1.0)
        if self._pods is not None and self._sources.pods is not None:
            self._pods.close(self._sources.pods.close, 1.0)
        if self._dcgm is not None and self._sources.dcgm is not None:
            self._dcgm.close(self._sources.dcgm.close, 1.0)
        self._read_back.close(1.0)
        if self._sources.demand is not None:
            self._sources.demand.close()

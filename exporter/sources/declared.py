"""Declared demand: pods that say themselves, on a page of their own, whether work is waiting.

This is the strongest evidence of demand that there is, and it comes from tenants: so nothing of it runs on the tick.
`read` is a look-up; a few threads of this source's own ask the pods, each answer under one deadline, and a pod that
fails is asked ever more rarely. What has not answered lately is `Missing`, never "not backlogged".
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue

from exporter.errors import SourceError
from exporter.model import Missing, Pods, Reason
from exporter.policy import DemandSignal
from exporter.sources.bounded_page import Place, fetch
from exporter.sources.declared_page import backlogged

Backlog = bool | Missing
"""Whether work is waiting, or why that is not known."""

_TOLERATED = 3
"""Failures in a row after which a target is asked ever more rarely."""

_MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a pod may cost. Times are seconds."""

    deadline: float = 1.0  # for the whole answer
    max_bytes: int = 1 << 20  # of the page
    workers: int = 4  # pods asked at a time
    period: float = 3.0  # between two questions to a pod
    good_for: float = 10.0  # how long an answer stands
    longest_retry: float = 60.0  # between two questions to a pod that fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A pod of this node that may serve a signal. `ip` is the pod's address, empty while it has none."""

    namespace: str
    pod: str
    workload_kind: str = ""
    workload: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A page to read, what to look for on it, and whose demand it tells."""

    namespace: str
    pod: str
    place: Place
    signal: DemandSignal

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for equal questions."""
        signal = self.signal
        return self.namespace, self.pod, self.place, signal.metric, tuple(sorted(signal.match.items())), signal.above


def targets(servers: Iterable[Server], signals: Iterable[DemandSignal]) -> tuple[Target, ...]:
    """Pair pods with the signals that apply to them; a pod without a valid address is left out."""
    wanted = tuple(signals)
    return tuple(
        Target(
            namespace=server.namespace,
            pod=server.pod,
            place=Place(address=server.ip, port=signal.port, path=signal.path),
            signal=signal,
        )
        for server in servers
        if _is_address(server.ip)
        for signal in wanted
        if signal.applies(server.namespace, server.workload_kind, server.workload, server.labels)
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class _Watch:
    """What is known of one target. Guarded by the source's lock."""

    target: Target
    due: float
    asked: bool = False  # a worker has it
    answer: bool | None = None
    answered: float = 0.0
    failures: int = 0
    problem: SourceError | None = None


class DeclaredDemand:
    """Keeps the answers of targets fresh. `read` and `close` are called by one thread; answers come from others."""

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = Limits() if limits is None else limits
        self._clock = clock
        self._lock = threading.Lock()
        self._watches: dict[tuple[object, ...], _Watch] = {}
        self._questions: SimpleQueue[_Watch | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def read(self, wanted: Iterable[Target], now: float) -> Mapping[tuple[str, str], Backlog]:
        """Return what is known of these targets by (namespace, pod), and have those asked that are due.

        Never blocks on a pod. A pod with several signals is backlogged when one of them says so, and not backlogged
        only when all of them say so. `now` is the clock's monotonic seconds.
        """
        listed = {target.key: target for target in wanted}
        with self._lock:
            self._watches = {key: self._watches.get(key) or _Watch(listed[key], now) for key in listed}
            for watch in self._watches.values():
                if not watch.asked and watch.due <= now:
                    watch.asked = True
                    self._questions.put(watch)
            found: dict[tuple[str, str], Backlog] = {}
            for watch in self._watches.values():
                owner = watch.target.namespace, watch.target.pod
                answer = self._current(watch, now)
                found[owner] = _either(found[owner], answer) if owner in found else answer
        self._staff(len(listed))
        return found

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the targets that fail now, one line for each, for the log."""
        with self._lock:
            return tuple(self._problems())

    def close(self) -> None:
        """Let the threads end, each after the answer that it is waiting for; waits for one deadline at the most."""
        for _ in self._threads:
            self._questions.put(None)
        ends = time.monotonic() + self._limits.deadline
        for thread in self._threads:
            thread.join(max(ends - time.monotonic(), 0.0))
        self._threads = []

    def _problems(self) -> Iterator[str]:
        for watch in self._watches.values():
            if watch.problem is not None:
                yield f"{watch.target.namespace}/{watch.target.pod}: {watch.problem}"

    def _current(self, watch: _Watch, now: float) -> Backlog:
        if watch.answer is not None and now - watch.answered <= self._limits.good_for:
            return watch.answer
        if watch.problem is not None:
            return Missing(watch.problem.reason)
        return Missing(Reason.NOT_YET if watch.answer is None else Reason.SOURCE_STALE)

    def _staff(self, targets_listed: int) -> None:
        """Start threads when there is work for them; a node without signals has none."""
        while len(self._threads) < min(self._limits.workers, targets_listed):
            thread = threading.Thread(target=self._work, name=f"declared-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (watch := self._questions.get()) is not None:
            answer, problem = self._ask(watch.target)
            with self._lock:
                self._note(watch, answer, problem)

    def _ask(self, target: Target) -> tuple[bool | None, SourceError | None]:
        limits = self._limits
        try:
            page = fetch(target.place, deadline=limits.deadline, max_bytes=limits.max_bytes)
            return backlogged(page, target.signal), None
        except SourceError as error:
            return None, SourceError(f"{target.place}: {error}", error.reason)
        except Exception as error:  # noqa: BLE001  # whatever a tenant's page does, it costs that page alone
            return None, SourceError(f"{target.place}: {type(error).__name__}: {error}")

    def _note(self, watch: _Watch, answer: bool | None, problem: SourceError | None) -> None:  # noqa: FBT001  # a value
        now = self._clock()
        watch.asked, watch.problem = False, problem
        if answer is not None:
            watch.answer, watch.answered, watch.failures = answer, now, 0
            watch.due = now + self._limits.period
            return
        watch.failures += 1
        doublings = min(max(watch.failures - _TOLERATED, 0), _MAX_DOUBLINGS)
        watch.due = now + min(self._limits.period * 2.0**doublings, self._limits.longest_retry)


def _either(first: Backlog, second: Backlog) -> Backlog:
    if first is True or second is True:
        return True
    return first if isinstance(first, Missing) else second


class PodsDemand:
    """Declared demand of the pods that hold partitions, by a policy's signals (`base.DemandSource`)."""

    def __init__(self, signals: Iterable[DemandSignal]) -> None:
        self._signals = tuple(signals)
        self._demand = DeclaredDemand()

    def read(self, pods: Pods, holders: Collection[tuple[str, str]], now: float) -> Mapping[tuple[str, str], Backlog]:
        """Look the holders up; never blocks."""
        held = set(holders)
        servers = (
            Server(
                namespace=pod.namespace,
                pod=pod.name,
                workload_kind=pod.workload_kind,
                workload=pod.workload,
                labels=pod.labels,
                ip=pod.ip,
            )
            for pod in pods.items
            if (pod.namespace, pod.name) in held
        )
        return self._demand.read(targets(servers, self._signals), now)

    def problems(self) -> tuple[str, ...]:
        """What is the matter with pods that should say and do not, one line each."""
        return self._demand.problems()

    def close(self) -> None:
        """Ask no more."""
        self._demand.close()

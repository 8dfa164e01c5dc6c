"""A tenant: one process that wants the GPU in a way that is known, and measures what it gets.

    python -m bench.hardware.tenant UUID LIFETIME

Lines of JSON on standard input tell it what to do, each answered by one on standard output. It is killed by its own alarm
after LIFETIME seconds, whatever it waits for.

    {"do": "hold", "part": 0.5}                                  take that part of the free memory
    {"do": "calibrate", "seconds": 1.0}                          rounds of work a second, when nobody else runs
    {"do": "run", "start": T, "seconds": S, "rounds": R, "kind": …, "burst": …, "think": …, "streams": …, "sms": …, "fill": …}
    {"do": "gaps", "start": T, "seconds": S}                     when somebody else had the turn

`start` is of the machine's monotonic clock, which all processes share: nobody runs before it. A run's kernels are counted
when they have ended; `bins` has the count of each second, and `took` is when the last of them ended.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from bench.hardware.cuda import Cuda, CudaError

_DEPTH = 3
"""Kernels that a backlogged tenant keeps in each stream's queue, so that the device never waits for the host."""

_FIRST_ROUNDS = 1 << 10
_LONG_KERNEL = 0.005
_WARM_SECONDS = 0.3
"""A GPU that idled needs a moment until its clocks are up."""

_ROOM = 4096
_JUMP = 50e-6
"""Seconds; the device's clock moves in steps of up to some microseconds, a turn of somebody else takes a millisecond or so."""


def main(argv: list[str]) -> int:
    """Serve the parent until its end of the pipe closes."""
    uuid, lifetime = argv
    signal.alarm(int(lifetime))
    try:
        cuda = Cuda(uuid)
        _say(ready=True, sms=cuda.sm_count, cuda=cuda.version())
        for line in sys.stdin:
            _say(**_obey(cuda, json.loads(line)))
        cuda.close()
    except CudaError as error:
        _say(error=str(error))
        return 1
    return 0


def _obey(cuda: Cuda, order: dict[str, Any]) -> dict[str, Any]:
    match order.pop("do"):
        case "hold":
            return _hold(cuda, float(order["part"]))
        case "calibrate":
            return _calibrate(cuda, float(order["seconds"]))
        case "gaps":
            _wait_until(float(order["start"]))
            looked, found = cuda.gaps(float(order["seconds"]), _JUMP, _ROOM)
            return {"looked": looked, "gaps": found}
        case "run":
            return _Run(cuda, _Order(**order)).play()
        case other:
            raise ValueError(f"{other}: no such order")


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def _hold(cuda: Cuda, part: float) -> dict[str, Any]:
    free, total = cuda.free_and_total()
    size = int(free * part)
    if size:
        cuda.allocate(size)
    return {"held": size, "free": free, "total": total}


def _calibrate(cuda: Cuda, seconds: float) -> dict[str, Any]:
    """Find how many rounds a second the device does, with nobody else on it, its clocks up."""
    warm_until, rounds, took = time.monotonic() + _WARM_SECONDS, _FIRST_ROUNDS, 0.0
    while took < _LONG_KERNEL or time.monotonic() < warm_until:
        rounds = rounds if took >= _LONG_KERNEL else rounds * 2
        before = time.perf_counter()
        cuda.spin(rounds)
        cuda.synchronize()
        took = time.perf_counter() - before
    order = _Order(start=time.monotonic(), seconds=seconds, rounds=rounds, kind="backlogged")
    run = _Run(cuda, order).play()
    return {"rounds_per_second": run["kernels"] * rounds / run["took"]}


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What to run: the words of the order. Seconds; a kernel is work for `sms` SMs, or for the part `fill` of them."""

    start: float
    seconds: float
    rounds: int
    kind: str
    burst: int = 1
    think: float = 0.0
    streams: int = 1
    sms: int = 0
    fill: float = 1.0


class _Run:
    """One run of one demand."""

    def __init__(self, cuda: Cuda, order: _Order) -> None:
        self._cuda, self._order = cuda, order
        self._end = order.start + order.seconds
        self._streams = [cuda.stream() for _ in range(order.streams)]
        self._bins = [0] * (int(order.seconds) + 1)
        self._kernels = self._bursts = 0
        self._paused = self._took = 0.0
        self._last = order.start

    def play(self) -> dict[str, Any]:
        """Run until the end; return what was done."""
        _wait_until(self._order.start)
        {"backlogged": self._backlogged, "closed": self._closed, "idle": lambda: _wait_until(self._end)}[
            self._order.kind
        ]()
        return {
            "kernels": self._kernels,
            "took": self._took,
            "bins": self._bins,
            "bursts": self._bursts,
            "think": self._paused / self._bursts if self._bursts else 0.0,
        }

    def _backlogged(self) -> None:
        free = [[self._cuda.event() for _ in range(_DEPTH)] for _ in self._streams]
        waiting: deque[tuple[int, Any]] = deque()
        while self._last < self._end:
            for number, stream in enumerate(self._streams):
                while free[number]:
                    event = free[number].pop()
                    self._launch(stream)
                    self._cuda.record(event, stream)
                    waiting.append((number, event))
            number, event = waiting.popleft()
            self._cuda.await_event(event)
            free[number].append(event)
            self._count(1)
        self._cuda.synchronize()

    def _closed(self) -> None:
        event, stream = self._cuda.event(), self._streams[0]
        while self._last < self._end:
            for _ in range(self._order.burst):
                self._launch(stream)
            self._cuda.record(event, stream)
            self._cuda.await_event(event)
            self._count(self._order.burst)
            before = time.monotonic()
            time.sleep(self._order.think)
            self._bursts += 1
            self._paused += time.monotonic() - before

    def _launch(self, stream: Any) -> None:
        self._cuda.spin(self._order.rounds, stream, sms=self._order.sms, fill=self._order.fill)

    def _count(self, kernels: int) -> None:
        now = time.monotonic()
        if now <= self._end:
            self._kernels += kernels
            self._took = now - self._order.start
            self._bins[int(now - self._order.start)] += kernels
        self._last = now


def _wait_until(when: float) -> None:
    while (left := when - time.monotonic()) > 0:
        time.sleep(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

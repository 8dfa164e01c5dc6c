"""A time-sliced device as a loop over events: turns go round by process, a quantum each, and a change of turn costs time.

Written as one tight loop over lists, because a reported run takes some hundred million turns. A process draws its bursts
and pauses from a fixed table of random numbers by an index, so that a copy of it (`Device.fork`) continues with the very
same stream of work on another device: that is how entitlement is measured.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

NEVER = float("inf")
ENDLESS = 1e18
DONE = 1e-12
_MASK = 0xFFFF


def _tables() -> tuple[tuple[float, ...], tuple[float, ...]]:
    source = random.Random(20_240_901)  # noqa: S311  # a reproducible stream, no secret
    wild = tuple(source.expovariate(1.0) for _ in range(_MASK + 1))
    steady = tuple(source.uniform(0.8, 1.2) for _ in range(_MASK + 1))
    return wild, steady


WILD, STEADY = _tables()
"""Random numbers of mean 1: exponential, and within a fifth of the mean."""


class Kind(IntEnum):
    """How a process wants the device."""

    BACKLOGGED = 0  # always has work while it is on
    CLOSED = 1  # a burst, a pause, a burst, …
    OPEN = 2  # bursts arrive whether or not the last one is done


@dataclass(frozen=True, slots=True)
class Demand:
    """One process. Seconds of the whole device; `pause` is the think time, or the time between arrivals.

    `phases` are the times at which it goes on, off, on, …; work in hand when a backlogged process goes off is dropped,
    any other process completes it. From `shift` on, pauses are `factor` times as long: its habits change.
    """

    kind: Kind
    burst: float
    pause: float
    phases: tuple[float, ...]
    steady: bool
    offset: int
    shift: float = NEVER
    factor: float = 1.0


class Device:
    """A device with its processes. `used` grows by each process's time on the device times the device's speed."""

    def __init__(self, demands: Sequence[Demand], quantum: float, switch: float, speed: float = 1.0) -> None:
        self.demands = demands
        self.quantum, self.switch, self.speed = quantum, switch, speed
        count = len(demands)
        self.now = 0.0
        self.used = [0.0] * count
        self.left = [0.0] * count
        self.index = [demand.offset for demand in demands]
        self.wake = [NEVER] * count
        self.on = [False] * count
        self.switching = 0.0
        self._ready: deque[int] = deque()
        self._turn = quantum
        self._heap: list[tuple[float, int]] = [
            (at, count + i) for i, demand in enumerate(demands) for at in demand.phases
        ]
        heapq.heapify(self._heap)

    def fork(self, members: Sequence[int], speed: float) -> Device:
        """Return a device of that speed with only these processes, as they are now, and nothing used."""
        twin = Device([self.demands[i] for i in members], self.quantum, self.switch, speed)
        twin.now = self.now
        place = {len(self.demands) + i: len(members) + j for j, i in enumerate(members)}
        # What is still in the queue of events has not happened, even where its time is now.
        twin._heap = [(at, place[who]) for at, who in self._heap if who in place]
        for j, i in enumerate(members):
            twin.left[j], twin.index[j], twin.wake[j], twin.on[j] = (
                self.left[i],
                self.index[i],
                self.wake[i],
                self.on[i],
            )
            if self.wake[i] < NEVER:
                twin._heap.append((self.wake[i], j))
            if self.left[i] > 0.0:
                twin._ready.append(j)
        heapq.heapify(twin._heap)
        return twin

    def run(self, until: float) -> None:  # noqa: C901, PLR0912, PLR0915  # one loop on locals is what makes it fast
        """Serve until then."""
        heap, ready, left, used, speed = self._heap, self._ready, self.left, self.used, self.speed
        quantum, switch = self.quantum, self.switch
        now, turn = self.now, self._turn
        pop, event, finish = heapq.heappop, self._event, self._finish
        round_time = quantum + switch
        while now < until:
            while heap and heap[0][0] <= now:
                at, who = pop(heap)
                if event(at, who):
                    turn = quantum
            horizon = heap[0][0] if heap and heap[0][0] < until else until
            count = len(ready)
            if count == 0:
                now = horizon
                continue
            i = ready[0]
            if count == 1:
                step = left[i] / speed
                if step > horizon - now:
                    step = horizon - now
                    now = horizon
                else:
                    now += step
                used[i] += step * speed
                left[i] -= step * speed
                turn = quantum
                if left[i] <= DONE:
                    ready.popleft()
                    finish(i, now)
                continue
            if turn == quantum and horizon - now > 2 * count * round_time:
                least = min([left[j] for j in ready]) / speed
                rounds = int(min((horizon - now) / (count * round_time), (least - 1e-9) / quantum))
                if rounds > 1:
                    work = rounds * quantum * speed
                    for j in ready:
                        used[j] += work
                        left[j] -= work
                    now += rounds * count * round_time
                    self.switching += rounds * count * switch
                    continue
            step = left[i] / speed
            step = min(step, turn)
            if step > until - now:
                step = until - now
                now = until
            else:
                now += step
            used[i] += step * speed
            left[i] -= step * speed
            turn -= step
            if left[i] <= DONE:
                ready.popleft()
                finish(i, now)
            elif turn <= DONE:
                while heap and heap[0][0] <= now:
                    at, who = pop(heap)
                    event(at, who)
                if ready and ready[0] == i:
                    ready.rotate(-1)
            else:
                continue
            turn = quantum
            if len(ready) > 1 or (ready and ready[0] != i):
                now += switch
                self.switching += switch
        self.now, self._turn = now, turn

    def _event(self, at: float, who: int) -> bool:
        """Let a process bring a burst, or go on or off; returns whether the head of the queue changed."""
        count = len(self.demands)
        if who >= count:
            return self._phase(at, who - count)
        if self.wake[who] != at:
            return False
        demand = self.demands[who]
        self.wake[who] = NEVER
        if not self.on[who]:
            return False
        self._bring(who, demand)
        if demand.kind is Kind.OPEN:
            self._wake(who, at + self._pause(who, demand, at))
        return False

    def _phase(self, at: float, who: int) -> bool:
        demand = self.demands[who]
        self.on[who] = not self.on[who]
        if self.on[who]:
            if demand.kind is Kind.BACKLOGGED:
                self.left[who] = ENDLESS
                self._ready.append(who)
            else:
                self._wake(who, at + self._pause(who, demand, at))
            return False
        self.wake[who] = NEVER
        if demand.kind is Kind.BACKLOGGED and self.left[who] > 0.0:
            head = self._ready[0] == who
            self.left[who] = 0.0
            self._ready.remove(who)
            return head
        return False

    def _bring(self, who: int, demand: Demand) -> None:
        index = self.index[who]
        table = STEADY if demand.steady else WILD
        self.index[who] = index + 1
        if self.left[who] <= 0.0:
            self._ready.append(who)
        self.left[who] += demand.burst * table[index & _MASK]

    def _finish(self, who: int, now: float) -> None:
        self.left[who] = 0.0
        demand = self.demands[who]
        if demand.kind is Kind.CLOSED and self.on[who]:
            self._wake(who, now + self._pause(who, demand, now))

    def _pause(self, who: int, demand: Demand, now: float) -> float:
        index = self.index[who]
        self.index[who] = index + 1
        mean = demand.pause if now < demand.shift else demand.pause * demand.factor
        return mean * WILD[index & _MASK]

    def _wake(self, who: int, at: float) -> None:
        self.wake[who] = at
        heapq.heappush(self._heap, (at, who))


def shares(before: Iterable[float], after: Iterable[float], seconds: float) -> list[float]:
    """Return what each process used per second between two readings of `used`."""
    return [(b - a) / seconds for a, b in zip(before, after, strict=True)]

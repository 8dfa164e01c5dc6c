"""How a device divides its time between processes: round robin (time-slicing), or side by side under caps (MPS).

Events, not ticks: between two of them the shares are constant, so a second costs as many steps as it has turns. Runs
of whole rounds, in which every ready process gets a quantum and nothing else happens, are taken in one step.
The quantum of 2 ms is the driver's default time slice as commonly reported; turns go by process.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import deque

from exporter.simulator.demand import DONE, NEVER, Client

QUANTUM = 0.002
"""Seconds of a turn."""


class Engine(ABC):
    """A device's queue. `busy` is the time with any work running, `switching` the time lost between turns.

    Times are seconds on one clock; `run` never serves beyond `until`. A client's `used` grows by its share of the
    device, so the sum over clients never exceeds the time that has passed.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.busy = 0.0
        self.switching = 0.0
        self._ready: deque[Client] = deque()
        self._waking: list[tuple[float, int, Client]] = []
        self._serial = 0

    def add(self, client: Client) -> None:
        """Let a client in, to start over with its present demand."""
        self.join(client, client.begin(self.now))

    def join(self, client: Client, wakes: float) -> None:
        """Let a client in as it is, with its work in hand and the time at which it brings more."""
        self._wake_at(wakes, client)
        if client.left > 0.0:
            self._ready.append(client)

    def wakes(self, client: Client) -> float:
        """When a client brings work next; `NEVER` when that is not set."""
        return next((at for at, _, other in self._waking if other is client), NEVER)

    def remove(self, client: Client) -> None:
        """Take a client out, with what it was waiting for."""
        if client in self._ready:
            if self._ready[0] is client:
                self._new_turn()
            self._ready.remove(client)
        self._waking = [entry for entry in self._waking if entry[2] is not client]
        heapq.heapify(self._waking)
        client.left = 0.0

    def run(self, until: float, speed: float) -> None:
        """Serve until then. `speed`: work done per second of the device, 1 at full clock. Above 0."""
        waking = self._waking
        while self.now < until:
            while waking and waking[0][0] <= self.now:
                self._arrive(heapq.heappop(waking)[2])
            horizon = min(until, waking[0][0]) if waking else until
            if self._ready:
                self._serve(until, horizon, speed)
            else:
                self.now = horizon

    def skip(self, until: float) -> None:
        """Let time pass without serving anyone: the device is not there."""
        self.now = max(self.now, until)

    @abstractmethod
    def _serve(self, until: float, horizon: float, speed: float) -> None:
        """Serve at least one step and move `now`; nobody arrives before `horizon`. There is somebody ready."""

    @abstractmethod
    def _new_turn(self) -> None:
        """Give the next head a whole turn, where there are turns."""

    def _arrive(self, client: Client) -> None:
        waiting = client.left > 0.0
        self._wake_at(client.arrive(self.now), client)
        if not waiting:
            self._ready.append(client)

    def _finish(self, client: Client) -> None:
        """Complete the work of a client that has already left the queue."""
        self._wake_at(client.finish(self.now), client)

    def _wake_at(self, at: float, client: Client) -> None:
        if at < NEVER:
            self._serial += 1
            heapq.heappush(self._waking, (at, self._serial, client))


class RoundRobin(Engine):
    """One process at a time, a quantum each; `switch` seconds are lost at every change of process."""

    def __init__(self, now: float = 0.0, quantum: float = QUANTUM, switch: float = 0.0) -> None:
        super().__init__(now)
        self._quantum = quantum
        self._switch = switch
        self._turn = quantum

    def _serve(self, until: float, horizon: float, speed: float) -> None:
        if len(self._ready) == 1:
            self._serve_alone(horizon, speed)
        elif not (self._turn == self._quantum and self._serve_rounds(horizon, speed)):
            self._serve_turn(until, speed)

    def _serve_alone(self, horizon: float, speed: float) -> None:
        client = self._ready[0]
        step = min(horizon - self.now, client.left / speed)
        self.now = min(horizon, self.now + step)
        self._turn = self._quantum
        self._spend(client, step, speed)
        if client.left <= DONE:
            self._ready.popleft()
            self._finish(client)

    def _serve_rounds(self, horizon: float, speed: float) -> bool:
        """Take all whole rounds in which nobody arrives or finishes; False when there is none."""
        ready, quantum = self._ready, self._quantum
        length = len(ready) * (quantum + self._switch)
        least = min(client.left for client in ready) / speed
        rounds = int(min((horizon - self.now) / length, (least - DONE) / quantum))
        if rounds < 1:
            return False
        step, passed = rounds * quantum, rounds * length
        for client in ready:
            client.used += step
            client.left -= step * speed
        self.busy += len(ready) * step
        self.switching += passed - len(ready) * step
        self.now += passed
        return True

    def _serve_turn(self, until: float, speed: float) -> None:
        ready = self._ready
        client = ready[0]
        step = min(self._turn, client.left / speed, until - self.now)
        self._spend(client, step, speed)
        self.now = until if step == until - self.now else self.now + step
        self._turn -= step
        if client.left <= DONE:
            ready.popleft()
            self._finish(client)
        elif self._turn <= DONE:
            ready.rotate(-1)
        else:
            return
        self._turn = self._quantum
        self.switching += self._switch
        self.now += self._switch

    def _spend(self, client: Client, step: float, speed: float) -> None:
        client.used += step
        client.left -= step * speed
        self.busy += step

    def _new_turn(self) -> None:
        self._turn = self._quantum


class Concurrent(Engine):
    """Kernels of all processes at once; each process gets at most `cap` of the SMs, less when the sum would exceed 1.

    The cap is the MPS daemon's default active thread percentage, which holds for each client process.
    """

    def __init__(self, cap: float, now: float = 0.0) -> None:
        super().__init__(now)
        self._cap = cap

    def _serve(self, until: float, horizon: float, speed: float) -> None:  # noqa: ARG002  # no turns to cut short
        ready = self._ready
        rate = min(self._cap, 1.0 / len(ready))
        least = min(client.left for client in ready)
        step = min(horizon - self.now, least / (rate * speed))
        self.now = min(horizon, self.now + step)
        work = step * rate * speed
        finished = False
        for client in ready:
            client.used += step * rate
            client.left -= work
            finished = finished or client.left <= DONE
        self.busy += step
        if finished:
            for client in [each for each in ready if each.left <= DONE]:
                ready.remove(client)
                self._finish(client)

    def _new_turn(self) -> None:
        """Nothing to do: there are no turns."""

"""Queues of a time-sliced GPU: from the shares that processes got to how often each wanted a turn, and back.

The model is a closed network with one processor-sharing station, the GPU, and a pause for each process between its
bursts; Schweitzer's approximation of mean value analysis makes it linear. It holds for round robin while bursts are
longer than a turn. Shares are fractions of the device's time; times are in bursts (so a pause of 2 is twice as long as
a burst takes on the whole device).
"""

from __future__ import annotations

from collections.abc import Sequence

_FULLEST = 0.98
"""Σ x/(1+x) of fifty backlogged processes; sums above it are rounding."""

_ROUNDS = 3
"""After three rounds the readiness of a process moves by less than a whole percent of share does."""


def readiness(shares: Sequence[float]) -> list[float]:
    """Return for each process the part of the time in which it wanted the device, 0 to 1.

    A process waits behind the others that are ready: u = x (1 + Σ u of the others). The sum is solved in closed form,
    then what came out above 1 is cut and the rest follows it.
    """
    full = min(_FULLEST, sum(x / (1 + x) for x in shares))
    queue = full / (1 - full)
    ready = [min(1.0, x * (1 + queue) / (1 + x)) for x in shares]
    for _ in range(_ROUNDS):
        queue = sum(ready)
        ready = [min(1.0, x * (1 + queue) / (1 + x)) for x in shares]
    return ready


def pause(share: float, processes: int, pressure: float) -> float:
    """Return the pause of each of a tenant's equal processes, given the tenant's share and the others' mean queue.

    0 is always wanting. The tenant's own processes queue behind each other as well: R = (1 + pressure) / (1 - s), with
    s the share of its other processes.
    """
    siblings = min(0.99, share * (processes - 1) / processes)
    residence = (1 + pressure) / (1 - siblings)
    return max(0.0, processes / share - residence)


def dedicated(processes: int, pause: float, speed: float) -> float:
    """Return the share of the whole device that equal processes use alone on one of `speed` (mean value analysis)."""
    queue = throughput = 0.0
    for number in range(1, processes + 1):
        residence = (1 + queue) / speed
        throughput = number / (pause + residence)
        queue = throughput * residence
    return throughput


def under_pressure(processes: int, pause: float, pressure: float) -> float:
    """Return the share that equal processes get on the whole device beside a mean queue of `pressure` others."""
    queue = throughput = 0.0
    for number in range(1, processes + 1):
        residence = 1 + pressure + queue
        throughput = number / (pause + residence)
        queue = throughput * residence
    return throughput

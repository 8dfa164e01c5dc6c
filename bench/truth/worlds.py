"""Random shared devices: who holds a slot, what it wants and when, and what the driver's sampling makes of it.

The ranges are data: `ranges_tuning` was looked at while the judge's constants were chosen, `ranges_report` was not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.truth.physics import NEVER, Demand, Kind

SECONDS = 100.0
"""How long a world lasts."""

CHANGE = 40.0
"""When tenants start or stop, in the worlds where some do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """What worlds are drawn from. Pairs are the ends of a uniform range; `log_` ones are powers of ten of seconds."""

    tenants: Sequence[int]
    replicas: Sequence[int]
    processes: Sequence[int]
    kinds: Sequence[tuple[str, float]]  # backlogged, closed, open, idle; with weights
    duty: tuple[float, float]  # of a closed loop alone on the device
    log_closed_burst: tuple[float, float]
    load: tuple[float, float]  # of a tenant with arrivals, of the whole device
    log_open_burst: tuple[float, float]
    steady: float  # part of the processes whose bursts are nearly equal
    phased: float  # part of the tenants that go on and off
    log_phase: tuple[float, float]
    shifting: float  # part of the tenants that want more or less from some time on
    log_shift: tuple[float, float]  # by what their pauses are multiplied, as powers of ten
    changing: float  # part of the worlds in which something starts or stops at `CHANGE`
    starting: float  # part of the tenants that start then, in those worlds
    stopping: float
    rogue: float  # part of the worlds with a process of nobody
    declared: float  # part of the backlogged and arrival-driven tenants that tell their backlog
    quantum: tuple[float, float]
    switch: tuple[float, float]  # fraction of the quantum that a change of turn costs
    periods: Sequence[float]  # seconds that a sample of the driver covers
    noise: tuple[float, float]  # standard deviation of a sample, share
    late: tuple[float, float]  # part of the samples that are the previous one again
    absent: tuple[float, float]  # part of the samples that are not there, and read 0
    silent: tuple[float, float]  # part of the ticks at which the driver does not answer


@dataclass(frozen=True, slots=True)
class Tenant:
    """A holder of a slot (or a rogue, `promise` 0). `members` are the positions of its processes in the world."""

    name: str
    promise: float
    members: tuple[int, ...]
    kind: str
    declares: bool
    rogue: str = ""  # the cause that its use is counted under: rogue_pod or host_process


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the driver samples: see `Ranges`."""

    period: float
    noise: float
    late: float
    absent: float
    silent: float


@dataclass(frozen=True, slots=True)
class World:
    """One device with its tenants."""

    seed: int
    tenants: tuple[Tenant, ...]
    demands: tuple[Demand, ...]
    quantum: float
    switch: float
    sampling: Sampling
    changes: bool


def draw(seed: int, ranges: Ranges) -> World:
    """Draw one world."""
    rnd = random.Random(seed)  # noqa: S311  # a reproducible stream, no secret
    count = rnd.choice(ranges.tenants)
    replicas = rnd.choice([each for each in ranges.replicas if each >= count])
    changes = rnd.random() < ranges.changing
    tenants: list[Tenant] = []
    demands: list[Demand] = []
    for number in range(count):
        kind = rnd.choices([k for k, _ in ranges.kinds], [w for _, w in ranges.kinds])[0]
        members = _members(rnd, ranges, kind, demands, changes=changes)
        declares = kind in {"backlogged", "open"} and rnd.random() < ranges.declared
        tenants.append(Tenant(f"tenant-{number}", 1.0 / replicas, members, kind, declares))
    if rnd.random() < ranges.rogue:
        members = _members(rnd, ranges, rnd.choice(["backlogged", "closed"]), demands, changes=changes)
        tenants.append(Tenant("rogue", 0.0, members, "rogue", False, rnd.choice(["rogue_pod", "host_process"])))  # noqa: FBT003  # the field's name is on the class
    quantum = rnd.uniform(*ranges.quantum)
    return World(
        seed,
        tuple(tenants),
        tuple(demands),
        quantum,
        quantum * rnd.uniform(*ranges.switch),
        Sampling(
            rnd.choice(ranges.periods),
            *(rnd.uniform(*pair) for pair in (ranges.noise, ranges.late, ranges.absent, ranges.silent)),
        ),
        changes,
    )


def _members(rnd: random.Random, ranges: Ranges, kind: str, demands: list[Demand], *, changes: bool) -> tuple[int, ...]:
    processes = rnd.choice(ranges.processes)
    phases = _phases(rnd, ranges, changes=changes)
    steady = rnd.random() < ranges.steady
    if kind == "backlogged":
        shape = Kind.BACKLOGGED, 1.0, 0.0
    elif kind == "closed":
        duty, burst = rnd.uniform(*ranges.duty), 10 ** rnd.uniform(*ranges.log_closed_burst)
        shape = Kind.CLOSED, burst, burst * (1 - duty) / duty
    elif kind == "open":
        load, burst = rnd.uniform(*ranges.load) / processes, 10 ** rnd.uniform(*ranges.log_open_burst)
        shape = Kind.OPEN, burst, burst / load
    else:
        shape, phases = (Kind.BACKLOGGED, 1.0, 0.0), ()
    first = len(demands)
    shift = rnd.uniform(0.0, SECONDS) if rnd.random() < ranges.shifting else NEVER
    factor = 10 ** rnd.uniform(*ranges.log_shift)
    demands.extend(Demand(*shape, phases, steady, rnd.getrandbits(20), shift, factor) for _ in range(processes))
    return tuple(range(first, len(demands)))


def _phases(rnd: random.Random, ranges: Ranges, *, changes: bool) -> tuple[float, ...]:
    """Return the times of going on, off, on, and so on."""
    start, stop = 0.0, SECONDS + 1.0
    if changes:
        fate = rnd.random()
        if fate < ranges.starting:
            start = CHANGE
        elif fate < ranges.starting + ranges.stopping:
            stop = CHANGE
    if rnd.random() >= ranges.phased:
        return (start, stop) if stop < SECONDS else (start,)
    length = 10 ** rnd.uniform(*ranges.log_phase)
    times, at = [start], start
    while at < stop:
        at += length * rnd.uniform(0.5, 1.5)
        times.append(min(at, stop))
    return tuple(times)

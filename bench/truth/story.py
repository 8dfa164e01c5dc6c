"""One world played once: what the driver says at every tick, and the truth of every window.

The truth of a window: the tenant's processes, as they are when it starts, go on alone on a device as fast as the promise,
with the same bursts and pauses; what they use there is entitled. A tenant that has just finished a burst is thus compared
with a twin that has just finished it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.truth.physics import Device, shares
from bench.truth.worlds import CHANGE, SECONDS, Tenant, World

WINDOW = 20.0
ENDS = (40.0, 60.0, 80.0, 100.0)
"""When windows end that are asked about; the first one ends where worlds change."""

TOLERANCE = 0.10
TINY = 0.01
"""A tenant entitled to less than this share wants nothing that whole percents can tell."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What the driver says: each process's share, None for a process that is not there; `shares` None: no answer."""

    at: float
    shares: tuple[float | None, ...] | None
    declared: tuple[bool | None, ...]  # one a tenant


@dataclass(frozen=True, slots=True)
class Truth:
    """One tenant in the window that ends at `end`. Shares of the whole device; `takers` by name of tenant, exactly."""

    tenant: str
    end: float
    entitled: float
    delivered: float
    takers: Mapping[str, float]
    switching: float

    @property
    def wanted(self) -> bool:
        """Whether it wanted anything worth telling."""
        return self.entitled >= TINY

    @property
    def ratio(self) -> float:
        """What it got of what it was entitled to."""
        return self.delivered / self.entitled

    @property
    def broken(self) -> bool:
        """Whether the promise was broken."""
        return self.wanted and self.ratio < 1 - TOLERANCE


@dataclass(frozen=True, slots=True)
class Story:
    """A world with what was said and what was true."""

    world: World
    ticks: tuple[Tick, ...]
    truths: tuple[Truth, ...]


def play(world: World) -> Story:
    """Let a world happen."""
    device = Device(world.demands, world.quantum, world.switch)
    driver = _Driver(world)
    ticks: list[Tick] = []
    truths: list[Truth] = []
    starts = {end - WINDOW for end in ENDS}
    opened: _Window | None = None
    for second in range(1, int(SECONDS) + 1):
        if second - 1 in starts:
            opened = _Window(device, world)
        ticks.append(driver.tick(device, float(second)))
        if second in ENDS and opened is not None:
            truths.extend(opened.close(float(second)))
    return Story(world, tuple(ticks), tuple(truths))


class _Window:
    """A window that is open: what was used at its start, and the twins."""

    def __init__(self, device: Device, world: World) -> None:
        self._device, self._world = device, world
        self._used = list(device.used)
        self._switching = device.switching
        held = [tenant for tenant in world.tenants if tenant.promise > 0]
        self._twins = [(tenant, device.fork(tenant.members, tenant.promise)) for tenant in held]

    def close(self, end: float) -> Iterator[Truth]:
        used = shares(self._used, self._device.used, WINDOW)
        by_tenant = {tenant.name: sum(used[i] for i in tenant.members) for tenant in self._world.tenants}
        switching = (self._device.switching - self._switching) / WINDOW
        for tenant, twin in self._twins:
            twin.run(end)
            takers = {
                other.name: max(0.0, by_tenant[other.name] - other.promise)
                for other in self._world.tenants
                if other.name != tenant.name
            }
            entitled = sum(twin.used) / WINDOW
            yield Truth(tenant.name, end, entitled, by_tenant[tenant.name], takers, switching)


class _Driver:
    """Samples a device as NVML does: a whole percent of the last part of each second, sometimes late, sometimes not there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random.Random(world.seed + 1)  # noqa: S311  # a reproducible stream, no secret
        self._last: Sequence[float] = [0.0] * len(world.demands)

    def tick(self, device: Device, at: float) -> Tick:
        sampling, rnd = self._world.sampling, self._random
        device.run(at - sampling.period)
        before = list(device.used)
        device.run(at)
        fresh = [self._sample(share) for share in shares(before, device.used, sampling.period)]
        seen = [old if rnd.random() < sampling.late else new for old, new in zip(self._last, fresh, strict=True)]
        self._last = fresh
        told = [0.0 if rnd.random() < sampling.absent else share for share in seen]
        there = tuple(
            share if demand.phases and demand.phases[0] <= at else None
            for share, demand in zip(told, self._world.demands, strict=True)
        )
        declared = tuple(_backlog(tenant, device) if tenant.declares else None for tenant in self._world.tenants)
        return Tick(at, None if rnd.random() < sampling.silent else there, declared)

    def _sample(self, share: float) -> float:
        noise = self._random.gauss(0.0, self._world.sampling.noise) if share > 0 else 0.0
        return round(min(1.0, max(0.0, share + noise)), 2)


def _backlog(tenant: Tenant, device: Device) -> bool:
    """Whether more work waits than one request a process: the waiting requests of an inference server."""
    return sum(device.left[i] > 1.5 * device.demands[i].burst for i in tenant.members) * 2 > len(tenant.members)


def changed(world: World) -> bool:
    """Whether somebody starts at `CHANGE`."""
    return any(demand.phases and demand.phases[0] == CHANGE for demand in world.demands)

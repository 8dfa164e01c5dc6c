"""What goes wrong in a random world: strangers on a device, slow clocks, faults of the hardware and of the sources."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.verdicts.parameters import Parameters
from exporter.model import Throttle
from exporter.simulator.spec import (
    BACKLOGGED,
    FOREVER,
    IDLE,
    Access,
    ContainerSpec,
    Cooling,
    Demand,
    DemandKind,
    DeviceRef,
    EccError,
    Event,
    Fault,
    Faulty,
    GpuLost,
    GpuSpec,
    HostProcess,
    MigReshape,
    Phase,
    PodSpec,
    PowerCap,
    ProcessSpec,
    Throttling,
    XidError,
)

_GIB = 1 << 30
_XIDS = (13, 31, 43, 45, 48, 62, 63, 74, 79, 94, 95, 119, 120, 140, 143)
"""Of applications and of the hardware; which of them end all work on a device is the contract's to say."""

_REASONS = tuple(Throttle)
_SLOWING = (
    Throttle.HW_THERMAL,
    Throttle.SW_THERMAL,
    Throttle.SW_POWER_CAP,
    Throttle.HW_POWER_BRAKE,
    Throttle.HW_SLOWDOWN,
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a scenario gets on top of its tenants."""

    pods: tuple[PodSpec, ...]
    hosts: tuple[HostProcess, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _Stage:
    draw: random.Random
    told: Parameters
    gpus: Sequence[GpuSpec]
    tenants: Sequence[PodSpec]

    def times(self, rate: float) -> range:
        """How often something with this mean happens: Poisson."""
        count, left = 0, self.draw.random()
        chance = math.exp(-rate)
        while left > chance:
            left -= chance
            count += 1
            chance *= rate / count
            if count > 8:
                break
        return range(count)

    def moment(self) -> float:
        return self.draw.uniform(5.0, self.told.seconds * 0.8)

    def span(self) -> tuple[float, float]:
        at = self.moment()
        return at, at + self.draw.uniform(*self.draw.choice((self.told.brief, self.told.lasting)))

    def gpu(self) -> GpuSpec:
        return self.draw.choice(self.gpus)

    def device(self) -> DeviceRef:
        spec = self.gpu()
        return DeviceRef(spec.name, None if spec.mig is None else self.draw.randrange(len(spec.mig)))


def trouble(draw: random.Random, told: Parameters, gpus: Sequence[GpuSpec], tenants: Sequence[PodSpec]) -> Trouble:
    """Draw what goes wrong."""
    stage = _Stage(draw, told, gpus, tenants)
    rogues = tuple(_rogue(stage, number) for number in stage.times(told.rogues))
    hosts = [_host(stage, "burn-in") for _ in stage.times(told.hosts)]
    hosts += [_host(stage, draw.choice(("nv-hostengine", "Xorg"))) for _ in stage.times(told.allowed)]
    return Trouble(rogues, tuple(hosts), tuple(_events(stage)))


def _events(stage: _Stage) -> Iterator[Event]:
    told = stage.told
    kinds: tuple[tuple[float, Callable[[_Stage], Event]], ...] = (
        (told.throttles, _throttling),
        (told.caps, _power_cap),
        (told.coolings, _cooling),
        (told.losses, _loss),
        (told.xids, _xid),
        (told.ecc, _ecc),
        (told.faults, _fault),
    )
    for rate, kind in kinds:
        for _ in stage.times(rate):
            yield kind(stage)
    yield from _reshapes(stage)


def _stranger(stage: _Stage, command: str, ref: DeviceRef) -> ProcessSpec:
    draw = stage.draw
    wanted = draw.choice((IDLE, BACKLOGGED, Demand(kind=DemandKind.CLOSED, burst=0.02, think=0.05)))
    size = round(draw.choice((0.3, 2.0, 20.0)) * draw.uniform(0.5, 1.5) * _GIB)
    return ProcessSpec(command=command, device=ref, phases=(Phase(0.0, wanted, size),))


def _rogue(stage: _Stage, number: int) -> PodSpec:
    born, ended = stage.span()
    ref = stage.device()
    return PodSpec(
        namespace="rogues",
        name=f"rogue-{number}",
        workload_kind="Pod",
        workload=f"rogue-{number}",
        containers=(ContainerSpec(name="main", processes=(_stranger(stage, "miner", ref),)),),
        born=born,
        deleted=stage.draw.choice((ended, FOREVER)),
    )


def _host(stage: _Stage, command: str) -> HostProcess:
    born, ended = stage.span()
    return HostProcess(_stranger(stage, command, stage.device()), born, stage.draw.choice((ended, FOREVER)))


def _throttling(stage: _Stage) -> Event:
    at, until = stage.span()
    reason = stage.draw.choice(_REASONS if stage.draw.random() < 0.1 else _SLOWING)
    ratio = stage.draw.uniform(*stage.told.clock_ratio)
    return Throttling(at=at, until=until, gpu=stage.gpu().name, reason=reason, clock_ratio=ratio)


def _power_cap(stage: _Stage) -> Event:
    at, until = stage.span()
    spec = stage.gpu()
    room = spec.board.power_limit - spec.board.power_idle
    watts = spec.board.power_idle + 1.0 + room * stage.draw.uniform(*stage.told.cap)
    return PowerCap(at=at, until=until, gpu=spec.name, watts=watts)


def _cooling(stage: _Stage) -> Event:
    at, until = stage.span()
    return Cooling(at=at, until=until, gpu=stage.gpu().name, inlet_celsius=stage.draw.uniform(*stage.told.inlet))


def _loss(stage: _Stage) -> Event:
    at, until = stage.span()
    return GpuLost(at=at, until=until, gpu=stage.gpu().name)


def _xid(stage: _Stage) -> Event:
    ref = stage.device()
    instance = ref.instance if stage.draw.random() < 0.6 else None
    return XidError(at=stage.moment(), gpu=ref.gpu, xid=stage.draw.choice(_XIDS), instance=instance)


def _ecc(stage: _Stage) -> Event:
    return EccError(
        at=stage.moment(),
        gpu=stage.gpu().name,
        corrected=stage.draw.randint(0, 5),
        uncorrected=stage.draw.randint(0, 2),
    )


def _fault(stage: _Stage) -> Event:
    at, until = stage.span()
    access = stage.draw.choice(tuple(Access))
    return Fault(at=at, until=until, kind=stage.draw.choice(tuple(Faulty)), seconds=0.0, access=access)


def _reshapes(stage: _Stage) -> Iterator[Event]:
    """An instance is destroyed under whoever holds it, and made again or not: once a GPU at the most."""
    for spec in stage.gpus:
        if spec.mig and stage.draw.random() < stage.told.reshapes:
            label = stage.draw.randrange(len(spec.mig))
            create = (spec.mig[label],) if stage.draw.random() < 0.5 else ()
            yield MigReshape(at=stage.moment(), gpu=spec.name, destroy=(label,), create=create)

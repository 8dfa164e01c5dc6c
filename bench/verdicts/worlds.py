"""Random nodes: which GPUs, how they are cut up and shared, who holds them and what runs there. `trouble` adds what goes wrong.

A node has one way of sharing for its plain GPUs, because the node's labels can tell of one only, and MIG beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from bench.verdicts.parameters import Parameters, Range
from bench.verdicts.trouble import trouble
from exporter.simulator.consistency import check
from exporter.simulator.gpus import BOARDS, Board
from exporter.simulator.spec import (
    BACKLOGGED,
    FOREVER,
    IDLE,
    ContainerSpec,
    Demand,
    DemandKind,
    DeviceRef,
    GpuSharing,
    GpuSpec,
    MigReshape,
    MigStrategy,
    Phase,
    PodSpec,
    ProcessSpec,
    Scenario,
)
from exporter.simulator.tables import Faults

GIB = 1 << 30
_OTHER_PROFILES = 0.5
"""Part of the MIG GPUs that are filled with unlike instances."""


@dataclass(frozen=True, slots=True)
class World:
    """A scenario, and how it is watched: with the policy's fair memory for time slices or without."""

    number: int
    scenario: Scenario
    seconds: int
    fair_memory: bool


@dataclass(slots=True)
class _Draft:
    """A node while it is drawn."""

    draw: random.Random
    told: Parameters
    gpus: list[GpuSpec] = field(default_factory=list)
    pods: list[PodSpec] = field(default_factory=list)

    def between(self, limits: Range) -> float:
        return self.draw.uniform(*limits)


_SHARING = (GpuSharing.NONE, GpuSharing.TIME_SLICING, GpuSharing.MPS)
"""What worlds are drawn from, in this order: a mode more would make every world another, and old figures incomparable."""


def world(told: Parameters, number: int) -> World:
    """Draw one world; the same number of the same parameters is the same world."""
    draw = random.Random(told.seed + number)  # noqa: S311  # a reproducible stream, no secret
    draft = _Draft(draw, told)
    sharing = draw.choice(_SHARING)
    replicas = draw.choice(told.replicas)
    crowded = sharing is not GpuSharing.NONE and draw.random() < told.oversubscribed
    for index in range(draw.randint(*told.gpus)):
        _gpu(draft, index, sharing, replicas, crowded=crowded)
    happening = trouble(draw, told, tuple(draft.gpus), tuple(draft.pods))
    scenario = Scenario(
        name=f"{told.name}-{number}",
        about="drawn at random",
        node="node-1",
        driver="580.95.05",
        nvml="13.580.95.05",
        gpus=tuple(draft.gpus),
        pods=(*draft.pods, *happening.pods),
        hosts=happening.hosts,
        events=happening.events,
        mig_strategy=MigStrategy.MIXED,
    )
    return World(number, _playable(scenario), told.seconds, draw.random() < 0.5)


def _playable(scenario: Scenario) -> Scenario:
    """Without its reshaping where that takes an instance from under a pod that is still to be born. Raises ValueError."""
    calmer = replace(scenario, events=tuple(e for e in scenario.events if not isinstance(e, MigReshape)))
    if not (problems := _problems(scenario)):
        return scenario
    if not (problems := _problems(calmer)):
        return calmer
    raise ValueError("; ".join(problems))


def _problems(scenario: Scenario) -> list[str]:
    faults = Faults(scenario.name)
    check(scenario, faults)
    return list(faults.problems)


def _gpu(draft: _Draft, index: int, sharing: GpuSharing, replicas: int, *, crowded: bool) -> None:
    draw, name = draft.draw, f"g{index}"
    board = BOARDS[draw.choice(draft.told.boards)]
    if board.rows and draw.random() < 0.45:
        profiles = _layout(draw, board)
        draft.gpus.append(GpuSpec(name=name, board=board, mig=profiles))
        for label, profile in enumerate(profiles):
            if draw.random() < 0.85:
                _hold(draft, (DeviceRef(name, label),), _row_bytes(board, profile), _asked(draft, board, profile))
        return
    if sharing is GpuSharing.NONE:
        draft.gpus.append(GpuSpec(name=name, board=board))
        _hold(draft, (DeviceRef(name),), board.memory_bytes - board.reserved_bytes, "")
        return
    offered = max(2, replicas // 2) if crowded else replicas
    draft.gpus.append(
        GpuSpec(
            name=name,
            board=board,
            sharing=sharing,
            replicas=offered,
            replicas_before=replicas,
            switch_seconds=draw.choice((0.0, 2e-5, 2e-4)) if sharing is GpuSharing.TIME_SLICING else 0.0,
        )
    )
    slots = list(range(replicas if crowded else draw.randint(1, replicas)))
    while slots:
        own = [slots.pop() for _ in range(min(len(slots), draw.choice((1, 1, 1, 2))))]
        limit = board.memory_bytes // offered
        _hold(draft, tuple(DeviceRef(name, None, slot) for slot in own), limit * len(own), "", shared=True)


def _layout(draw: random.Random, board: Board) -> tuple[str, ...]:
    """Fill the board with instances, small and large, as long as they fit."""
    rows = [row for row in board.rows if not row.profile.name.endswith("+me")]
    if draw.random() > _OTHER_PROFILES:
        rows = [draw.choice(rows)]
    compute, memory = board.compute_slices, board.memory_slices
    chosen: list[str] = []
    while True:
        fitting = [r for r in rows if r.profile.slices <= compute and r.memory_slices <= memory]
        if not fitting:
            return tuple(chosen)
        row = draw.choice(fitting)
        compute, memory = compute - row.profile.slices, memory - row.memory_slices
        chosen.append(row.profile.name)


def _row_bytes(board: Board, profile: str) -> int:
    row = board.row(profile)
    return 0 if row is None else row.profile.memory_bytes - 64 * (1 << 20)


def _asked(draft: _Draft, board: Board, profile: str) -> str:
    """The resource that a container asked for: now and then another profile than the one it was given."""
    if draft.draw.random() < draft.told.wrong_profiles / 4:
        profile = draft.draw.choice([row.profile.name for row in board.rows])
    return "nvidia.com/mig-" + profile.replace("+", ".")


def _hold(draft: _Draft, refs: tuple[DeviceRef, ...], room: int, resource: str, *, shared: bool = False) -> None:
    """Put a pod onto a device; `room` is the memory that it may fairly take."""
    draw, told, number = draft.draw, draft.told, len(draft.pods)
    count = draw.choice((1, 1, 1, 2))
    size, later = room * draw.uniform(0.05, 0.9) / count, None
    if shared and draw.random() < told.hogs / 2:
        count = draw.choice(told.hog_processes)
        later = draw.uniform(5.0, told.seconds * 0.7), room * draw.uniform(0.7, 1.0)
        size = room * 0.05
    born, ended = 0.0, FOREVER
    if draw.random() < told.latecomers:
        born = draw.choice((0.0, draw.uniform(0.0, told.seconds * 0.7)))
        ended = draw.choice((FOREVER, born + draw.uniform(20.0, told.seconds)))
    completes = draw.random() < 0.5
    processes = tuple(process(draw, told, refs[0], round(size), later) for _ in range(count))
    container = ContainerSpec(name="main", resource=resource, holds=refs, processes=processes)
    draft.pods.append(
        PodSpec(
            namespace=f"team-{number % 3}",
            name=f"tenant-{number}",
            workload_kind="Job",
            workload=f"tenant-{number}",
            containers=(container,),
            born=born,
            completed=ended if completes else FOREVER,
            deleted=FOREVER if completes else ended,
        )
    )


def process(
    draw: random.Random, told: Parameters, ref: DeviceRef, size: int, later: tuple[float, float] | None = None
) -> ProcessSpec:
    """Draw a process that changes its mind now and then. `later`: when, and to how many bytes, it grows."""
    device = DeviceRef(ref.gpu, ref.instance)
    phases = [Phase(0.0, demand(draw, told), size)]
    if draw.random() < 0.5:
        phases.append(Phase(draw.uniform(10.0, told.seconds), demand(draw, told), size))
    if later is not None:
        phases = [phases[0], Phase(later[0], demand(draw, told), round(later[1]))]
    return ProcessSpec(
        command="python",
        device=device,
        phases=tuple(phases),
        intensity=draw.uniform(*told.intensity),
        sm=draw.uniform(0.4, 1.0),
    )


def demand(draw: random.Random, told: Parameters) -> Demand:
    """Draw what a process wants."""
    kind = draw.choice(tuple(DemandKind))
    burst, busy = draw.uniform(*told.burst), draw.uniform(*told.busy)
    if kind is DemandKind.IDLE:
        return IDLE
    if kind is DemandKind.BACKLOGGED:
        return BACKLOGGED
    if kind is DemandKind.CLOSED:
        return Demand(kind=kind, burst=burst, think=burst * (1 - busy) / busy)
    return Demand(kind=kind, burst=burst, load=busy)

"""A node with every mode at once: seven holders to a GPU, and of one GPU after the other another mode.

MIG instances, time slices, an MPS daemon's slots, HAMi's slots with its hooks' regions, KAI's fractions behind a reservation,
claims, and a dcgm-exporter's page beside them. No node is like this; it is what the exporter costs when nothing that it can
read is switched off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exporter.simulator.gpus import H100_SXM
from exporter.simulator.spec import (
    BACKLOGGED,
    IDLE,
    RESERVATIONS,
    Ask,
    ClaimSpec,
    ContainerSpec,
    Demand,
    DemandKind,
    DeviceRef,
    GpuSharing,
    GpuSpec,
    Phase,
    PodSpec,
    ProcessSpec,
    Scenario,
)
from exporter.simulator.synthetic import PER_GPU, synthetic

_GIBIBYTE = 1 << 30
_DEMANDS = (BACKLOGGED, Demand(kind=DemandKind.CLOSED, burst=0.08, think=0.2), IDLE)

_UNTOLD = {"nvidia.com/gpu.sharing-strategy": ""}
"""Time slices and MPS under one resource: no label can tell both, and the driver's list of MPS clients does."""

_Asks = Callable[[int], tuple[DeviceRef, Ask]]
"""What the holder in a place holds, and what it asked of a scheduler for it."""

_Mode = tuple[GpuSpec, _Asks, tuple[PodSpec, ...]]
"""A GPU, what its holders hold, and pods beside them."""


def _mig(cut: GpuSpec) -> _Mode:
    return cut, lambda place: (DeviceRef(cut.name, place), Ask()), ()


def _slots(sharing: GpuSharing) -> Callable[[GpuSpec], _Mode]:
    def slotted(cut: GpuSpec) -> _Mode:
        gpu = GpuSpec(name=cut.name, board=H100_SXM, sharing=sharing, replicas=PER_GPU, replicas_before=PER_GPU)
        ask = Ask(cores=100 // PER_GPU, memory_bytes=10 * _GIBIBYTE) if sharing is GpuSharing.HAMI else Ask()
        return gpu, lambda place: (DeviceRef(cut.name, None, place), ask), ()

    return slotted


def _fractions(cut: GpuSpec) -> _Mode:
    holder = ContainerSpec(name="resource-reservation", holds=(DeviceRef(cut.name),))
    name = f"gpu-reservation-{cut.name}"
    reservation = PodSpec(namespace=RESERVATIONS, name=name, workload_kind="Pod", workload=name, containers=(holder,))
    gpu = GpuSpec(name=cut.name, board=H100_SXM, sharing=GpuSharing.KAI)
    return gpu, lambda _: (DeviceRef(cut.name), Ask(fraction=1 / (PER_GPU + 1))), (reservation,)


def _claimed(cut: GpuSpec) -> _Mode:
    return cut, lambda place: (DeviceRef(cut.name, place), Ask(claim=f"{cut.name}-{place}")), ()


_MODES: tuple[Callable[[GpuSpec], _Mode], ...] = (
    _mig,
    _slots(GpuSharing.TIME_SLICING),
    _slots(GpuSharing.HAMI),
    _slots(GpuSharing.MPS),
    _fractions,
    _claimed,
)


def every_mode(partitions: int) -> Scenario:
    """Build the node, rounded up to whole GPUs. The first is cut by MIG, so that a node of one GPU has that alone."""
    scenario = synthetic(partitions)
    gpus: list[GpuSpec] = []
    pods: list[PodSpec] = []
    for number, cut in enumerate(scenario.gpus):
        gpu, asks, more = _MODES[number % len(_MODES)](cut)
        gpus.append(gpu)
        pods += more
        pods += [_pod(f"{gpu.name}-{place}", place, *asks(place)) for place in range(PER_GPU)]
    claims = tuple(
        ClaimSpec(namespace=pod.namespace, name=pod.containers[0].ask.claim)
        for pod in pods
        if pod.containers[0].ask.claim
    )
    return replace(
        scenario,
        name=f"every-mode-{partitions}",
        gpus=tuple(gpus),
        pods=tuple(pods),
        claims=claims,
        labels=_UNTOLD,
        dcgm_seconds=30.0,
    )


def _pod(name: str, place: int, holds: DeviceRef, ask: Ask) -> PodSpec:
    phases = (Phase(0.0, _DEMANDS[place % len(_DEMANDS)], _GIBIBYTE),)
    process = ProcessSpec(command="python", device=replace(holds, replica=None), phases=phases)
    return PodSpec(
        namespace=f"team-{place}",
        name=name,
        workload_kind="Deployment",
        workload=name,
        containers=(ContainerSpec(name="main", holds=(holds,), processes=(process,), ask=ask),),
    )

"""Nodes of any size for benches: seven-slice MIG boards filled with small tenants that are cheap to simulate."""

from __future__ import annotations

from exporter.simulator.gpus import H100_SXM
from exporter.simulator.spec import (
    BACKLOGGED,
    IDLE,
    ContainerSpec,
    Demand,
    DemandKind,
    DeviceRef,
    GpuSpec,
    MigStrategy,
    Phase,
    PodSpec,
    ProcessSpec,
    Scenario,
)

PER_GPU = 7
_PROFILE = "1g.10gb"
_GIBIBYTE = 1 << 30

_DEMANDS = (
    BACKLOGGED,
    Demand(kind=DemandKind.CLOSED, burst=0.08, think=0.05),
    IDLE,
    Demand(kind=DemandKind.OPEN, burst=0.06, load=0.4),
)
"""What the tenants want, in turn."""


def synthetic(partitions: int, *, processes: int = 1, seconds_apart: float = 0.0) -> Scenario:
    """Build a node with this many MIG partitions, seven to a GPU, one pod each (56: eight GPUs).

    `processes` run in every pod. With `seconds_apart` above 0 the pods are born one after the other, so that the node
    changes while it is measured. Raises ValueError when there is nothing to build.
    """
    if partitions < 1 or processes < 0:
        message = f"a node needs a partition, and no fewer than 0 processes: {partitions}, {processes}"
        raise ValueError(message)
    gpus = tuple(
        GpuSpec(name=f"h100-{number}", board=H100_SXM, mig=(_PROFILE,) * min(PER_GPU, partitions - number * PER_GPU))
        for number in range(-(-partitions // PER_GPU))
    )
    return Scenario(
        name=f"synthetic-{partitions}",
        about=f"{partitions} MIG partitions with {processes} processes each.",
        node="gpu-synthetic-0",
        driver="580.95.05",
        nvml="13.580.95.05",
        gpus=gpus,
        pods=tuple(_pod(number, processes, number * seconds_apart) for number in range(partitions)),
        mig_strategy=MigStrategy.MIXED,
    )


def _pod(number: int, processes: int, born: float) -> PodSpec:
    ref = DeviceRef(f"h100-{number // PER_GPU}", number % PER_GPU)
    process = ProcessSpec(
        command="python", device=ref, phases=(Phase(0.0, _DEMANDS[number % len(_DEMANDS)], _GIBIBYTE),)
    )
    return PodSpec(
        namespace=f"team-{number % 5}",
        name=f"tenant-{number}",
        workload_kind="Deployment",
        workload=f"tenant-{number}",
        containers=(ContainerSpec(name="main", holds=(ref,), processes=(process,) * processes),),
        born=born,
    )

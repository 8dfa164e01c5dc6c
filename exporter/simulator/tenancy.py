"""The pods, their processes and their leases while they live: what the scenario's specifications become.

A lease (`Tenancy`) knows what it was promised; where others use the same device it carries a `Dedicated` twin, the same
tenant alone on a device as fast as its promise, because that is what it is entitled to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.catalogue import PartitionKey
from exporter.model import Sharing
from exporter.simulator.demand import Client
from exporter.simulator.engine import QUANTUM, RoundRobin
from exporter.simulator.gpus import MIB
from exporter.simulator.hardware import Device, SimGpu, thread_cap
from exporter.simulator.spec import Ask, ContainerSpec, DeviceRef, GpuSharing, PodSpec, ProcessSpec


@dataclass(slots=True, eq=False)
class SimPod:
    """A pod that was born. `phase` is the API server's word; `container_ids` by container name."""

    spec: PodSpec
    uid: str
    container_ids: dict[str, str]
    phase: str = "Running"


@dataclass(slots=True, eq=False)
class SimProcess:
    """A process that was started. `device` is None once its device is gone; `spent` is its use in the last step."""

    pid: int
    spec: ProcessSpec
    started: int  # clock ticks since boot
    client: Client
    pod: SimPod | None = None
    container: str = ""
    gpu: SimGpu | None = None
    device: Device | None = None
    tenancy: Tenancy | None = None
    seen: float = 0.0
    spent: float = 0.0
    server: bool = False  # the MPS server: a context, and no work


class Dedicated:
    """The same tenant twice: on a device `share` times as fast as its own, and alone on its own."""

    def __init__(self, share: float, now: float) -> None:
        self.share = share
        self._slow = RoundRobin(now, QUANTUM / share)
        self._alone = RoundRobin(now)
        self._twins: dict[Client, tuple[Client, Client]] = {}

    def admit(self, client: Client, wakes: float) -> None:
        """Let a process in as it is now (with its new demand, when it is in already)."""
        self.dismiss(client)
        twins = client.twin(), client.twin()
        self._twins[client] = twins
        self._slow.join(twins[0], wakes)
        self._alone.join(twins[1], wakes)

    def dismiss(self, client: Client) -> None:
        """Let a process out."""
        for engine, twin in zip((self._slow, self._alone), self._twins.pop(client, ()), strict=False):
            engine.remove(twin)

    def run(self, until: float, speed: float) -> tuple[float, float]:
        """Serve until then; return the device seconds that the tenant uses dedicated and alone."""
        before = self._slow.busy, self._alone.busy
        self._slow.run(until, self.share * speed)
        self._alone.run(until, speed)
        return (self._slow.busy - before[0]) * self.share, self._alone.busy - before[1]


@dataclass(slots=True, eq=False)
class Tenancy:
    """A container's lease on a device. Shares are of the parent GPU; `gone` says why the device is not there."""

    key: PartitionKey
    pod: SimPod
    gpu: SimGpu
    device: Device
    resource: str
    refs: tuple[DeviceRef, ...]
    sharing: Sharing
    promised: float
    promised_memory: int | None
    processes: list[SimProcess] = field(default_factory=list)
    dedicated: Dedicated | None = None
    gone: str = ""
    ask: Ask = field(default_factory=Ask)

    @property
    def exclusive(self) -> bool:
        """Whether nobody else was sold the device."""
        return self.sharing in {Sharing.EXCLUSIVE, Sharing.MIG}


def lease(
    pod: SimPod, container: ContainerSpec, gpu: SimGpu, device: Device, refs: tuple[DeviceRef, ...], resource: str
) -> Tenancy:
    """Write the lease of a container on a device, with the promise that the design gives to its mode (section 3).

    `resource` is the name that the plugin advertises the device under; a container may have asked for another.
    """
    spec = gpu.spec
    slots = max(1, len(refs))
    total = device.memory.total
    if spec.sharing is GpuSharing.MPS:
        sharing, share = Sharing.MPS, slots * thread_cap(spec)
        memory: int | None = slots * mps_limit(gpu, device)
    elif spec.sharing is GpuSharing.TIME_SLICING:
        sharing, share, memory = Sharing.TIME_SLICING, 1.0 / spec.replicas, None
    elif spec.sharing is GpuSharing.HAMI:
        sharing, share, memory = Sharing.HAMI, container.ask.cores / 100, container.ask.memory_bytes
    elif spec.sharing is GpuSharing.KAI:
        ask = container.ask
        sharing, share = Sharing.KAI, ask.fraction or ask.memory_bytes / total
        memory = ask.memory_bytes or round(ask.fraction * total)
    else:
        sharing, share, memory = (Sharing.MIG if gpu.mig else Sharing.EXCLUSIVE), 1.0, total
    key = PartitionKey(gpu.uuid, device.uuid, pod.spec.namespace, pod.spec.name, container.name)
    promised = min(1.0, share) * device.fraction
    name = container.resource or resource
    return Tenancy(key, pod, gpu, device, name, refs, sharing, promised, memory, ask=container.ask)


def mps_limit(gpu: SimGpu, device: Device) -> int:
    """Bytes that an MPS client may pin: floor(total / replicas) in MiB, as the plugin's daemon sets it."""
    return device.memory.total // gpu.spec.replicas // MIB * MIB

"""The GPUs of the node as they are now: MIG instances with ids that come and go, an engine and memory for each device.

GPU instance ids are reused after an instance is destroyed, with the lowest free id of the profile's size first; the UUID
of the new instance is new (NVIDIA/k8s-dra-driver-gpu cmd/gpu-kubelet-plugin/mig.go says so of re-created instances).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.model import DeviceUuid, GpuUuid
from exporter.simulator import identity
from exporter.simulator.climate import Climate
from exporter.simulator.engine import Concurrent, Engine, RoundRobin
from exporter.simulator.gpus import MIB, MigRow
from exporter.simulator.memory import Memory
from exporter.simulator.spec import GpuSharing, GpuSpec, MigStrategy

_FIRST_ID = {7: {7: 0, 4: 1, 3: 1, 2: 3, 1: 7}, 4: {4: 0, 2: 1, 1: 3}}
"""First GPU instance id by the board's and the profile's compute slices."""


@dataclass(slots=True)
class Totals:
    """What a device has done since it exists, in device seconds: any work running, and its parts in use."""

    sm: float = 0.0
    tensor: float = 0.0
    bandwidth: float = 0.0


@dataclass(slots=True, eq=False)
class Device:
    """A whole GPU or a MIG instance. `fraction` is its part of the GPU's SMs; `label` is the scenario's number."""

    uuid: DeviceUuid
    engine: Engine
    memory: Memory
    fraction: float
    label: int | None = None
    row: MigRow | None = None
    index: int = 0
    gpu_instance: int = 0
    start: int = 0  # the first memory slice of a MIG instance
    totals: Totals = field(default_factory=Totals)


def thread_cap(spec: GpuSpec) -> float:
    """Share of the SMs that an MPS client may use: floor(100 / replicas) percent, as the plugin's daemon sets it."""
    return (100 // spec.replicas) / 100


def resource_name(strategy: MigStrategy, device: Device) -> str:
    """Return the name that the device plugin advertises a device under (its internal/rm/rm.go)."""
    if device.row is None or strategy is not MigStrategy.MIXED:
        return "nvidia.com/gpu"
    return "nvidia.com/mig-" + device.row.profile.name.replace("+", ".")


class SimGpu:
    """One GPU. `whole` is the device outside MIG; under MIG it is the parent, on which nothing runs."""

    def __init__(self, seed: int, index: int, spec: GpuSpec) -> None:
        self.seed = seed
        self.index = index
        self.spec = spec
        self.uuid = GpuUuid("GPU-" + identity.uuid(seed, "gpu", str(index), spec.name))
        self.climate = Climate(spec.board)
        self.lost = False
        self.corrected = 0
        self.uncorrected = 0
        board = spec.board
        self.whole = Device(
            DeviceUuid(self.uuid), self._engine(0.0), Memory(board.memory_bytes, board.reserved_bytes), 1.0
        )
        self.instances: dict[int, Device] = {}
        self._created = 0
        for profile in spec.mig or ():
            self.create(profile, 0.0)

    @property
    def mig(self) -> bool:
        """Whether the GPU is in MIG mode."""
        return self.spec.mig is not None

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that work can run on, MIG instances by their index."""
        if not self.mig:
            return (self.whole,)
        return tuple(sorted(self.instances.values(), key=lambda each: each.index))

    def find(self, label: int | None) -> Device | None:
        """Return a device by the scenario's number, None when there is none (any more)."""
        if label is None:
            return None if self.mig else self.whole
        return self.instances.get(label)

    def create(self, profile: str, now: float) -> Device:
        """Create a MIG instance with the next label. The scenario has been checked: the profile exists and fits."""
        board = self.spec.board
        row = board.row(profile)
        if row is None:
            message = f"{board.name} has no MIG profile {profile}"
            raise ValueError(message)
        label, self._created = self._created, self._created + 1
        device = Device(
            DeviceUuid("MIG-" + identity.uuid(self.seed, "mig", self.uuid, str(label))),
            self._engine(now),
            Memory(row.profile.memory_bytes, base=_idle_bytes(row.profile.slices)),
            row.profile.sm_count / board.full_sm_count,
            label=label,
            row=row,
            index=_lowest({each.index for each in self.instances.values()}, 0),
            gpu_instance=_lowest(
                {each.gpu_instance for each in self.instances.values()},
                _FIRST_ID[board.compute_slices][row.profile.slices],
            ),
            start=self._free(row.memory_slices),
        )
        self.instances[label] = device
        return device

    def _free(self, size: int) -> int:
        """The lowest place for so many memory slices; instances begin at multiples of their size."""
        taken = {
            place
            for each in self.instances.values()
            if each.row is not None
            for place in range(each.start, each.start + each.row.memory_slices)
        }
        start = 0
        while taken & set(range(start, start + size)):
            start += size
        return start

    def destroy(self, label: int) -> None:
        """Destroy a MIG instance; its ids are free again."""
        del self.instances[label]

    def _engine(self, now: float) -> Engine:
        if self.spec.sharing is GpuSharing.MPS:
            return Concurrent(thread_cap(self.spec), now)
        return RoundRobin(now, switch=self.spec.switch_seconds)


def _lowest(taken: set[int], first: int) -> int:
    while first in taken:
        first += 1
    return first


def _idle_bytes(slices: int) -> int:
    """Return an empty instance's memory in use: 9, 17 and 26 MiB on 1g, 2g and 3g of an H100 (nvidia-smi, 590.48.01)."""
    return round(26 * slices / 3) * MIB

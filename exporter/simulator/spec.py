"""What a scenario says, as frozen types: the hardware, who runs on it, what they want and when things happen.

`scenario` parses TOML into these; `synthetic` builds them in code. Times are seconds since the start of the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.model import Throttle
from exporter.simulator.gpus import Board

FOREVER = float("inf")


class DemandKind(StrEnum):
    """How a process asks for GPU time."""

    IDLE = "idle"  # holds a context and its memory, and computes nothing
    BACKLOGGED = "backlogged"  # always has work
    CLOSED = "closed"  # a burst, then a think time, and again
    OPEN = "open"  # bursts arrive by themselves, whether or not the last is served


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A process's demand. Means in seconds of the whole device at full clock; both are exponentially distributed."""

    kind: DemandKind
    burst: float = 0.0
    think: float = 0.0  # CLOSED
    load: float = 0.0  # OPEN: mean work per second, 1 fills the device


IDLE = Demand(kind=DemandKind.IDLE)
BACKLOGGED = Demand(kind=DemandKind.BACKLOGGED)


@dataclass(frozen=True, slots=True)
class Phase:
    """From `at` on a process wants this and has asked for this much memory."""

    at: float
    demand: Demand
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class DeviceRef:
    """A device by the scenario's names: `research-0`, its MIG instance `/2` (in order of creation), its slot `::1`."""

    gpu: str
    instance: int | None = None
    replica: int | None = None

    @property
    def device(self) -> tuple[str, int | None]:
        """The device without the slot."""
        return self.gpu, self.instance

    def __str__(self) -> str:
        instance = "" if self.instance is None else f"/{self.instance}"
        replica = "" if self.replica is None else f"::{self.replica}"
        return f"{self.gpu}{instance}{replica}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process on a device. `sm`, `tensor` and `bandwidth` are what its kernels keep busy while they run, 0 to 1."""

    command: str
    device: DeviceRef
    phases: tuple[Phase, ...]
    intensity: float = 0.8  # of the board's default power limit, at full clock and full use
    sm: float = 0.95
    tensor: float = 0.45
    bandwidth: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a container asked of a scheduler that keeps records: HAMi (`cores`, memory), KAI (`fraction` or memory), a claim."""

    cores: int = 0  # percent
    memory_bytes: int = 0
    fraction: float = 0.0
    hook: bool = True  # HAMi's hook is loaded into its processes
    claim: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """A container: what it holds and what runs in it. One that holds nothing and runs on a device is a rogue.

    `resource` is what it asked for; empty means the name that the plugin advertises the device under.
    """

    name: str
    resource: str = ""
    holds: tuple[DeviceRef, ...] = ()
    processes: tuple[ProcessSpec, ...] = ()
    ask: Ask = field(default_factory=Ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """A pod and its life: it runs from `born` until it completes or is deleted, whichever comes first."""

    namespace: str
    name: str
    workload_kind: str
    workload: str
    containers: tuple[ContainerSpec, ...]
    born: float = 0.0
    completed: float = FOREVER
    deleted: float = FOREVER


@dataclass(frozen=True, slots=True)
class HostProcess:
    """A process of no pod."""

    process: ProcessSpec
    born: float = 0.0
    ended: float = FOREVER


class GpuSharing(StrEnum):
    """How the device plugin, or a scheduler, shares the devices of a GPU."""

    NONE = "none"
    TIME_SLICING = "time-slicing"
    MPS = "mps"
    HAMI = "hami"  # slots, whose amounts are recorded on the pods
    KAI = "kai"  # a reservation pod holds the device for the others


RESERVATIONS = "kai-resource-reservation"
"""The namespace of pods that hold a GPU for a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSpec:
    """A ResourceClaim. Its devices are those that the containers hold that ask for it."""

    namespace: str
    name: str
    dynamic: bool = False  # MIG instances are made when they are claimed, and published without a UUID
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """A GPU of the node. `mig` lists the instances at the start in order of creation; None is MIG off."""

    name: str
    board: Board
    mig: tuple[str, ...] | None = None
    sharing: GpuSharing = GpuSharing.NONE
    replicas: int = 1  # slots per device that the plugin offers now
    replicas_before: int = 1  # slots that it offered when older pods were placed
    switch_seconds: float = 0.0  # lost at every change of process under time-slicing

    @property
    def slotted(self) -> bool:
        """Whether the kubelet gives out slots of the device."""
        return self.sharing in {GpuSharing.TIME_SLICING, GpuSharing.MPS, GpuSharing.HAMI}

    @property
    def advertised(self) -> str:
        """The sharing strategy that GPU feature discovery tells: it knows of no scheduler's."""
        return str(self.sharing) if self.sharing in {GpuSharing.TIME_SLICING, GpuSharing.MPS} else "none"


class MigStrategy(StrEnum):
    """How the plugin names MIG instances."""

    NONE = "none"
    SINGLE = "single"
    MIXED = "mixed"


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """The clock is held at or below `clock_ratio` of its maximum for a reason that the physics does not produce."""

    at: float
    until: float
    gpu: str
    reason: Throttle
    clock_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCap:
    """Somebody lowers the power limit."""

    at: float
    until: float
    gpu: str
    watts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooling:
    """The air that reaches the GPU is this warm."""

    at: float
    until: float
    gpu: str
    inlet_celsius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class XidError:
    """The driver reports an XID, of an instance when one is named."""

    at: float
    gpu: str
    xid: int
    instance: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EccError:
    """Memory errors are counted on a GPU."""

    at: float
    gpu: str
    corrected: int = 0
    uncorrected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLost:
    """The GPU answers GPU_IS_LOST from `at` until a reset brings it back."""

    at: float
    until: float
    gpu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigReshape:
    """Instances are destroyed and others created; ids are reused, UUIDs are new."""

    at: float
    gpu: str
    destroy: tuple[int, ...]
    create: tuple[str, ...]


class Faulty(StrEnum):
    """What a source does wrong for a while."""

    DRIVER_HANG = "driver_hang"
    KUBELET_DOWN = "kubelet_down"
    KUBELET_SLOW = "kubelet_slow"
    API_DOWN = "api_down"
    PERMISSION_LOST = "permission_lost"


class Access(StrEnum):
    """What a permission is lost for."""

    DRIVER = "driver"  # every call
    PROCESSES = "processes"  # the driver's process lists
    PARENT_MEMORY = "parent-memory"  # memory of a GPU in MIG mode, which wants the monitor capability
    KUBELET = "kubelet"
    API = "api"
    PROCFS = "procfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A source misbehaves from `at` until `until`."""

    at: float
    until: float
    kind: Faulty
    seconds: float = 0.0  # KUBELET_SLOW: how long an answer takes
    access: Access = Access.DRIVER  # PERMISSION_LOST


Event = Throttling | PowerCap | Cooling | XidError | EccError | GpuLost | MigReshape | Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A node and its story."""

    name: str
    about: str
    node: str
    driver: str
    nvml: str
    gpus: tuple[GpuSpec, ...]
    pods: tuple[PodSpec, ...] = ()
    claims: tuple[ClaimSpec, ...] = ()
    hosts: tuple[HostProcess, ...] = ()
    events: tuple[Event, ...] = ()
    mig_strategy: MigStrategy = MigStrategy.NONE
    labels: Mapping[str, str] = field(default_factory=dict)
    gke: bool = False  # GKE's device plugin: ids by minor and instance number, its own labels and no others
    dcgm_seconds: float = 0.0  # how often a dcgm-exporter collects; 0: there is none
    exact: bool = False  # process SM shares unrounded, for tests; a driver rounds to a percent

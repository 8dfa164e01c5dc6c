"""What a node is: the values that sources yield, and the snapshot that the join makes of them.

Every value is immutable. A measured number is a `Reading`: a float, or `Missing` with a reason; it is never 0 for
unknown and never NaN. Units are those of the metric contract: seconds, bytes, hertz, watts, joules, ratios from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType

from exporter.catalogue import PartitionKey
from exporter.ids import DeviceId
from exporter.records import Claims, ClaimUse, Grant, Limit
from exporter.records import Role as Role  # noqa: PLC0414  # part of this vocabulary
from exporter.records import Sharing as Sharing  # noqa: PLC0414

GpuUuid = NewType("GpuUuid", str)
"""A whole GPU's UUID as the driver prints it, `GPU-…`."""

DeviceUuid = NewType("DeviceUuid", str)
"""A device's UUID: a whole GPU's or a MIG instance's (`MIG-…`)."""


class Reason(StrEnum):
    """Why a value is missing. The words are label values of the contract: add, never rename."""

    UNSUPPORTED = "unsupported"  # this device, driver or mode does not offer it
    PERMISSION = "permission"  # it exists, and this process may not read it
    TIMEOUT = "timeout"  # the source did not answer within its deadline
    STALE = "stale"  # the newest sample is older than its period
    SOURCE_STALE = "source_stale"  # the source's last answer is older than it is good for
    NOT_YET = "not_yet"  # a rate needs two samples, a source its first answer
    AMBIGUOUS = "ambiguous"  # two sources differ and it may be a race between them
    CONTRADICTION = "contradiction"  # readings that cannot both be true
    DEVICE_LOST = "device_lost"  # the device has fallen off or needs a reset
    HOST_PID = "host_pid"  # the driver's pids are of another pid namespace than the procfs read
    NOT_CONFIGURED = "not_configured"  # the source is switched off
    DEMAND_UNKNOWN = "demand_unknown"  # whether the tenant wanted more cannot be told
    MODEL_NOT_APPLICABLE = "model_not_applicable"  # the model of turns does not hold in this mode
    ERROR = "error"  # the source failed in a way that it did not name


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that is not known, and why."""

    reason: Reason


Reading = float | Missing


# --- what the driver says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One row of the driver's MIG profile catalogue for a board (nvmlDeviceGetGpuInstanceProfileInfo)."""

    name: str  # "2g.20gb", "1g.10gb+me"
    profile_id: int  # what `nvidia-smi mig -lgip` prints: 19, 14, 9, …
    slices: int  # compute slices of the GPU instance
    sm_count: int
    memory_bytes: int
    memory_is_own: bool = True  # False: the parent's, for all its partitions alike, and so promised to none of them


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a GPU instance lies on its GPU: its profile's id and the memory slice that it begins at. Unique at any moment."""

    profile_id: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MigInstance:
    """A MIG device: NVML's unit, which is a compute instance inside a GPU instance."""

    uuid: DeviceUuid
    index: int  # position in the parent's MIG handle list; changes on re-creation
    gpu_instance: int
    compute_instance: int
    profile: str  # as attached: text behind " MIG " in the handle's name
    sm_count: Reading  # of the compute instance
    memory_bytes: Reading  # of the GPU instance, from the handle's attributes
    kind: str = "mig"  # or "xcp": an AMD compute partition, whose memory may be another's too (decision 0008)
    placement: Placement | None = None  # None where the driver does not tell it
    names: tuple[str, ...] = ()  # what else a device plugin calls it, where that is not its UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A physical GPU as enumerated. `lost`: it was enumerated before and answers GPU_IS_LOST or RESET_REQUIRED now."""

    uuid: GpuUuid
    index: int
    minor: int | None
    model: str  # the board's name without a MIG suffix
    architecture: str  # "ampere", "hopper", …; "" when the driver does not say
    sm_count: Reading  # of the full-board MIG profile where there is one, else of the chip
    mig_current: bool | Missing  # Missing(UNSUPPORTED): a board without MIG
    mig_pending: bool | Missing
    profiles: tuple[Profile, ...] = ()
    instances: tuple[MigInstance, ...] = ()
    lost: bool = False
    names: tuple[str, ...] = ()  # what else a device plugin calls it, where that is not its UUID
    # Whether only one process, MPS's server, may have a context on it.
    exclusive_process: bool | Missing = field(default_factory=lambda: Missing(Reason.UNSUPPORTED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Every GPU and MIG device of the node. `generation` grows by one whenever the set or its attributes change."""

    driver: str
    nvml: str
    gpus: tuple[Gpu, ...] = ()
    generation: int = 0


class ProcessKind(StrEnum):
    """Which of the driver's process lists named the process; MPS before compute before graphics."""

    COMPUTE = "compute"
    GRAPHICS = "graphics"
    MPS = "mps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process on a device, as the driver lists it. A pid appears once in a device's list."""

    pid: int
    kind: ProcessKind
    memory_bytes: Reading
    sm_share: Reading  # share of the whole GPU's SM time in the last sample period; Missing under MIG


@dataclass(frozen=True, slots=True)
class EngineRun:
    """An engine's activity in several samples together, in all of whose time there ran what runs there now."""

    began: float  # the earliest that the first of them is over, monotonic seconds
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """Where readings of a device come from that are not the driver's own; each is a mean over a time that has passed."""

    source: str  # as in `slicewatch_source_up`
    began: float  # the earliest that the mean is over, monotonic seconds
    seen: float  # when it was first seen
    interval: float  # seconds that it is the mean of
    covers: bool = True  # what runs there now ran in all of that time, as far as can be told
    engine: EngineRun | None = None  # None: too few samples, or something came to run there since
    low_confidence: bool = False  # known to be too low now and then
    readings: frozenset[str] = frozenset()  # which of the device's readings


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUse:
    """The readings of one device (whole GPU or MIG instance). Ratios are relative to the device itself."""

    memory_total_bytes: Reading  # of the GPU instance under MIG
    memory_used_bytes: Reading
    memory_free_bytes: Reading
    engine_active: Reading  # GPM GRAPHICS_UTIL, else utilisation.gpu
    sm_active: Reading  # GPM SM_UTIL
    tensor_active: Reading  # GPM ANY_TENSOR_UTIL
    memory_bandwidth: Reading  # GPM DRAM_BW_UTIL, relative to the GPU instance
    utilisation: Reading  # nvmlDeviceGetUtilizationRates().gpu / 100; whole GPUs outside MIG only
    ecc_corrected: Reading  # volatile counts
    ecc_uncorrected: Reading
    processes: tuple[Process, ...] | Missing
    sampled: Sampled | None = None  # of the readings that another source gave; None: all are the driver's


class Throttle(StrEnum):
    """Clock event reasons that slow a GPU down; the words are label values of the contract."""

    APPLICATIONS_CLOCKS = "applications_clocks"  # 0x2
    SW_POWER_CAP = "sw_power_cap"  # 0x4
    HW_SLOWDOWN = "hw_slowdown"  # 0x8
    SYNC_BOOST = "sync_boost"  # 0x10
    SW_THERMAL = "sw_thermal"  # 0x20
    HW_THERMAL = "hw_thermal"  # 0x40
    HW_POWER_BRAKE = "hw_power_brake"  # 0x80
    DISPLAY = "display"  # 0x100


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """What is GPU-wide by nature: all MIG instances share clocks, power, temperature and energy."""

    sm_clock_hertz: Reading
    sm_clock_max_hertz: Reading
    power_watts: Reading
    power_limit_watts: Reading
    temperature_celsius: Reading
    energy_joules: Reading  # since the driver was loaded
    throttle: frozenset[Throttle] | Missing


@dataclass(frozen=True, slots=True)
class Xid:
    """An XID error event. Instance ids are None when the event names the whole GPU (0xFFFFFFFF)."""

    gpu: GpuUuid
    xid: int
    gpu_instance: int | None = None
    compute_instance: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverReading:
    """One reading of the driver: inventory, use, and the events since the last reading. `at` is monotonic seconds."""

    at: float
    inventory: Inventory
    gpus: Mapping[GpuUuid, GpuUse]
    devices: Mapping[DeviceUuid, DeviceUse]  # keyed by GPU uuid for a whole GPU, MIG uuid for an instance
    events: tuple[Xid, ...] = ()
    gpm: bool | Missing = False  # whether GPM answered for at least one device


# --- what the kubelet says --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allocation:
    """One device id that the kubelet says a container holds (PodResources List, NUMA duplicates removed)."""

    namespace: str
    pod: str
    container: str
    resource: str
    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocations:
    """One answer of the kubelet. `serial` grows with every fresh answer.

    `allocatable` is the last GetAllocatableResources: the device ids that the plugin offers, from which replica counts
    are read; Missing when that call was refused.
    """

    serial: int
    items: tuple[Allocation, ...]
    allocatable: tuple[tuple[str, DeviceId], ...] | Missing  # (resource name, id)


# --- what the API server says -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of this node, slimmed to what the join uses."""

    uid: str
    namespace: str
    name: str
    phase: str  # Pending, Running, Succeeded, Failed, Unknown
    workload_kind: str = ""  # Deployment, StatefulSet, Job, …; "Pod" for a bare one
    workload: str = ""
    containers: frozenset[str] = frozenset()
    ended_containers: frozenset[str] = frozenset()  # terminated, and not to be restarted
    container_ids: Mapping[str, str] = field(default_factory=dict)  # 64 hex digits → container name
    config_hash: str = ""  # a static pod's cgroup carries this instead of the uid
    ip: str = ""  # status.podIP; the node's own on the host network
    labels: Mapping[str, str] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()  # as recorded on the pod
    claim_uses: tuple[ClaimUse, ...] = ()

    @property
    def terminal(self) -> bool:
        """A Succeeded or Failed pod holds nothing, whatever an old kubelet's List says."""
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """The pod store of this node and the node's own labels."""

    items: tuple[Pod, ...]
    deleted: frozenset[str] = frozenset()  # uids seen deleted lately (tombstones)
    node_labels: Mapping[str, str] | Missing = field(default_factory=lambda: Missing(Reason.NOT_YET))
    claims: Claims | Missing = field(default_factory=lambda: Missing(Reason.NOT_CONFIGURED))


# --- what procfs says -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CgroupPod:
    """A pod that a cgroup path names: the uid (dashes, or a static pod's 32 hex digits) and the container id."""

    pod_uid: str
    container_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """Who a pid is. `pods` lists every pod its cgroup path names, deepest first; empty for a host process."""

    pid: int
    command: str  # /proc/<pid>/comm
    started: int  # field 22 of stat, clock ticks since boot: tells a reused pid apart
    pods: tuple[CgroupPod, ...]


ProcessTable = Mapping[int, ProcessFacts]
"""Facts by pid; a pid that has exited, or is of another namespace, is not in it."""


# --- what the join makes of it ----------------------------------------------------------------------------------------


class DeviceState(StrEnum):
    """Whether the device that a partition holds is there."""

    PRESENT = "present"
    LOST = "lost"  # GPU_IS_LOST, RESET_REQUIRED
    MISSING = "missing"  # the driver answers and does not list it
    RECONFIGURED = "reconfigured"  # its GPU is there with another MIG layout
    UNKNOWN = "unknown"  # the driver does not answer


class Relation(StrEnum):
    """What a process is to the holders of the device it runs on."""

    OWNER = "owner"  # of a container that holds the device
    POD = "pod"  # of another container of a pod that holds it
    ROGUE = "rogue"  # of a pod that holds no partition on it
    ALLOWED = "allowed"  # on the allow-list
    HOST = "host"  # of no pod
    UNKNOWN = (
        "unknown"  # not in procfs (exited since, or of another pid namespace), or of a pod that is not in the store
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A process on a device with its relation to the holders; `holder` when it belongs to one."""

    process: Process
    command: str
    relation: Relation
    holder: PartitionKey | None = None
    namespace: str = ""
    pod: str = ""
    settled: bool = True  # False for a stranger seen for the first time: it may be a race between sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a partition. `pod_uid` and the workload are empty when no API server tells them."""

    namespace: str
    pod: str
    container: str
    pod_uid: str = ""
    workload_kind: str = ""
    workload: str = ""
    role: Role = Role.WORKLOAD


class PromiseClass(StrEnum):
    """How firmly a dimension is promised; the words are label values of the contract."""

    ISOLATED = "isolated"
    HARD_CAP = "hard_cap"
    SOFT_CAP = "soft_cap"
    DECLARED = "declared"
    NONE = "none"


class Enforcer(StrEnum):
    """Who keeps a promise."""

    HARDWARE = "hardware"
    MPS = "mps"
    HOOK = "hook"
    SCHEDULER = "scheduler"
    NOBODY = "nobody"


class PromiseSource(StrEnum):
    """Where a promise was read."""

    CLAIM = "claim"
    ANNOTATION = "annotation"
    PLUGIN_CONFIG = "plugin_config"
    RESOURCE_NAME = "resource_name"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """One dimension's promise. `amount`: share of the parent GPU's SM time (compute), or bytes (memory).

    Missing: a promise exists and its size could not be read.
    """

    amount: Reading
    klass: PromiseClass
    enforcer: Enforcer
    source: PromiseSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a partition was promised; None where nothing is promised in that dimension."""

    compute: Promised | None = None
    memory: Promised | None = None


UNREAD: Final = Promise()
"""The promise of a partition that has just been joined; `exporter.promise` reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of the snapshot with its readings. A whole GPU's `gpu` equals its `uuid`."""

    gpu: GpuUuid
    uuid: DeviceUuid
    kind: str  # "gpu" or "mig"
    index: str  # "0" or "0:3"
    model: str
    profile: str = ""
    gpu_instance: int | None = None
    compute_instance: int | None = None
    sm_count: Reading
    attached_memory_bytes: Reading  # a MIG instance's by its attributes, a whole GPU's total
    use: DeviceUse
    shows_memory: bool = True  # False on the higher compute instances of one GPU instance
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A lease on a device, with its owner; what the product is about.

    `device` and `gpu` are the last known state, None when never seen. `consumers` are the processes that belong to this
    partition. `holders` counts the slots that all partitions of this device hold, `replicas` the slots that the plugin
    offers. `doubt` is why nothing about the partition can be told now, None when it can.
    """

    key: PartitionKey
    owner: Owner
    resource: str
    sharing: Sharing
    slots: int
    promised_profile: str
    profile_source: PromiseSource
    state: DeviceState
    doubt: Reason | None
    device: Device | None
    gpu: Gpu | None
    replicas: Reading
    holders: int
    consumers: tuple[Consumer, ...] | Missing
    used_compute: Reading  # share of the parent GPU
    used_memory_bytes: Reading
    obtainable_memory_bytes: Reading
    promise: Promise = UNREAD
    grant: Grant | None = None  # the record that the promise is read from, where there is one
    underlying: Sharing | None = None  # of a claim's device: how that is divided
    joint: int = 1  # how many partitions share this one promise
    limit: Limit | Missing = field(default_factory=lambda: Missing(Reason.UNSUPPORTED))
    illegible: Reason | None = None  # why its record cannot be read

    @property
    def mode(self) -> Sharing:
        """How the device is divided among its holders, whoever gave it out."""
        return self.sharing if self.underlying is None else self.underlying


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """A GPU of the snapshot: its inventory entry and the GPU-wide readings."""

    gpu: Gpu
    use: GpuUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One instant of the node, joined. Every list is sorted by key, so that equal worlds make equal pages."""

    node: str
    at: float
    driver: str
    nvml: str
    gpus: tuple[GpuState, ...]
    devices: tuple[Device, ...]
    partitions: tuple[Partition, ...]
    consumers: Mapping[DeviceUuid, tuple[Consumer, ...] | Missing]  # every process of a device, owned or not
    orphans: Mapping[str, int]  # kind → how many could not be placed; a kind that cannot be told is not in it
    events: tuple[Xid, ...] = ()
    doubt: Reason | None = None  # why the driver told nothing at this instant
    declared: Mapping[tuple[str, str], bool | Missing] = field(
        default_factory=dict
    )  # (namespace, pod) → work is waiting
    refused: Mapping[str, int] = field(default_factory=dict)  # check → values refused before the join
    misnamed: Mapping[DeviceUuid, int] = field(
        default_factory=dict
    )  # pods that another source wrongly says hold a device
    mig_config: str = ""  # what the node's labels say of a MIG reconfiguration under way: pending, rebooting or failed
    found: frozenset[tuple[str, str]] = frozenset()  # what orphans count, by kind and by what it is about

"""What the fake driver can be told to be, as frozen values; `encode` writes them, `reading` derives them.

Units are NVML's own, because this is the driver's side of the interface: MHz, milliwatts, millijoules, whole percent,
bytes (MiB where NVML says MB). A value that the driver refuses is `Refused(code)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """The nvmlReturn_t values that the scenarios use (nvml.h)."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    NO_DATA = 21
    ARGUMENT_VERSION_MISMATCH = 25
    UNKNOWN = 999


@dataclass(frozen=True, slots=True)
class Refused:
    """The driver answers this nvmlReturn_t instead of a value."""

    code: int = Code.NOT_SUPPORTED


Value = int | Refused

NOT_SUPPORTED = Refused(Code.NOT_SUPPORTED)

EVENT_XID = 0x8
EVENT_MIG_CONFIG = 0x100
WHOLE_GPU = 0xFFFFFFFF
"""The instance id of an event or a process that belongs to no MIG instance."""

GPM_GRAPHICS, GPM_SM, GPM_OCCUPANCY, GPM_TENSOR, GPM_DRAM = 1, 2, 3, 5, 10
"""nvmlGpmMetricId_t of the metrics that the exporter reads, in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeMemory:
    """Bytes. The v1 call reports `used + reserved` as used, the v2 call reports them apart, as the header documents."""

    total: int
    used: int = 0
    free: int | None = None  # None: what is left
    reserved: int = 0

    @property
    def left(self) -> int:
        """Bytes free: as told, else the rest."""
        return self.total - self.used - self.reserved if self.free is None else self.free


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeProfile:
    """A row of the board's GPU instance profile catalogue. `index` is NVML_GPU_INSTANCE_PROFILE_*, not the id."""

    index: int
    profile_id: int
    name: str
    slices: int
    sm_count: int
    memory_mib: int
    max_instances: int = 1
    engines: tuple[int, int, int, int, int] = (1, 0, 0, 0, 0)  # copy, decode, encode, jpeg, optical flow


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeProcess:
    """A process on a device. `sm` and `mem` are percent of the last sample period; 0 and 0: no utilisation sample.

    `sampled_at_us` is the sample's time stamp (CPU microseconds since 1970); None: a fresh one at every call.
    `memory_bytes` None: the driver says "not available".
    """

    pid: int
    kind: str = "compute"  # compute, graphics, mps
    memory_bytes: int | None = 0
    sm: int = 0
    mem: int = 0
    sampled_at_us: int | None = None


Processes = tuple[FakeProcess, ...] | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeGpuInstance:
    """A GPU instance: what its compute instances share. One without a compute instance has no MIG handle."""

    id: int
    profile_id: int
    start: int = 0  # placement, in memory slices
    size: int = 1
    memory: FakeMemory | Refused = NOT_SUPPORTED
    bar1: FakeMemory | Refused = NOT_SUPPORTED
    gpm: Mapping[int, float | Refused] = field(default_factory=dict)  # metric id → percent; NaN is passed through


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeInstance:
    """A MIG device: a compute instance. `gpm` overrides the GPU instance's values for samples of the MIG handle."""

    uuid: str
    index: int
    gpu_instance: int
    compute_instance: int = 0
    profile: str  # text behind " MIG " in the handle's name
    sm_count: Value = 0
    memory_mib: Value = 0  # of the GPU instance, as in the handle's attributes
    gpu_instance_slices: int = 1
    compute_instance_slices: int = 1
    engines: tuple[int, int, int, int, int] = (1, 0, 0, 0, 0)
    ecc_uncorrected_sram: Value = 0
    processes: Processes = ()
    gpm: Mapping[int, float | Refused] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeGpu:
    """A board. Its index is its place in `FakeDriver.gpus`.

    `lost` is 0, or GPU_IS_LOST (every call on it, its handle look-up too) or RESET_REQUIRED (every call but those
    that only name the board). `mig_current` Refused: a board without MIG. `fields` overrides nvmlDeviceGetFieldValues.
    """

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    minor: Value = 0
    pci_bus_id: str = "00000000:01:00.0"
    architecture: Value = 9
    compute_capability: tuple[int, int] | Refused = (9, 0)
    cores: Value = 132 * 128
    mig_current: Value = NOT_SUPPORTED
    mig_pending: Value = NOT_SUPPORTED
    max_mig_devices: int = 7
    memory: FakeMemory | Refused = field(default_factory=lambda: FakeMemory(total=81559 << 20, reserved=479 << 20))
    bar1: FakeMemory | Refused = field(default_factory=lambda: FakeMemory(total=128 << 30, used=1 << 20))
    utilisation: Value = 0
    memory_utilisation: Value = 0
    sm_clock: Value = 345
    memory_clock: Value = 2619
    sm_clock_max: Value = 1980
    memory_clock_max: Value = 2619
    power_mw: Value = 70_000
    power_limit_mw: Value = 700_000
    temperature: Value = 30
    energy_mj: Value = 1_000_000
    throttle: Value = 1  # nvmlClocksEventReason bits; 1 is idle
    ecc_mode: Value = 1
    ecc_corrected: Value = 0  # volatile totals; the SRAM counts are parts of them
    ecc_uncorrected: Value = 0
    ecc_corrected_sram: Value = 0
    ecc_uncorrected_sram: Value = 0
    remapped_rows: tuple[int, int, int, int] | Refused = (0, 0, 0, 0)
    compute_mode: Value = 0
    persistence: Value = 1
    event_types: Value = 0x1 | 0x2 | 0x8 | 0x10 | EVENT_MIG_CONFIG
    gpm_supported: bool = False
    gpm: Mapping[int, float | Refused] = field(default_factory=dict)
    fields: Mapping[int, Value] = field(default_factory=dict)
    profiles: tuple[FakeProfile, ...] = ()
    gpu_instances: tuple[FakeGpuInstance, ...] = ()
    instances: tuple[FakeInstance, ...] = ()
    processes: Processes = ()
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeEvent:
    """A queued event. `sequence` grows for ever; a process is given each once, on the set that its GPU is registered on.

    Unlike a real driver's, an event that was queued before the set was made is delivered too, so that a test can write
    one state and read it.
    """

    sequence: int
    gpu: str
    type: int = EVENT_XID
    data: int = 0
    gpu_instance: int = WHOLE_GPU
    compute_instance: int = WHOLE_GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a call, by the C symbol's name ("*": all); exactly one of `code`, `hang` and `delay_us`.

    `device` limits it to one UUID; a GPU's UUID covers the handles of its MIG devices too. A call that hangs goes on
    when a state without the fault is written.
    """

    call: str
    code: int = 0
    hang: bool = False
    delay_us: int = 0
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Everything that is wrong with the driver. `init`: what nvmlInit answers; `latency_us`: added to every call."""

    init: int = 0
    latency_us: int = 0
    calls: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDriver:
    """The whole machine.

    `privileged`: root, or the MIG monitor capability. `gpm_window_us`: least age of a GPM baseline. `profile_prefix`
    stands before a profile's name in the catalogue: nvidia-smi prints one, the header says nothing, so a reader has to
    take both spellings.
    """

    gpus: tuple[FakeGpu, ...] = ()
    driver: str = "590.48.01"
    nvml: str = "13.590.48.01"
    cuda: int = 13010
    privileged: bool = True
    gpm_window_us: int = 100_000
    gpm_on_mig_handles: bool = True
    profile_prefix: str = "MIG "

    def changed(self, uuid: str, **changes: Any) -> FakeDriver:
        """Return this driver with fields of one GPU replaced. Raises KeyError for an unknown GPU."""
        if uuid not in {gpu.uuid for gpu in self.gpus}:
            raise KeyError(uuid)
        return replace(self, gpus=tuple(replace(gpu, **changes) if gpu.uuid == uuid else gpu for gpu in self.gpus))

    events: tuple[FakeEvent, ...] = ()
    faults: Faults = field(default_factory=Faults)

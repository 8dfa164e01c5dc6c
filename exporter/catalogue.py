"""The contract: every metric as data, with label keys that are types.

This is the one module that `slo`, `dashboards` and `alerts` may import; it imports nothing but the standard library.
A metric is called with a key of its own type and a number: mypy rejects a wrong or short label set, and nothing that is
not listed in `METRICS` can reach the page (`exporter.exposition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar


class Kind(StrEnum):
    """Prometheus metric types that the contract uses."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


# The fields of a key are the label names, in the order in which they are printed.


class NoKey(NamedTuple):
    """No labels."""


class GpuKey(NamedTuple):
    """G: the parent GPU's UUID."""

    gpu: str


class DeviceKey(NamedTuple):
    """D: a whole GPU (`device` equals `gpu`) or a MIG instance."""

    gpu: str
    device: str


class DeviceInfoKey(NamedTuple):
    """D and what describes the device."""

    gpu: str
    device: str
    node: str
    position: str  # printed as `index`, which is a method of every tuple
    model: str
    kind: str
    profile: str
    gpu_instance: str
    compute_instance: str
    driver: str


class ThrottleKey(NamedTuple):
    """G and a clock event reason."""

    gpu: str
    reason: str


class XidKey(NamedTuple):
    """D and an XID number; `device` is the GPU's UUID when the event names the whole GPU."""

    gpu: str
    device: str
    xid: str


class EccKey(NamedTuple):
    """D and `corrected` or `uncorrected`."""

    gpu: str
    device: str
    kind: str


class StateKey(NamedTuple):
    """G and what a GPU-second was."""

    gpu: str
    state: str


class PartitionKey(NamedTuple):
    """P: a container's lease on a device."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str


class PartitionInfoKey(NamedTuple):
    """P and what describes the partition."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    node: str
    pod_uid: str
    workload_kind: str
    workload: str
    resource: str
    sharing: str
    slots: str
    profile: str


class PromiseInfoKey(NamedTuple):
    """P and one dimension's promise in words."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    dimension: str
    klass: str  # printed as `class`, which no field may be called
    enforcer: str
    source: str


class OutcomeKey(NamedTuple):
    """P, a guarantee and an outcome."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    guarantee: str
    outcome: str


class CauseKey(NamedTuple):
    """P, a guarantee and a cause of loss."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    guarantee: str
    cause: str


class NeighbourKey(NamedTuple):
    """P, a guarantee and the neighbour that took the share."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    guarantee: str
    neighbour_namespace: str
    neighbour_pod: str


class BlindKey(NamedTuple):
    """P, a guarantee and why it could not be told."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    guarantee: str
    reason: str


class ShareKey(NamedTuple):
    """P and which integral of the share."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    kind: str


class EvidenceKey(NamedTuple):
    """P and the evidence that decided whether the tenant wanted time."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    evidence: str


class SourceKey(NamedTuple):
    """A source of readings."""

    source: str


class OrphanKey(NamedTuple):
    """A kind of thing that the join could not place."""

    kind: str


class CheckKey(NamedTuple):
    """A contradiction check."""

    check: str


class BuildKey(NamedTuple):
    """What this program is."""

    version: str
    python: str
    nvml: str


K = TypeVar("K", bound=tuple[str, ...])
K_co = TypeVar("K_co", bound=tuple[str, ...], covariant=True)

_PRINTED = {"klass": "class", "position": "index"}


@dataclass(frozen=True, slots=True)
class Metric(Generic[K_co]):
    """One metric family of the contract. `absent` says, for the reader of the documentation, when it has no series."""

    name: str
    kind: Kind
    key: type[K_co]
    help: str
    absent: str = ""
    buckets: tuple[float, ...] = ()  # upper bounds in the metric's unit, without +Inf; histograms only

    @property
    def label_names(self) -> tuple[str, ...]:
        """Label names in the order in which they are printed."""
        fields: tuple[str, ...] = self.key._fields  # type: ignore[attr-defined]  # every K is a NamedTuple
        return tuple(_PRINTED.get(name, name) for name in fields)


GUARANTEES = ("availability", "conformance", "memory", "compute", "isolation")
OUTCOMES = ("kept", "broken", "idle", "blind")
SHARE_KINDS = ("promised", "delivered", "borrowed")
ACCOUNT_STATES = ("delivered", "borrowed", "idle_held", "unsold", "switching", "blind")

_G, _C, _H = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM
_UNREADABLE = "The driver refuses it for this device (the reason is in `/snapshot`)."
_READ_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)
_TICK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)

DEVICE_INFO = Metric("gpu_device_info", _G, DeviceInfoKey, "A GPU or MIG instance of this node; always 1.")
DEVICE_MEMORY_TOTAL = Metric(
    "gpu_device_memory_total_bytes",
    _G,
    DeviceKey,
    "Memory of the device as it reports it, once per GPU instance.",
    _UNREADABLE,
)
DEVICE_MEMORY_USED = Metric(
    "gpu_device_memory_used_bytes",
    _G,
    DeviceKey,
    "Memory in use as the device reports it, once per GPU instance.",
    _UNREADABLE,
)
DEVICE_SM_COUNT = Metric("gpu_device_sm_count", _G, DeviceKey, "Streaming multiprocessors of the device.", _UNREADABLE)
DEVICE_ENGINE_ACTIVE = Metric(
    "gpu_device_engine_active_ratio",
    _G,
    DeviceKey,
    "Part of the last interval in which any compute or graphics work ran, relative to the device.",
    "No GPM (before Hopper), MIG is on, and no dcgm-exporter tells it; on the first tick.",
)
DEVICE_SM_ACTIVE = Metric(
    "gpu_device_sm_active_ratio",
    _G,
    DeviceKey,
    "Part of the device's SM cycles with a warp resident.",
    "No GPM (before Hopper), and no dcgm-exporter tells it.",
)
DEVICE_TENSOR_ACTIVE = Metric(
    "gpu_device_tensor_active_ratio",
    _G,
    DeviceKey,
    "Part of the device's cycles in which a tensor pipe was active.",
    "No GPM (before Hopper), and no dcgm-exporter tells it.",
)
DEVICE_MEMORY_BANDWIDTH = Metric(
    "gpu_device_memory_bandwidth_ratio",
    _G,
    DeviceKey,
    "Part of the device's peak memory bandwidth in use.",
    "No GPM (before Hopper), and no dcgm-exporter tells it.",
)
DEVICE_SM_CLOCK = Metric(
    "gpu_device_sm_clock_hertz", _G, GpuKey, "SM clock; shared by all instances of the GPU.", _UNREADABLE
)
DEVICE_SM_CLOCK_MAX = Metric("gpu_device_sm_clock_max_hertz", _G, GpuKey, "Highest SM clock of the board.", _UNREADABLE)
DEVICE_POWER = Metric("gpu_device_power_watts", _G, GpuKey, "Power draw of the board.", _UNREADABLE)
DEVICE_POWER_LIMIT = Metric(
    "gpu_device_power_limit_watts", _G, GpuKey, "Enforced power limit of the board.", _UNREADABLE
)
DEVICE_TEMPERATURE = Metric("gpu_device_temperature_celsius", _G, GpuKey, "Temperature of the GPU.", _UNREADABLE)
DEVICE_ENERGY = Metric(
    "gpu_device_energy_joules_total", _C, GpuKey, "Energy of the board, the driver's counter.", _UNREADABLE
)
DEVICE_THROTTLED = Metric(
    "gpu_device_throttled_seconds_total",
    _C,
    ThrottleKey,
    "Time in which the clocks were held down for this reason, integrated from event reasons.",
)
DEVICE_XID = Metric(
    "gpu_device_xid_errors_total",
    _C,
    XidKey,
    "XID errors seen; device is the GPU when the event names no instance.",
    "No XID seen.",
)
DEVICE_ECC = Metric("gpu_device_ecc_errors_total", _C, EccKey, "ECC errors, the driver's volatile counts.", _UNREADABLE)

PARTITION_INFO = Metric("gpu_partition_info", _G, PartitionInfoKey, "Who holds what; always 1.")
PROMISE_INFO = Metric(
    "gpu_partition_promise_info",
    _G,
    PromiseInfoKey,
    "What was promised, by whom it is kept and where it was read; always 1.",
)
PROMISED_COMPUTE = Metric(
    "gpu_partition_promised_compute_ratio",
    _G,
    PartitionKey,
    "Promised share of the parent GPU's SM time.",
    "Nothing is promised, or its size cannot be read.",
)
PROMISED_MEMORY = Metric(
    "gpu_partition_promised_memory_bytes",
    _G,
    PartitionKey,
    "Promised memory.",
    "Nothing is promised, or its size cannot be read.",
)
ENTITLED_COMPUTE = Metric(
    "gpu_partition_entitled_compute_ratio",
    _G,
    PartitionKey,
    "Share that the tenant's demand entitles it to now, at most the promise.",
    "Demand is unknown.",
)
DELIVERED_COMPUTE = Metric(
    "gpu_partition_delivered_compute_ratio",
    _G,
    PartitionKey,
    "Share of the parent GPU that the partition gets, as judged.",
    "Idle or blind.",
)
USED_COMPUTE = Metric(
    "gpu_partition_used_compute_ratio",
    _G,
    PartitionKey,
    "Measured use as a share of the parent GPU's SM time.",
    "It cannot be measured.",
)
USED_MEMORY = Metric(
    "gpu_partition_used_memory_bytes",
    _G,
    PartitionKey,
    "Memory in use by the partition: the device's when exclusive, the sum of its processes when shared.",
    "It cannot be measured.",
)
OBTAINABLE_MEMORY = Metric(
    "gpu_partition_obtainable_memory_bytes",
    _G,
    PartitionKey,
    "Memory in use by the partition plus what is still free to it.",
    "It cannot be measured.",
)
PARTITION_PROCESSES = Metric(
    "gpu_partition_processes",
    _G,
    PartitionKey,
    "Processes of the partition on its device.",
    "Processes cannot be seen, or one on the device cannot be placed.",
)
GUARANTEE_SECONDS = Metric(
    "gpu_partition_guarantee_seconds_total",
    _C,
    OutcomeKey,
    "Time by outcome of a guarantee; the four outcomes sum to the partition's age.",
)
LOST_SECONDS = Metric(
    "gpu_partition_lost_seconds_total",
    _C,
    CauseKey,
    "Seconds of promise lost, by cause; the causes sum to the loss.",
    "That cause has taken nothing yet.",
)
LOST_TO_NEIGHBOUR = Metric(
    "gpu_partition_lost_to_neighbour_seconds_total",
    _C,
    NeighbourKey,
    "The cause neighbour of lost_seconds, by neighbour.",
    "No neighbour has taken anything yet.",
)
BLIND_SECONDS = Metric(
    "gpu_partition_blind_seconds_total",
    _C,
    BlindKey,
    "The outcome blind of guarantee_seconds, by reason.",
    "Never blind for that reason.",
)
SHARE_SECONDS = Metric(
    "gpu_partition_share_seconds_total",
    _C,
    ShareKey,
    "Integral of the share: promised, delivered up to the promise, borrowed above it.",
)
PARTITION_ENERGY = Metric(
    "gpu_partition_energy_joules_total",
    _C,
    PartitionKey,
    "Energy attributed to the partition: active part by use, idle part by promise.",
)
ACCOUNTED_SECONDS = Metric(
    "gpu_accounted_seconds_total", _C, StateKey, "Where each GPU-second went; one second a second in sum."
)
DEMAND_INFO = Metric(
    "gpu_partition_demand_info",
    _G,
    EvidenceKey,
    "The evidence that decided last whether the tenant wanted time; always 1.",
)

SOURCE_UP = Metric(
    "slicewatch_source_up",
    _G,
    SourceKey,
    "Whether the source answered within its deadline and its answer is still good.",
)
SOURCE_READ_DURATION = Metric(
    "slicewatch_source_read_duration_seconds", _H, SourceKey, "Duration of reads of a source.", buckets=_READ_BUCKETS
)
SOURCE_LAST_SUCCESS = Metric(
    "slicewatch_source_last_success_timestamp_seconds",
    _G,
    SourceKey,
    "Unix time of the last good answer.",
    "It has never answered.",
)
ORPHANS = Metric("slicewatch_orphans", _G, OrphanKey, "What the join could not place, by kind.")
UNTRUSTED = Metric("slicewatch_untrusted_readings_total", _C, CheckKey, "Readings that a contradiction check refused.")
TICK_DURATION = Metric(
    "slicewatch_tick_duration_seconds",
    _H,
    NoKey,
    "Duration of a tick, the wait for sources included.",
    buckets=_TICK_BUCKETS,
)
BUILD_INFO = Metric("slicewatch_build_info", _G, BuildKey, "What runs here; always 1.")

METRICS: tuple[Metric[tuple[str, ...]], ...] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Metric)
)
"""Every metric of the contract, in the order of the page."""

FOREIGN_PREFIXES = ("process_", "python_")
"""Families of the client library that may stand on the page beside the contract."""

ORPHAN_KINDS = (
    "unresolved_device_id",
    "unowned_device",
    "missing_device",
    "rogue_process",
    "host_process",
    "unknown_process",
    "conflict",
    "terminal_pod",
    "unknown_pod",
    "unoffered_device",
    "stale_offer",
    "overruled_device_id",
    "unknown_claim",
    "unclaimed_device",
    "unprepared_claim",
    "misprepared_claim",
    "over_series_limit",
)
"""Kinds of `slicewatch_orphans`. A kind stands on the page when the sources can tell it, at 0 if there is none; the last only
while the page is full."""

CHECKS = (
    "engine_idle_utilisation_high",
    "ratio_above_one",
    "process_memory_above_device",
    "copied_to_tenants",
    "counter_backwards",
    "sample_stale",
)
"""Contradiction checks of `slicewatch_untrusted_readings_total`."""

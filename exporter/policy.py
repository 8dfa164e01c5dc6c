"""The tolerances and lists that judging depends on; the defaults are those of the contract.

A site may change them in a policy file (`exporter.policyfile`); this module holds what such a file means, and the pure
function that applies its promise overrides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from exporter.model import (
    Enforcer,
    Missing,
    Partition,
    Promise,
    PromiseClass,
    Promised,
    PromiseSource,
    Reading,
    Reason,
    Sharing,
)

FATAL_XIDS = frozenset({48, 62, 64, 74, 79, 95, 119, 120, 140, 143})
"""XIDs after which work on the device cannot go on (docs/design.md section 5, fine print)."""

ALLOWED_COMMANDS = frozenset(
    {
        "nvidia-cuda-mps-server",
        "nvidia-cuda-mps-control",
        "nv-hostengine",
        "nvidia-persistenced",
        "dcgm-exporter",
        "Xorg",
    }
)
SYSTEM_NAMESPACES = frozenset({"kube-system", "gpu-operator", "nvidia-gpu-operator", "nvidia-device-plugin"})

DECLARED_SHARING = frozenset({Sharing.TIME_SLICING, Sharing.KAI})
"""Modes whose promises nobody keeps, so that a site may say what they are worth (docs/design.md section 3)."""

COMM_LENGTH = 15
"""The kernel cuts `comm` to 15 bytes (TASK_COMM_LEN), so `nvidia-cuda-mps-server` reads `nvidia-cuda-mps`."""


class Off(Enum):
    """The word `off`: that dimension is not promised at all."""

    OFF = "off"


OFF = Off.OFF


@dataclass(frozen=True, slots=True)
class Bytes:
    """An amount of memory."""

    amount: float


@dataclass(frozen=True, slots=True)
class Fraction:
    """A part of the attached device's memory, above 0 and at most 1."""

    of_device: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which partitions an override is for. Texts are shell patterns (`team-*`); an empty tuple matches everything.

    A workload is written `Deployment/name`, or `name` for whatever kind. A partition whose workload is not known (no
    API server) is matched by no workload.
    """

    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    sharing: frozenset[Sharing] = frozenset()

    def matches(self, partition: Partition) -> bool:
        """Whether the override is for this partition."""
        owner = partition.owner
        return (
            _any(self.resources, partition.resource)
            and _any(self.namespaces, owner.namespace)
            and _workload(self.workloads, owner.workload_kind, owner.workload)
            and (not self.sharing or partition.sharing in self.sharing)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What the matching partitions' declared promises are instead; None leaves a dimension as it is.

    `compute` is a share of the parent GPU's SM time, above 0 and at most 1.
    """

    when: Selector
    compute: float | Off | None = None
    memory: Bytes | Fraction | Off | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSignal:
    """A metric by which a workload says itself that work is waiting.

    The pod's page at `port` and `path` is read; the workload is backlogged while any sample of `metric` with these
    labels is above `above`.
    """

    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # of the pod; all must be equal
    workloads: tuple[str, ...] = ()
    port: int
    path: str = "/metrics"
    metric: str
    match: Mapping[str, str] = field(default_factory=dict)  # labels of the sample; all must be equal
    above: float = 0.0

    def applies(self, namespace: str, kind: str, workload: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod of this workload with these labels serves the signal."""
        return (
            _any(self.namespaces, namespace)
            and _workload(self.workloads, kind, workload)
            and all(labels.get(name) == value for name, value in self.labels.items())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is tolerated, what is promised beyond the nodes' own word, and who may run without holding a device.

    Times are seconds; tolerances and thresholds are ratios.
    """

    compute_tolerance: float = 0.10
    memory_tolerance: float = 0.02
    busy_threshold: float = 0.05  # engine activity from which an exclusive device's tenant is taken to want it
    reference_clock: float = 0.6  # part of the highest SM clock that is promised
    compute_window: float = 20.0
    appetite_seconds: float = 600.0  # for which a tenant's share alone on the device is remembered
    xid_seconds: float = 60.0
    fatal_xids: frozenset[int] = FATAL_XIDS
    hold_ticks: int = 2
    hold_joins: int = 2
    time_slicing_memory_fair: bool = False
    allowed_commands: frozenset[str] = ALLOWED_COMMANDS
    system_namespaces: frozenset[str] = SYSTEM_NAMESPACES
    demand_signals: tuple[DemandSignal, ...] = ()
    overrides: tuple[Override, ...] = ()

    def allows(self, command: str, namespace: str | None) -> bool:
        """Whether a process of this name may run on any device; `namespace` is None outside pods.

        A tenant's process that merely bears the name is not allowed by it: only host processes and pods of system
        namespaces are.
        """
        if namespace is not None and namespace not in self.system_namespaces:
            return False
        return any(command in {name, name[:COMM_LENGTH]} for name in self.allowed_commands)


def overridden(promise: Promise, partition: Partition, policy: Policy) -> Promise:
    """Return the promise with the policy's overrides in it; the first override that sets a dimension decides it.

    Only declared promises give way, and only the declared modes can be promised more than they say themselves: what
    hardware, MPS or a hook keeps is a fact that no policy changes.
    """
    compute: float | Off | None = None
    memory: Bytes | Fraction | Off | None = None
    for override in policy.overrides:
        if override.when.matches(partition):
            compute = override.compute if compute is None else compute
            memory = override.memory if memory is None else memory
    return Promise(
        compute=_replaced(promise.compute, compute, partition),
        memory=_replaced(promise.memory, _memory(memory, partition), partition),
    )


def _replaced(promised: Promised | None, amount: Reading | Off | None, partition: Partition) -> Promised | None:
    yields = partition.sharing in DECLARED_SHARING if promised is None else promised.klass is PromiseClass.DECLARED
    if amount is None or not yields:
        return promised
    if isinstance(amount, Off):
        return None
    # Class and enforcer stay: a policy can want a promise, it cannot keep one.
    return Promised(amount=amount, klass=PromiseClass.DECLARED, enforcer=Enforcer.NOBODY, source=PromiseSource.POLICY)


def _memory(written: Bytes | Fraction | Off | None, partition: Partition) -> Reading | Off | None:
    if written is None or isinstance(written, Off):
        return written
    if isinstance(written, Bytes):
        return written.amount
    total = Missing(Reason.NOT_YET) if partition.device is None else partition.device.attached_memory_bytes
    return total if isinstance(total, Missing) else written.of_device * total


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


def _workload(patterns: tuple[str, ...], kind: str, name: str) -> bool:
    if not patterns:
        return True
    if not name:
        return False
    return any(fnmatchcase(f"{kind}/{name}" if "/" in pattern else name, pattern) for pattern in patterns)

"""What `slicewatch lint` reasons about: a plan read from manifests, a node read from its exporter, and findings.

Everything is parsed once at the edge (`exporter.lint.manifests`, `exporter.lint.snapshot`); the rules see only these values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from exporter.model import Sharing
from exporter.policy import Policy

T = TypeVar("T")


class Severity(StrEnum):
    """How bad a finding is, worst first. All but notes make the exit status 1."""

    IMPOSSIBLE = "impossible"  # the promise cannot be kept, whatever anybody does
    UNENFORCED = "unenforced"  # nobody keeps it
    LEAKING = "leaking"  # it is kept for less than what it was made for
    BYPASSED = "bypassed"  # somebody is past the point where it is kept
    CONDITIONAL = "conditional"  # it is kept at times, or it cannot be told from here
    NOTE = "note"  # it holds, and is less than it looks like


CODES: Mapping[Severity, str] = {
    Severity.IMPOSSIBLE: "CANNOT HOLD",
    Severity.UNENFORCED: "NOBODY ENFORCES",
    Severity.LEAKING: "LEAKS",
    Severity.BYPASSED: "BYPASSES",
    Severity.CONDITIONAL: "CONDITIONAL",
    Severity.NOTE: "NOTE",
}
"""The words of the human table."""


def counted(number: float, noun: str) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule has found. `where` is `file:line`, or the node and its device."""

    where: str
    what: str  # who asks for what
    why: str  # why that does not hold
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding under its rule's name and severity."""

    rule: str
    severity: Severity
    found: Found


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """One rule about a plan or a node. Its function's docstring says what is found, and the source of the fact."""

    name: str
    severity: Severity
    find: Callable[[T, Policy], Iterable[Found]]


# --- manifests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of a pod template with what bears on GPUs."""

    name: str
    where: str
    asks: Mapping[str, int] = field(default_factory=dict)  # extended resources, limits before requests
    env: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    init: bool = False  # runs to its end before the others start
    processes: int = 1  # that it says it will start
    processes_from: str = ""  # the words that say so


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A pod template and how many pods are made of it: of a DaemonSet one, since one node is looked at."""

    where: str
    kind: str
    namespace: str
    name: str
    pods: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    host_pid: bool = False
    runtime_class: str = ""

    @property
    def title(self) -> str:
        """Kind, namespace and name."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def slots(self, resource: str) -> int:
        """Units of a resource that one pod holds: init containers give theirs back before the others start."""
        running = sum(c.asks.get(resource, 0) for c in self.containers if not c.init)
        return max([running, *(c.asks.get(resource, 0) for c in self.containers if c.init)])


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedResource:
    """A resource that the device plugin is told to offer several times. `advertised` is what pods ask for."""

    where: str
    strategy: Sharing  # TIME_SLICING or MPS
    resource: str
    advertised: str
    replicas: int
    devices: int | None  # how many devices it is limited to; None: all
    refuses_two: bool  # failRequestsGreaterThanOne


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A request of a ResourceClaim or its template with the sharing that it configures."""

    where: str
    title: str
    request: str
    admin: bool = False
    strategy: Sharing | None = None
    thread_percentage: int | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """GPUs of one kind on the node that the plan is for."""

    model: str
    memory_mib: int
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What manifests ask for, together, and the node that is to carry it (no boards: not told)."""

    workloads: tuple[Workload, ...] = ()
    shared: tuple[SharedResource, ...] = ()
    claims: tuple[Claim, ...] = ()
    boards: tuple[Board, ...] = ()
    documents: int = 0

    @property
    def gpus(self) -> int:
        """GPUs of the node; 0 when it was not described."""
        return sum(board.count for board in self.boards)

    @property
    def memory_mib(self) -> int:
        """Memory of all GPUs of the node."""
        return sum(board.count * board.memory_mib for board in self.boards)

    def sharing(self, resource: str) -> tuple[SharedResource, ...]:
        """The plugin configurations that offer a resource of this name shared."""
        return tuple(shared for shared in self.shared if shared.advertised == resource)

    def containers(self) -> Iterator[tuple[Workload, Container]]:
        """Every container with its workload."""
        return ((workload, container) for workload in self.workloads for container in workload.containers)


# --- a live node ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePromise:
    """One dimension's promise; `amount` None when its size is not known."""

    amount: float | None
    klass: str
    enforcer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePartition:
    """A partition as its exporter sees it; None stands for what is not known."""

    gpu: str
    device: str
    namespace: str
    pod: str
    container: str
    sharing: str
    slots: int
    state: str
    promised_profile: str
    replicas: float | None
    holders: int
    processes: int | None
    compute: LivePromise | None
    memory: LivePromise | None
    conformance: Mapping[str, float]  # fraction lost by cause, while conformance is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDevice:
    """A device with its position on the node ("0", "0:3") and its memory in bytes."""

    uuid: str
    gpu: str
    index: str
    model: str
    memory: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProcess:
    """A process on a device and what it is to the device's holders."""

    device: str
    pid: int
    command: str
    relation: str
    namespace: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNode:
    """One node at one tick."""

    name: str
    devices: tuple[LiveDevice, ...] = ()
    partitions: tuple[LivePartition, ...] = ()
    processes: tuple[LiveProcess, ...] = ()

    def order(self, device: str) -> tuple[int, ...]:
        """Sorts devices by their position; what the driver does not list comes last."""
        index = next((d.index for d in self.devices if d.uuid == device), "")
        parts = index.split(":")
        return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else (1 << 31,)

    def place(self, device: str) -> str:
        """The node and the device's position on it."""
        index = next((d.index for d in self.devices if d.uuid == device), None)
        return f"{self.name} {device}" if index is None else f"{self.name} gpu{index}"

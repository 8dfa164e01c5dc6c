"""What schedulers, claims and enforcers have on record of who holds what: the values that every vendor's reader yields.

One vocabulary for all of them, so that what is made of a record is written once (`exporter.holdings`). Immutable; a text in
them may be a tenant's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.ids import DeviceId


class Sharing(StrEnum):
    """How a partition's device is shared; the words are label values of the contract."""

    EXCLUSIVE = "exclusive"
    MIG = "mig"
    TIME_SLICING = "time-slicing"
    MPS = "mps"
    HAMI = "hami"
    KAI = "kai"
    DRA = "dra"
    XCP = "xcp"


class Role(StrEnum):
    """What a holder is to the device: a workload, or a placeholder that owns no use."""

    WORKLOAD = "workload"
    RESERVATION = "reservation"
    ADMIN = "admin"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A scheduler's record of what one container was given on one device, where the device's id does not say it.

    `device` None is the device that `group` (KAI) stands for. Amounts are None where that dimension is not promised; a
    record that is there and is not `legible` promises amounts that nobody can tell.
    """

    sharing: Sharing
    container: str
    resource: str = ""  # what was asked for; empty: as the kubelet names it
    device: DeviceId | None = None
    group: str = ""
    compute: float | None = None  # share of the device's SM time
    memory_bytes: float | None = None
    legible: bool = True
    role: Role = Role.WORKLOAD
    profile: str = ""  # of a MIG instance
    claim: str = ""  # uid of the claim (DRA); containers of one claim share its promise
    underlying: Sharing | None = None  # DRA: how the claim's device is shared, where the claim says so
    unhooked: bool = False  # HAMi: the pod's own specification switches the hook off
    odd: str = ""  # DRA: how what was prepared or handed out differs from what was allocated, as a kind of orphan

    @property
    def shared(self) -> bool:
        """Whether the device is others' too, so that what one container uses is the sum of its processes."""
        mode = self.sharing if self.underlying is None else self.underlying
        return mode in {Sharing.HAMI, Sharing.KAI, Sharing.MPS, Sharing.TIME_SLICING}


@dataclass(frozen=True, slots=True)
class Limit:
    """What an enforcer has set, as read back; None is no limit. It is compared with the promise and never becomes it."""

    compute: float | None  # share of the device's SM time
    memory_bytes: float | None
    memory_read: bool = True  # False: the enforcer does not tell it in a form that can be compared


HookKey = tuple[str, str, str]
"""Whom a hook's limit is for: pod uid, container, device's UUID."""

DaemonKey = tuple[str, str]
"""What an MPS control daemon's limit is for: the resource that it serves and the GPU's index; or the claim's uid and the
device's UUID, where the daemon is a claim's own."""


@dataclass(frozen=True, slots=True)
class ClaimUse:
    """That a container uses one request of a claim; `request` is empty for all of them."""

    container: str
    claim: str
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """A device that a claim was allocated, with the sharing configuration that applies to its request."""

    request: str
    driver: str
    pool: str
    device: str
    share: str = ""  # consumable capacity
    admin: bool = False
    strategy: str = ""  # "TimeSlicing", "MPS" or nothing
    threads: float | None = None  # MPS: default active thread percentage, as a share
    pinned: Mapping[str, float] = field(default_factory=dict)  # MPS: bytes by device UUID; "" is for all others
    capacity: Mapping[str, float] = field(default_factory=dict)  # consumed


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A ResourceClaim that a pod of this node uses."""

    uid: str
    namespace: str
    name: str
    results: tuple[ClaimResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A device of a ResourceSlice. `uuid` is empty for a MIG instance that is made only when it is claimed."""

    driver: str
    pool: str
    name: str
    uuid: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A device that a DRA driver has prepared for a claim, by its own checkpoint."""

    claim: str  # uid
    driver: str
    pool: str
    device: str
    uuid: str  # of the GPU or of the MIG instance
    ready: bool = True  # False: begun and not ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the API server says of dynamic resources of this node."""

    items: tuple[Claim, ...] = ()
    published: tuple[Published, ...] = ()

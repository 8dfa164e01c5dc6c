"""The answers: outcomes, guarantees, causes, evidence, and a verdict that holds them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.catalogue import PartitionKey
from exporter.model import Missing, Partition, Reading, Reason


class Outcome(StrEnum):
    """The answer of one tick."""

    KEPT = "kept"
    BROKEN = "broken"
    IDLE = "idle"
    BLIND = "blind"


class Guarantee(StrEnum):
    """The questions asked of a partition."""

    AVAILABILITY = "availability"
    CONFORMANCE = "conformance"
    MEMORY = "memory"
    COMPUTE = "compute"
    ISOLATION = "isolation"


class Cause(StrEnum):
    """What took the missing part; the words are label values of the contract."""

    DEVICE_LOST = "device_lost"
    DEVICE_MISSING = "device_missing"
    MIG_RECONFIGURED = "mig_reconfigured"
    XID = "xid"
    ECC = "ecc"
    WRONG_PROFILE = "wrong_profile"
    UNENFORCED = "unenforced"
    OVERSUBSCRIBED = "oversubscribed"
    NEIGHBOUR = "neighbour"
    HOST_PROCESS = "host_process"
    RESERVED = "reserved"
    POWER_CAP = "power_cap"
    THERMAL = "thermal"
    HW_SLOWDOWN = "hw_slowdown"
    SWITCHING = "switching"
    ROGUE_POD = "rogue_pod"
    NEIGHBOUR_OVERRUN = "neighbour_overrun"
    UNKNOWN = "unknown"


class Evidence(StrEnum):
    """What decided whether the tenant wanted GPU time, strongest first."""

    DECLARED = "declared"
    APPETITE = "appetite"
    QUEUEING = "queueing"
    BUSY = "busy"
    NONE = "none"


Neighbour = tuple[str, str]
"""A pod beside this one: namespace and name."""


_NO_SHARE = Missing(Reason.NOT_CONFIGURED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One guarantee's answer at one tick.

    `loss` is the part of the promise lost per second while broken, by cause; `neighbours` divides the cause `neighbour`
    and sums to it. `entitled` and `delivered` are shares of the parent GPU, of the compute guarantee alone.
    """

    outcome: Outcome
    reason: Reason | None = None
    loss: Mapping[Cause, float] = field(default_factory=dict)
    neighbours: Mapping[Neighbour, float] = field(default_factory=dict)
    entitled: Reading = _NO_SHARE
    delivered: Reading = _NO_SHARE
    evidence: Evidence | None = None


KEPT = Verdict(Outcome.KEPT)
IDLE = Verdict(Outcome.IDLE)
Verdicts = Mapping[PartitionKey, Mapping[Guarantee, Verdict]]

_BLIND = {reason: Verdict(Outcome.BLIND, reason) for reason in Reason}


def blind(reason: Reason) -> Verdict:
    """It cannot be told, and why."""
    return _BLIND[reason]


def broken(cause: Cause, fraction: float = 1.0) -> Verdict:
    """It does not hold, and what part of the promise is lost to what."""
    return Verdict(Outcome.BROKEN, loss={cause: fraction})


def applying(partition: Partition) -> tuple[Guarantee, ...]:
    """Which guarantees have series: compute and memory only where that dimension is promised."""
    return _APPLYING[partition.promise.memory is not None, partition.promise.compute is not None]


def _applying(*, memory: bool, compute: bool) -> tuple[Guarantee, ...]:
    asked = (
        (Guarantee.AVAILABILITY, True),
        (Guarantee.CONFORMANCE, True),
        (Guarantee.MEMORY, memory),
        (Guarantee.COMPUTE, compute),
        (Guarantee.ISOLATION, True),
    )
    return tuple(guarantee for guarantee, applies in asked if applies)


_APPLYING = {
    (memory, compute): _applying(memory=memory, compute=compute)
    for memory in (False, True)
    for compute in (False, True)
}

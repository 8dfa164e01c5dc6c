"""What one tick of a shared device says, and what is answered: the values that the judge of shared compute works with.

Everything is immutable. Shares are fractions of the parent GPU's SM time, times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.catalogue import PartitionKey
from exporter.model import Missing, Reading

DEMAND_UNKNOWN = "demand_unknown"
"""The contract's word for blind because what the tenant wanted cannot be told."""


class Answer(StrEnum):
    """The outcome of one partition at one tick; the words are label values of the contract."""

    KEPT = "kept"
    BROKEN = "broken"
    IDLE = "idle"
    BLIND = "blind"


class Evidence(StrEnum):
    """What decided, strongest first; the words are label values of the contract."""

    DECLARED = "declared"  # the workload's own backlog
    APPETITE = "appetite"  # what it used lately when less stood in its way
    QUEUEING = "queueing"  # how often it wanted a turn, inferred from the shares of all processes
    NONE = "none"


class Intruder(StrEnum):
    """A process that belongs to no partition of the device. The first two are causes of the contract."""

    ROGUE_POD = "rogue_pod"
    HOST_PROCESS = "host_process"
    UNPLACED = "unplaced"  # it may belong to anyone, a holder included


Holder = PartitionKey | Intruder


@dataclass(frozen=True, slots=True)
class ProcessShare:
    """One process on the device in the last sample: whole percents of SM time as a fraction, or why not."""

    pid: int
    holder: Holder
    share: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One tick of one device.

    `processes` is every process on it, active or not; Missing when they cannot be listed. `promises` are the shares promised
    to its holders. `declared` says of a holder whether it has work waiting; a holder without that signal is not in it.
    """

    at: float
    processes: tuple[ProcessShare, ...] | Missing
    promises: Mapping[PartitionKey, float]
    declared: Mapping[PartitionKey, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPolicy:
    """The constants of the judgement; seconds and shares.

    The margins are half the error bar, in the ratio of delivered to entitled: how far beyond the threshold an inferred
    ratio must be to say broken, to say kept, and an appetite to say broken.
    """

    tolerance: float = 0.10
    window: float = 20.0
    least_seconds: float = 5.0  # of observation before anything is said
    patience: float = 3.5  # after the last good sample
    gap: float = 5.0  # between two samples that count as one observation
    appetite_seconds: float = 600.0
    hold: float = 3.0  # a decided outcome stands in for an undecided one
    broken_margin: float = 0.09
    kept_margin: float = 0.04
    appetite_margin: float = 0.2
    least_share: float = 0.004  # below it whole percents say nothing
    least_told: float = 0.02  # below it whole percents are too coarse to say broken from queueing


@dataclass(frozen=True, slots=True)
class Bounds:
    """An entitled share with its error bar: it lies between `low` and `high`, most likely at `likely`."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The answer for one partition at one tick.

    `loss` is the part of the entitled share that is missing, by cause, and sums to (entitled - delivered) / entitled;
    `neighbours` divides the cause `neighbour` and sums to it. `entitled` and `delivered` are None when idle or not known.
    """

    answer: Answer
    evidence: Evidence = Evidence.NONE
    reason: str | None = None  # a `Reason`, or `DEMAND_UNKNOWN`
    entitled: Bounds | None = None
    delivered: float | None = None
    loss: Mapping[str, float] = field(default_factory=dict)
    neighbours: Mapping[PartitionKey, float] = field(default_factory=dict)

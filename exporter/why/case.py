"""The case file of one partition: what `why` and `status` know of it, whichever of the two sources told it.

Immutable, in the units of the contract (seconds, bytes, hertz, watts; shares of the parent GPU's SM time). Both readers
(`from_snapshot`, `from_prometheus`) make this type, so that a verdict does not depend on who was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.catalogue import PartitionKey
from exporter.drift import Severity
from exporter.model import Missing, Promise, Reading, Reason, Sharing, Throttle
from exporter.verdict import Cause, Evidence, Guarantee, Neighbour, Outcome

UNTOLD = Missing(Reason.NOT_CONFIGURED)
"""This source does not carry the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """One guarantee over the window: seconds by outcome, the loss by cause and neighbour, blind time by reason.

    `now` is the newest outcome, None when the partition is gone.
    """

    seconds: Mapping[Outcome, float]
    lost: Mapping[Cause, float] = field(default_factory=dict)
    neighbours: Mapping[Neighbour, float] = field(default_factory=dict)
    blind: Mapping[Reason, float] = field(default_factory=dict)
    now: Outcome | None = None

    def of(self, outcome: Outcome) -> float:
        """Seconds of one outcome."""
        return self.seconds.get(outcome, 0.0)

    @property
    def total(self) -> float:
        """Seconds observed."""
        return sum(self.seconds.values())

    @property
    def wanted(self) -> float:
        """Seconds in which it was demanded and could be judged."""
        return self.of(Outcome.KEPT) + self.of(Outcome.BROKEN)

    @property
    def loss(self) -> float:
        """Seconds of promise lost; never more than the broken time."""
        return sum(self.lost.values())

    @property
    def coverage(self) -> float:
        """The part of the time that could be judged; 0 when none was observed."""
        return 1 - self.of(Outcome.BLIND) / self.total if self.total > 0 else 0.0

    @property
    def got(self) -> float:
        """The part of the promise that was had while it was wanted; 1 when nothing was lost."""
        return max(0.0, 1 - self.loss / self.wanted) if self.wanted > 0 else 1.0

    @property
    def broken(self) -> bool:
        """Whether it is broken now or was in the window."""
        return self.now is Outcome.BROKEN or self.of(Outcome.BROKEN) > 0

    @property
    def main_cause(self) -> Cause:
        """The cause that took most; unknown when the loss is not told."""
        return max(self.lost, key=lambda cause: self.lost[cause], default=Cause.UNKNOWN)

    @property
    def main_reason(self) -> Reason:
        """The reason for most of the blind time."""
        return max(self.blind, key=lambda reason: self.blind[reason], default=Reason.ERROR)


@dataclass(frozen=True, slots=True)
class Window:
    """The time that the case is about: observed seconds of the partition.

    `asked` is the length that was asked of Prometheus, None when an exporter told everything since the partition was
    first seen. `exact` is False when a counter started over in between and the seconds are Prometheus's extrapolation.
    """

    seconds: float
    asked: float | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The GPU-wide readings of now, and what was counted in the window."""

    clock_hertz: Reading = UNTOLD
    clock_max_hertz: Reading = UNTOLD
    power_watts: Reading = UNTOLD
    power_limit_watts: Reading = UNTOLD
    temperature_celsius: Reading = UNTOLD
    throttle: frozenset[Throttle] | Missing = UNTOLD
    throttled: Mapping[Throttle, float] | Missing = UNTOLD  # seconds in the window; an exporter's snapshot has none
    ecc_uncorrected: Reading = UNTOLD
    xids: Mapping[str, float] | Missing = UNTOLD  # counts in the window by number


class Who(StrEnum):
    """What somebody on the device is to the partition that the case is about."""

    YOU = "you"
    NEIGHBOUR = "neighbour"  # holds a part of the device
    STRANGER = "stranger"  # a pod that holds no part of it
    HOST = "host"  # a process of no pod


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody on the device. `compute` and `promised` are shares of the device (not of its GPU); `memory` is bytes."""

    who: Who
    name: str
    compute: Reading
    memory: Reading
    promised: Reading = UNTOLD
    promised_memory: Reading = UNTOLD
    processes: Reading = UNTOLD


class Basis(StrEnum):
    """What the users' shares of SM time were made of."""

    MEAN = "mean"  # over the window
    NOW = "now"  # the newest sample
    NONE = "none"  # nobody's share is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Everybody on the device. `rest` is the share of SM time that none of them used; it is idle when `complete`."""

    users: tuple[User, ...] = ()
    basis: Basis = Basis.NONE
    rest: float = 0.0
    complete: bool = False  # whether everybody's share is told
    memory_total: Reading = UNTOLD
    memory_free: Reading = UNTOLD


@dataclass(frozen=True, slots=True)
class Touch:
    """A drift that is about the partition, its device, its GPU or its node, or that lets a neighbour take what is its."""

    number: int
    name: str
    severity: Severity
    whose: str  # empty: its own, or nobody's
    neighbour: bool  # it is another holder's
    sentence: str
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything known of one partition."""

    key: PartitionKey
    node: str
    gpu_index: str  # "" when the GPU is not listed
    device_index: str
    model: str
    attached_profile: str
    workload_kind: str
    workload: str
    resource: str
    sharing: Sharing
    slots: int
    promised_profile: str
    promise: Promise
    holders: Reading  # slots of the device that are held
    replicas: Reading  # slots that it has
    gone: bool  # it held the device in the window and no longer does
    spells: Mapping[Guarantee, Spell]
    entitled: Reading  # now
    delivered: Reading  # now
    used_compute: Reading  # now
    mean_used: Reading  # over the window
    used_memory: Reading
    obtainable_memory: Reading
    evidence: Evidence | None
    window: Window
    health: Health
    crowd: Crowd
    drifts: tuple[Touch, ...] | Missing = UNTOLD  # the worst first; a Prometheus has none to tell

    @property
    def touched(self) -> tuple[Touch, ...]:
        """The drifts that are told."""
        return () if isinstance(self.drifts, Missing) else self.drifts

    @property
    def owner(self) -> str:
        """The pod, as kubectl takes it: `namespace/pod`."""
        return f"{self.key.namespace}/{self.key.pod}"

    @property
    def broken(self) -> bool:
        """Whether any guarantee is broken now or was in the window."""
        return any(spell.broken for spell in self.spells.values())

    @property
    def broken_now(self) -> bool:
        """Whether any guarantee is broken at this instant."""
        return any(spell.now is Outcome.BROKEN for spell in self.spells.values())

"""What the evaluator answers: budgets, and alerts with their beginning and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from slo.entity import Entity
from slo.spec import Severity


class AlertName(StrEnum):
    """The alerts of an SLO; rules and evaluator raise the same ones, with the same labels."""

    PARTITION = "GPUPartitionPromiseBurn"
    UNMET = "GPUPartitionPromiseUnmetWhenUsed"
    GPU = "GPUWidePromiseBurn"
    NODE = "GPUNodeWidePromiseBurn"
    FLEET = "GPUFleetPromiseBurn"
    TENANT = "GPUTenantBudgetExhausted"
    TELEMETRY = "GPUPartitionTelemetryMissing"
    WATCHDOG = "GPUSLOWatchdog"


NOT_SHOWN = "GPUSLOAlertsNotShown"
"""The alert by which `slo run` says in a storm how many others it does not post; rules have no need of it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert's identity: its full label set, `alertname`, `severity` and `slo` included. Hashable by `key`."""

    name: AlertName
    severity: Severity
    slo: str
    labels: Mapping[str, str]
    entity: Entity | None = None  # of a partition's own alerts

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The label set, sorted."""
        return tuple(sorted(self.labels.items()))


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires. Times are Unix seconds."""

    alert: Alert
    since: int  # the evaluation at which it first fired
    bad_1h: int = 0  # bad slices of the last hour, summed over what the alert is about


@dataclass(frozen=True, slots=True)
class Episode:
    """One firing of an alert, from the evaluation that raised it to the one that no longer had it (None: still firing).

    `began` is the end of the first bad slice of the run of trouble that raised it, so that `since − began` is the time to detect.
    """

    alert: Alert
    since: int
    until: int | None
    began: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Slices of one thing (a partition, a namespace's class, the fleet) over a period, against a target."""

    target: float
    good: int
    bad: int
    idle: int
    unknown: int

    @property
    def valid(self) -> int:
        """Slices that count."""
        return self.good + self.bad

    @property
    def compliance(self) -> float | None:
        """Good over valid; None without a valid slice."""
        return None if not self.valid else self.good / self.valid

    @property
    def remaining(self) -> float | None:
        """Part of the budget that is left: 1 untouched, 0 spent, negative overspent; None without a valid slice."""
        return None if not self.valid else 1.0 - self.bad / (self.valid * (1.0 - self.target))

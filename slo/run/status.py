"""What the service knows after an evaluation: one immutable value, from which its pages are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slo.verdicts import Budget, Firing


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """A budget and what it is about; `namespace` is empty for the fleet's."""

    slo: str
    objective: str
    namespace: str
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRow:
    """An Alertmanager: whether it took the last post, and how many were made and failed."""

    url: str
    up: bool
    error: str
    posts: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """Something that is read: a Prometheus or an exporter."""

    url: str
    up: bool
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state after the evaluation of the minute `at` (Unix seconds; 0 before the first)."""

    at: int = 0
    took: float = 0.0  # seconds
    error: str = ""  # of the last evaluation; empty when it went well
    succeeded: float = 0.0  # Unix time of the last evaluation that went well
    failures: int = 0
    partitions: int = 0
    firing: tuple[Firing, ...] = ()
    budgets: tuple[BudgetRow, ...] = ()
    targets: tuple[TargetRow, ...] = ()
    peers: tuple[PeerRow, ...] = ()
    sent: int = 0
    refused: int = 0
    hidden: int = 0
    journal: str = ""  # what is wrong with the journal; empty when nothing is
    history: str = ""  # why minutes are not kept; empty when they are, or a Prometheus keeps them
    held: bool = True  # no complete evaluation since the start: nothing resolves yet
    labels: Mapping[str, str] = field(default_factory=dict)

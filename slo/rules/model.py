"""What a rule file holds, as values; `document` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule: the expression's result under a name, with labels added to each series."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. `hold` is Prometheus's `for`, `keep` its `keep_firing_for`; both in seconds, 0 is without."""

    name: str
    expression: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    hold: int = 0
    keep: int = 0


Rule = Record | Alert


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, so that a later one sees what an earlier one recorded.

    `notes` are comments that are written above it, one line each.
    """

    name: str
    interval: int  # seconds
    rules: tuple[Rule, ...]
    notes: tuple[str, ...] = ()

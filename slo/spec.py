"""What a `kind: PartitionSLO` document says, once it is read: values without places, and nothing that is not meant.

`slo.specfile` reads files into these; everything else takes them as arguments. Times are whole seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slo.entity import NO_CLASS, Facts

SLICE = 60
"""Seconds of a slice, the unit in which promises are kept or broken."""


class Severity(StrEnum):
    """What an alert asks of a person: to come now, to look this week, or nothing."""

    PAGE = "page"
    TICKET = "ticket"
    NONE = "none"


class Subject(StrEnum):
    """What a slice is asked: whether the promise was kept, or whether it could be told at all."""

    GUARANTEE = "guarantee"
    COVERAGE = "coverage"


class Op(StrEnum):
    """A label matcher's operator, as PromQL writes it."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher. Patterns are anchored at both ends, and written in what RE2 and Python's re have in common."""

    label: str
    op: Op
    value: str

    def holds(self, text: str) -> bool:
        """Whether a label of this value (empty when it is absent) is selected."""
        match self.op:
            case Op.EQUAL:
                return text == self.value
            case Op.NOT_EQUAL:
                return text != self.value
            case Op.MATCHES:
                return re.fullmatch(self.value, text) is not None
            case Op.NOT_MATCHES:
                return re.fullmatch(self.value, text) is None

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.op}"{escaped}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Sli:
    """When a one-minute slice is valid, and when it is bad.

    guarantee: valid when at least `wanted` seconds of it were kept or broken; bad when the promise was broken for more
    than `allow` of those. coverage: valid when the exporter measured at all; bad when more than `allow` of it was blind.
    """

    subject: Subject
    guarantee: str  # one of the contract's five
    dimension: str  # whose promise class tells the objective: compute or memory
    allow: float  # 0 to 1
    wanted: float = 1.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A target for the partitions of some promise classes; without classes, for all that no other objective names."""

    name: str
    classes: tuple[str, ...] = ()
    target: float  # 0 < target < 1: the part of valid slices that must be good
    fast: Severity  # of the one-hour and six-hour burn alerts
    slow: Severity  # of the one-day and three-day ones

    @property
    def asks(self) -> bool:
        """Whether it asks anything of a person; one that does not is for reports."""
        return self.fast is not Severity.NONE or self.slow is not Severity.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """How alerts are raised and what they carry."""

    min_bad_slices: int = 3
    keep_firing_for: int = 300  # seconds
    runbook_url: str = ""
    dashboard_url: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSLO:
    """One objective set on one guarantee, or on coverage. `period` is the budget's rolling window."""

    name: str
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    period: int = 30 * 86400
    sli: Sli
    select: tuple[Matcher, ...] = ()  # on an entity's identity, site labels and facts
    group_by: tuple[str, ...] = ()  # labels that the site's Prometheus adds and that tell clusters apart
    objectives: tuple[Objective, ...]
    alerting: Alerting = field(default_factory=Alerting)

    def objective(self, klass: str) -> Objective | None:
        """Return the objective of a promise class; None when the class has none."""
        rest = None
        for objective in self.objectives:
            if klass in objective.classes:
                return objective
            if not objective.classes:
                rest = objective
        return rest

    def selects(self, labels: Mapping[str, str], facts: Facts) -> bool:
        """Whether a partition of these identity and site labels and facts is one of this SLO's."""
        known = {**labels, "class": facts.klass(self.sli.dimension)}
        return all(
            matcher.holds(known.get(matcher.label) or str(getattr(facts, matcher.label, ""))) for matcher in self.select
        )


__all__ = ["NO_CLASS", "SLICE", "Alerting", "Matcher", "Objective", "Op", "PartitionSLO", "Severity", "Sli", "Subject"]

"""Promise classes as label matchers: whom an objective, or any objective of an SLO, is for."""

from __future__ import annotations

import re

from slo.spec import Matcher, Objective, Op, PartitionSLO

LABEL = "class"


def matchers(spec: PartitionSLO) -> tuple[Matcher, ...]:
    """Return the matchers of the classes that an SLO judges at all: its selection, and those that an objective is for."""
    chosen = tuple(matcher for matcher in spec.select if matcher.label == LABEL)
    if any(not objective.classes for objective in spec.objectives):
        return chosen
    named = [klass for objective in spec.objectives for klass in objective.classes]
    return (*chosen, _one_of(named))


def of(spec: PartitionSLO, objective: Objective) -> tuple[Matcher, ...]:
    """Return the matchers of the classes that one objective is for, as `PartitionSLO.objective` tells."""
    if objective.classes:
        return (_one_of(objective.classes),)
    named = [klass for other in spec.objectives for klass in other.classes]
    return (Matcher(LABEL, Op.NOT_MATCHES, _pattern(named)),) if named else ()


def _one_of(values: list[str] | tuple[str, ...]) -> Matcher:
    if len(set(values)) == 1:
        return Matcher(LABEL, Op.EQUAL, values[0])
    return Matcher(LABEL, Op.MATCHES, _pattern(values))


def _pattern(values: list[str] | tuple[str, ...]) -> str:
    return "|".join(re.escape(value) for value in dict.fromkeys(values))

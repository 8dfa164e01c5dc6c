"""PromQL that is put together of metrics, not of strings: a label that its metric does not have is refused when it is written.

An `Expr` knows which labels its result has and which metrics it reads. Only what is needed here is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

SITE = ("cluster", "instance", "job")
"""Labels that a site's Prometheus adds; `cluster` may be absent, and an absent label is an empty one."""

_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"[^"]*"')


class Family(Protocol):
    """A metric of the catalogue, or a record of the generated rules."""

    @property
    def name(self) -> str:
        """As it is written."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of its own."""


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression, the labels that its series have, and the names of the metrics that it reads."""

    text: str
    labels: frozenset[str]
    metrics: frozenset[str]

    def __str__(self) -> str:
        return self.text


def series(metric: Family, *matchers: str) -> Expr:
    """Select a metric's series. Raises ValueError for a matcher on a label that it does not have."""
    labels = frozenset((*metric.label_names, *SITE))
    for each in matchers:
        found = _MATCHER.fullmatch(each)
        if found is None or found[1] not in labels:
            raise ValueError(f"{metric.name} cannot be matched by {each}")
    inside = f"{{{', '.join(matchers)}}}" if matchers else ""
    return Expr(f"{metric.name}{inside}", labels, frozenset({metric.name}))


def rate(selected: Expr, window: str = "$__rate_interval") -> Expr:
    """Per second, over a window."""
    return Expr(f"rate({selected}[{window}])", selected.labels, selected.metrics)


def increase(selected: Expr, window: str = "$__range") -> Expr:
    """By how much a counter grew over a window."""
    return Expr(f"increase({selected}[{window}])", selected.labels, selected.metrics)


def lately(selected: Expr, window: str) -> Expr:
    """The newest sample of a window: for records that are written more rarely than a query looks back (5 minutes)."""
    return Expr(f"last_over_time({selected}[{window}])", selected.labels, selected.metrics)


def before(selected: Expr, offset: str) -> Expr:
    """The same series, some time ago."""
    return Expr(f"{selected} offset {offset}", selected.labels, selected.metrics)


def by(how: str, found: Expr, *labels: str) -> Expr:
    """Aggregate (`sum`, `max`, `count`, …) by labels. Raises ValueError for a label that is not there."""
    missing = sorted(set(labels) - found.labels)
    if missing:
        raise ValueError(f"{missing[0]} is no label of {found}")
    head = f"{how} by ({', '.join(labels)}) " if labels else f"{how} "
    return Expr(f"{head}({found})" if labels else f"{how}({found})", frozenset(labels), found.metrics)


def most(number: int, found: Expr, *labels: str) -> Expr:
    """The greatest few, by labels."""
    group = f" by ({', '.join(labels)}) " if labels else ""
    return Expr(f"topk{group}({number}, {found})", found.labels, found.metrics)


def above(found: Expr, value: float) -> Expr:
    """Those that are greater."""
    return Expr(f"({found} > {value:g})", found.labels, found.metrics)


def wrapped(found: Expr) -> Expr:
    """Put into parentheses."""
    return Expr(f"({found})", found.labels, found.metrics)


def combined(left: Expr, operator: str, right: Expr, on: Iterable[str] | None = None, take: Iterable[str] = ()) -> Expr:
    """Two vectors by an operator: on some labels, or on all that both have; `take` are labels of the right for the left."""
    if on is None:
        return Expr(f"({left}) {operator} ({right})", left.labels & right.labels, left.metrics | right.metrics)
    match, extra = tuple(on), tuple(take)
    for label in (*match, *extra):
        if label not in right.labels or (label in match and label not in left.labels):
            raise ValueError(f"{label} is no label of {right if label not in right.labels else left}")
    if operator in {"and", "or", "unless"}:
        return Expr(f"{left} {operator} on ({', '.join(match)}) {right}", left.labels, left.metrics | right.metrics)
    text = f"{left} {operator} on ({', '.join(match)}) group_left ({', '.join(extra)}) {right}"
    return Expr(text, left.labels | set(extra), left.metrics | right.metrics)


def number(value: str, found: Expr) -> Expr:
    """Write `value` where a vector is there: `2 * (…)` with its ones."""
    return Expr(f"({value} * ({found} * 0 + 1))", found.labels, found.metrics)


def or_zero(found: Expr) -> Expr:
    """Nothing is 0: for counts."""
    return Expr(f"{found} or vector(0)", frozenset(), found.metrics)

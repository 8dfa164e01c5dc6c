"""What is allowed in an objective and still wrong: alerts that can never fire, and alerts that fire for nothing.

Expected false pages are those of healthy partitions whose minutes are bad independently, at half the budget: the rate at which
the bad slices of a window reach the threshold, times partitions and minutes. Real trouble comes in runs, so it is a lower
bound for a noisy fleet and an upper one for a quiet one; of two specs, the one with fewer is the better one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slo.burnrate import BURNS, Threshold, thresholds
from slo.routes import Routing
from slo.spec import SLICE, Objective, Op, PartitionSLO, Severity
from slo.verdicts import AlertName

WEEK = 7 * 86400
MOST_FALSE_PAGES = 1.0
"""A week, in a whole fleet, and for one objective: more than that and people stop coming."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that may be wrong: about an objective, the whole SLO (`objective` empty), or several (`slo` empty)."""

    slo: str
    objective: str
    text: str

    def __str__(self) -> str:
        about = f"{self.slo}/{self.objective}" if self.objective else self.slo
        return f"{about}: {self.text}" if about else self.text


def findings(specs: Sequence[PartitionSLO], partitions: int, routing: Routing | None = None) -> list[Finding]:
    """Return what may be wrong, for a fleet of so many partitions, all of them in every objective.

    `routing`: the Alertmanager that the alerts go to, when it is known.
    """
    found = []
    for place, spec in enumerate(specs):
        found += [Finding(spec.name, "", text) for text in (*_of_spec(spec), *_doubled(spec, specs[:place]))]
        for objective in spec.objectives:
            found += [Finding(spec.name, objective.name, text) for text in _of_objective(spec, objective, partitions)]
    return found if routing is None else found + _unheard(specs, routing)


def _doubled(spec: PartitionSLO, others: Sequence[PartitionSLO]) -> Iterator[str]:
    """Whoever is judged twice by one guarantee is paged twice for one breach."""
    for other in others:
        about = (spec.sli.subject, spec.sli.guarantee, spec.sli.dimension)
        if about == (other.sli.subject, other.sli.guarantee, other.sli.dimension) and not _apart(spec, other):
            yield f"it judges partitions that {other.name} judges as well, so that one breach is told twice; make their select differ"


def _apart(one: PartitionSLO, other: PartitionSLO) -> bool:
    """Whether no partition can be in both, as far as it can be told from what is written."""
    named = [{name for each in spec.objectives for name in each.classes} for spec in (one, other)]
    every = any(not each.classes for spec in (one, other) for each in spec.objectives)  # takes all classes together
    if not every and not named[0] & named[1]:
        return True
    return any(
        mine.label == theirs.label and mine.op is Op.EQUAL and not theirs.holds(mine.value)
        for first, second in ((one, other), (other, one))
        for mine in first.select
        for theirs in second.select
    )


def _unheard(specs: Sequence[PartitionSLO], routing: Routing) -> list[Finding]:
    """Severities that no route takes, or that come to a receiver that tells nobody; each once, with whose they are."""
    whose: dict[str, list[str]] = {}
    for spec in specs:
        for objective in spec.objectives:
            for text in _silences(spec, objective, routing):
                whose.setdefault(text, []).append(f"{spec.name}/{objective.name}")
    return [Finding("", "", f"{text} ({', '.join(names)})") for text, names in whose.items()]


def _silences(spec: PartitionSLO, objective: Objective, routing: Routing) -> Iterator[str]:
    for severity in {objective.fast: None, objective.slow: None}:
        if severity is Severity.NONE:
            continue
        for route in routing.root.receivers(_labels(spec, objective, severity)):
            if route is routing.root:
                yield f"no route of {routing.name} takes severity {severity}: it comes to {route.receiver}, as anything else"
            elif route.receiver in routing.silent:
                yield f"severity {severity} goes to the receiver {route.receiver} of {routing.name}, which tells nobody"


def _labels(spec: PartitionSLO, objective: Objective, severity: Severity) -> dict[str, str]:
    """A partition's alert as far as it is known before there is one; whose it is, is not."""
    return {
        **spec.alerting.labels,
        "alertname": AlertName.PARTITION,
        "severity": severity,
        "slo": spec.name,
        "guarantee": spec.sli.guarantee,
        "objective": objective.name,
    }


def _of_spec(spec: PartitionSLO) -> Iterator[str]:
    if not spec.description:
        yield "it has no description: what is promised, in a sentence that an alert can quote"
    short = [burn for burn in BURNS if burn.part * spec.period < burn.long]
    if short:
        names = ", ".join(f"{burn.long // 3600}h" for burn in short)
        yield f"over {spec.period // 86400}d the windows {names} fire while the budget is not burnt too fast (factor below 1)"


def _of_objective(spec: PartitionSLO, objective: Objective, partitions: int) -> Iterator[str]:
    for one in thresholds(spec, objective):
        if not one.possible:
            limit = 1 - 1 / one.factor
            yield (
                f"the {_window(one)} burn can never fire: factor {one.factor:.4g} × {1 - objective.target:.4g} is 1 or more; "
                f"use a target above {limit:.4f}"
            )
        elif one.least_bad == 1:
            yield f"the {_window(one)} burn {_raises(one)} for one bad minute; raise alerting.minBadSlices or lower the target"
    if objective.slow is Severity.PAGE and objective.fast is not Severity.PAGE:
        yield "a slow burn pages and a fast one does not"
    false = false_pages(spec, objective, partitions)
    if false > MOST_FALSE_PAGES:
        yield (
            f"{false:,.0f} false pages a week are expected of {partitions:,} healthy partitions; "
            f"raise alerting.minBadSlices, lower the target, or let it be a ticket"
        )


def false_pages(spec: PartitionSLO, objective: Objective, partitions: int) -> float:
    """Return how many pages a week healthy partitions are expected to raise."""
    pages = [one for one in thresholds(spec, objective) if one.severity is Severity.PAGE and one.possible]
    return sum(crossings(one, (1 - objective.target) / 2) for one in pages) * partitions * WEEK / SLICE


def crossings(one: Threshold, bad: float) -> float:
    """Return how often a minute the window's bad slices reach the threshold, when a slice is bad with probability `bad`.

    It is reached by a bad slice that enters while a good one leaves and one less than enough were there before.
    """
    slices, least = one.burn.long // SLICE, one.least_bad
    before = math.comb(slices - 1, least - 1) * bad ** (least - 1) * (1 - bad) ** (slices - least)
    short = math.floor(one.short_above)  # bad slices that the short window needs beside the one that enters
    enough = 1.0 - sum(_binomial(one.burn.short // SLICE - 1, number, bad) for number in range(short))
    return before * bad * (1 - bad) * max(0.0, enough)


def _binomial(trials: int, number: int, chance: float) -> float:
    return math.comb(trials, number) * chance**number * (1 - chance) ** (trials - number)


def _window(one: Threshold) -> str:
    return f"{one.burn.long // 3600}h"


def _raises(one: Threshold) -> str:
    return "pages" if one.severity is Severity.PAGE else "raises a ticket"

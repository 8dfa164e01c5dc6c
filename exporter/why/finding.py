"""The decision of a case: which guarantee it is about, what kind of answer it is, and how sure one can be.

Pure; everything is read off the case file, nothing depends on who told it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exporter.model import Missing, Reading, Reason, Sharing
from exporter.verdict import Cause, Evidence, Guarantee, Outcome
from exporter.why.case import Case, Spell


class Mood(StrEnum):
    """What kind of answer it is."""

    BROKEN = "broken"  # a promise does not hold, or did not in the window
    YOURSELF = "yourself"  # the promise was there to be had, and less of it was used
    KEPT = "kept"
    BLIND = "blind"  # it cannot be told


class Level(StrEnum):
    """How sure one can be of the answer."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer: the guarantee that it is about, and the main cause when that is broken."""

    mood: Mood
    guarantee: Guarantee
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure, and what speaks against being surer."""

    level: Level
    doubts: tuple[str, ...] = ()


_STRANGERS = frozenset({Cause.ROGUE_POD, Cause.HOST_PROCESS})
_MINOR = 0.05
"""A guarantee broken for less than this part of the time that the worst one was broken does not head the answer."""
_USED_UP = 0.9
"""Who uses this much of the promise uses it."""
_ENOUGH = 0.5
"""Below this coverage the honest answer is that it cannot be told."""


def find(case: Case) -> Finding:
    """Decide what the case is about."""
    broken = {guarantee: spell for guarantee, spell in case.spells.items() if spell.broken}
    current = {guarantee: spell for guarantee, spell in broken.items() if spell.now is Outcome.BROKEN}
    if broken:
        heads = current or broken
        most = max(spell.of(Outcome.BROKEN) for spell in heads.values())
        guarantee = min(
            (g for g, spell in heads.items() if spell.of(Outcome.BROKEN) >= _MINOR * most),
            key=lambda g: _rank(g, heads[g]),
        )
        return Finding(Mood.BROKEN, guarantee, heads[guarantee].main_cause)
    availability = case.spells.get(Guarantee.AVAILABILITY)
    if availability is None or not _told(availability):
        return Finding(Mood.BLIND, Guarantee.AVAILABILITY)
    compute = case.spells.get(Guarantee.COMPUTE)
    if compute is None:
        return Finding(Mood.KEPT, Guarantee.AVAILABILITY)
    if not _told(compute):
        return Finding(Mood.BLIND, Guarantee.COMPUTE)
    promised, used = promised_compute(case), case.mean_used
    if isinstance(promised, Missing) or isinstance(used, Missing) or used >= _USED_UP * promised:
        return Finding(Mood.KEPT, Guarantee.COMPUTE)
    return Finding(Mood.YOURSELF, Guarantee.COMPUTE)


def _rank(guarantee: Guarantee, spell: Spell) -> int:
    """Symptoms before what explains them, and what explains everything before the symptoms."""
    if guarantee is Guarantee.ISOLATION:
        return 1 if spell.main_cause in _STRANGERS else 4
    ranks = {Guarantee.AVAILABILITY: 0, Guarantee.COMPUTE: 2, Guarantee.MEMORY: 3}
    return ranks.get(guarantee, 5)


def _told(spell: Spell) -> bool:
    if spell.total <= 0:
        return spell.now not in {None, Outcome.BLIND}
    return spell.coverage >= _ENOUGH


def promised_compute(case: Case) -> Reading:
    """The promised share of the parent GPU; Missing when nothing is promised or its size is not known."""
    promise = case.promise.compute
    return Missing(Reason.NOT_CONFIGURED) if promise is None else promise.amount


def also_broken(case: Case, finding: Finding) -> list[Guarantee]:
    """The other guarantees that are or were broken, the worst first."""
    others = [g for g, spell in case.spells.items() if spell.broken and g is not finding.guarantee]
    return sorted(others, key=lambda g: (case.spells[g].now is not Outcome.BROKEN, -case.spells[g].loss, g))


def severity(case: Case) -> tuple[bool, bool, float, bool, str]:
    """Sort key, worst first: broken now, broken in the window, by what was lost; then blind ones."""
    finding = find(case)
    lost = sum(spell.loss for spell in case.spells.values())
    return (not case.broken_now, not case.broken, -lost, finding.mood is not Mood.BLIND, case.owner)


_SURE_COVERAGE = 0.9
_SHORT = 20.0
"""Seconds of evidence below which one unlucky window may decide (the judge's own window is as long)."""
_MOSTLY = 0.5


def confidence(case: Case, finding: Finding) -> Confidence:
    """Say how sure the answer is, from coverage, length and kind of the evidence."""
    spell = case.spells.get(finding.guarantee)
    if spell is None or finding.mood is Mood.BLIND:
        return Confidence(Level.NONE, (_coverage_words(spell),))
    low, medium = [], []
    if spell.coverage < _ENOUGH:
        low.append(_coverage_words(spell))
    elif spell.coverage < _SURE_COVERAGE:
        medium.append(_coverage_words(spell))
    if spell.total - spell.of(Outcome.BLIND) < _SHORT:
        low.append(f"only {spell.total - spell.of(Outcome.BLIND):.0f} s of evidence")
    if finding.mood is Mood.BROKEN and spell.lost.get(Cause.UNKNOWN, 0.0) > _MOSTLY * spell.loss:
        medium.append("no reading says what took most of it")
    if finding.guarantee is Guarantee.COMPUTE:
        medium.extend(_demand_doubts(case))
    if not case.window.exact:
        medium.append("a counter started over in the window, so the times are estimates")
    level = Level.LOW if low else Level.MEDIUM if medium else Level.HIGH
    return Confidence(level, (*low, *medium))


def _coverage_words(spell: Spell | None) -> str:
    if spell is None or spell.total <= 0:
        return "nothing was observed yet"
    return f"{spell.coverage:.0%} of the time could be judged"


def _demand_doubts(case: Case) -> list[str]:
    if case.sharing in {Sharing.EXCLUSIVE, Sharing.MIG}:
        return []
    if case.evidence is Evidence.QUEUEING:
        return ["what you wanted is inferred from queueing"]
    return []

"""What was ruled out, and by which reading; and what could not be looked at. Pure.

A suspect is ruled out by the guarantee that asks about it having been kept, and the reading that it hangs on is shown, so
that the reader can disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from exporter.explain import gibibytes
from exporter.model import Missing, Reason, Sharing, Throttle
from exporter.policy import Policy
from exporter.verdict import Cause, Guarantee, Outcome
from exporter.why.case import Case, Health, Spell
from exporter.why.figures import span
from exporter.why.verdict_text import REASONS, place


class Ruling(StrEnum):
    """What a reading says about a suspect."""

    CLEARED = "cleared"
    GUILTY = "guilty"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Check:
    """One suspect, what is said about it, and the reading that says so."""

    suspect: str
    ruling: Ruling
    words: str


GPU_TIME = "GPU time"
_CLOCK_CAUSES = frozenset({Cause.THERMAL, Cause.POWER_CAP, Cause.HW_SLOWDOWN})
_SLOWING = frozenset(Throttle) - {Throttle.DISPLAY}
_CELSIUS = "°C"


def checks(case: Case) -> tuple[Check, ...]:
    """Look at every suspect."""
    return tuple(found for look in _LOOKS for found in look(case))


def _clocks(case: Case) -> Iterator[Check]:
    health = case.health
    if isinstance(health.clock_hertz, Missing) or isinstance(health.clock_max_hertz, Missing):
        yield Check("clocks", Ruling.UNTOLD, "the SM clock cannot be read")
        return
    # The share of the maximum below which a clock breaks a promise; the exporter's policy may set another.
    floor = Policy().reference_clock * health.clock_max_hertz
    reading = (
        f"SM clock {_mhz(health.clock_hertz)} of {_mhz(health.clock_max_hertz)} MHz (a breach below {_mhz(floor)})"
    )
    words = "; ".join([reading, *_throttle_words(health), *_climate(health)])
    yield Check("clocks", Ruling.GUILTY if _slowed(case, floor) else Ruling.CLEARED, words)


def _slowed(case: Case, floor: float) -> bool:
    """Whether slow clocks took something, or may have where nobody could judge. An idle GPU's clocks are low by themselves."""
    compute = case.spells.get(Guarantee.COMPUTE)
    if compute is not None and any(cause in compute.lost for cause in _CLOCK_CAUSES):
        return True
    health = case.health
    if isinstance(health.clock_hertz, Missing) or isinstance(health.throttle, Missing):
        return False
    held = health.clock_hertz < floor and bool(health.throttle & _SLOWING)
    return held and (compute is None or compute.now not in {Outcome.KEPT, Outcome.IDLE})


def _throttle_words(health: Health) -> Iterator[str]:
    if not isinstance(health.throttle, Missing):
        reasons = sorted(health.throttle & _SLOWING)
        yield f"held down now by {', '.join(reasons)}" if reasons else "nothing holds it down now"
    if not isinstance(health.throttled, Missing):
        held = {reason: s for reason, s in health.throttled.items() if s >= 1 and reason in _SLOWING}
        spans = ", ".join(f"{reason} {span(s)}" for reason, s in sorted(held.items()))
        yield f"in the window {spans}" if held else "at no time in the window"


def _climate(health: Health) -> Iterator[str]:
    if not isinstance(health.temperature_celsius, Missing):
        yield f"{health.temperature_celsius:.0f} {_CELSIUS}"
    if not isinstance(health.power_watts, Missing):
        limit = "" if isinstance(health.power_limit_watts, Missing) else f" of {health.power_limit_watts:.0f}"
        yield f"{health.power_watts:.0f}{limit} W"


def _mhz(hertz: float) -> str:
    return f"{hertz / 1e6:.0f}"


def _compute(case: Case) -> Iterator[Check]:
    """Only where it cannot be told: a verdict on it stands at the head of the screen."""
    spell = case.spells.get(Guarantee.COMPUTE)
    if spell is not None and not spell.broken and spell.wanted <= 0 and spell.of(Outcome.BLIND) > 0:
        yield from _by_guarantee(case, Guarantee.COMPUTE, GPU_TIME, "", [])


def _errors(case: Case) -> Iterator[Check]:
    health = case.health
    words = []
    if not isinstance(health.xids, Missing):
        seen = ", ".join(f"{count:.0f} × XID {xid}" for xid, count in sorted(health.xids.items()) if count > 0)
        words.append(f"on the GPU {seen}" if seen else "no XID on the GPU")
    if not isinstance(health.ecc_uncorrected, Missing):
        words.append(f"{health.ecc_uncorrected:.0f} uncorrectable ECC errors since the driver was loaded")
    claim = "it was there and reported no fatal error"
    yield from _by_guarantee(case, Guarantee.AVAILABILITY, "device", claim, words)


def _layout(case: Case) -> Iterator[Check]:
    words = []
    if case.promised_profile:
        words.append(f"attached is {case.attached_profile or 'nothing'}, promised was {case.promised_profile}")
    shared = case.sharing in {Sharing.TIME_SLICING, Sharing.MPS}
    if shared and not isinstance(case.holders, Missing):
        offered = "" if isinstance(case.replicas, Missing) else f" of {case.replicas:.0f}"
        words.append(f"{case.holders:.0f}{offered} slots of {place(case)} are held")
    yield from _by_guarantee(case, Guarantee.CONFORMANCE, "allocation", "" if words else _CONFORMS[case.sharing], words)


_CONFORMS = {
    Sharing.EXCLUSIVE: "the whole device is yours",
    Sharing.MIG: "the instance is as large as it was when it was first seen",
    Sharing.TIME_SLICING: "no more slots are held than there are",
    Sharing.MPS: "no more slots are held than there are",
    Sharing.HAMI: "the limits that the hook has set are those that were promised",
    Sharing.KAI: "nobody sets a limit that could be compared with the fraction",
    Sharing.DRA: "the device is what the claim was given",
    Sharing.XCP: "the partition is as large as its name says",
}
"""What kept conformance means where no size and no count can be named."""


def _memory(case: Case) -> Iterator[Check]:
    promise = case.promise.memory
    if promise is None or isinstance(promise.amount, Missing):
        return
    had = case.obtainable_memory
    words = "what can be had is not known" if isinstance(had, Missing) else f"{gibibytes(had)} can be had now"
    words = f"{words}, {gibibytes(promise.amount)} were promised"
    yield from _by_guarantee(case, Guarantee.MEMORY, "memory", "", [words])


def _strangers(case: Case) -> Iterator[Check]:
    claim = "every process on the device belongs to one who holds a part of it"
    yield from _by_guarantee(case, Guarantee.ISOLATION, "company", claim, [])


def _trust(case: Case) -> Iterator[Check]:
    refused = {g: s for g, spell in case.spells.items() if (s := spell.blind.get(Reason.CONTRADICTION, 0.0)) > 0}
    if refused:
        worst = max(refused, key=lambda guarantee: refused[guarantee])
        words = f"readings contradicted each other for {span(refused[worst])} ({worst}); that time is blind, not judged"
        yield Check("readings", Ruling.UNTOLD, words)
    elif any(spell.total > spell.of(Outcome.BLIND) for spell in case.spells.values()):
        yield Check("readings", Ruling.CLEARED, "no two of them contradicted each other")


def _by_guarantee(
    case: Case, guarantee: Guarantee, suspect: str, claim: str, readings: Sequence[str]
) -> Iterator[Check]:
    """Clear or convict by a guarantee; `claim` is what is true when it was kept, `readings` are shown either way."""
    spell = case.spells.get(guarantee)
    if spell is None:
        return
    if spell.broken:
        causes = ", ".join(str(cause) for cause in sorted(spell.lost, key=lambda cause: -spell.lost[cause]))
        words = f"broken for {span(spell.of(Outcome.BROKEN))} ({causes or 'cause not told'})"
        yield Check(suspect, Ruling.GUILTY, "; ".join([words, *readings]))
    elif _seen(spell):
        blind = spell.of(Outcome.BLIND)
        kept = f"kept for {span(spell.of(Outcome.KEPT))}"
        kept += f", blind for {span(blind)}" if round(blind) > 0 else ""
        yield Check(suspect, Ruling.CLEARED, "; ".join([*([claim] if claim else []), *readings, kept]))
    elif not spell.blind or spell.main_reason is not Reason.DEVICE_LOST:
        why = REASONS[spell.main_reason if spell.blind else Reason.NOT_YET]
        yield Check(suspect, Ruling.UNTOLD, "; ".join([f"{guarantee} cannot be told: {why}", *readings]))


def _seen(spell: Spell) -> bool:
    return spell.of(Outcome.KEPT) > 0 and spell.now is not Outcome.BLIND


_LOOKS: tuple[Callable[[Case], Iterator[Check]], ...] = (
    _compute,
    _clocks,
    _errors,
    _layout,
    _memory,
    _strangers,
    _trust,
)

"""One line a partition: what is said of it, and how loudly. Pure, from the same cases that `why` explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from exporter.drift import Severity
from exporter.explain import MODES, gibibytes, percent
from exporter.model import Missing
from exporter.verdict import Cause, Guarantee, Outcome
from exporter.why.case import UNTOLD, Case, Spell, Who
from exporter.why.figures import point_places, rough_span
from exporter.why.finding import Finding, Mood, find, promised_compute
from exporter.why.verdict_text import overruns, place


class State(StrEnum):
    """What a partition is in, the worst first."""

    BREACH = "BREACH"  # a guarantee is broken now
    RECOVERED = "recovered"  # one was broken in the window, and none is now
    BLIND = "BLIND"
    OK = "ok"
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. `broken` is the part of the wanted time, `lost` seconds of promise; None where nothing was wanted.

    `drifts` are the names of those that touch it, the worst first; Missing where the source has none to tell.
    """

    where: str
    owner: str
    mode: str
    promised: str
    got: str
    broken: float | None
    lost: float
    state: State
    words: str
    drifts: tuple[str, ...] | Missing = UNTOLD


_LOUD = frozenset({Severity.BREACH, Severity.AT_RISK, Severity.WARNING})
"""Drifts that a line has room for."""

_SAID = {Cause.ROGUE_POD: "rogue_process"}
"""Causes that are a drift by another name."""


def row(case: Case) -> Row:
    """Boil a case down to a line."""
    finding = find(case)
    spell = case.spells.get(finding.guarantee)
    state = _state(case, finding)
    shown = spell if spell is not None and spell.wanted > 0 else None
    return Row(
        where=f"{case.node} {place(case)}",
        owner=case.owner,
        mode=_mode(case),
        promised=_promised(case),
        got=_got(case, finding),
        broken=None if shown is None else shown.of(Outcome.BROKEN) / shown.wanted,
        lost=0.0 if spell is None else spell.loss,
        state=state,
        words="; ".join(
            part for part in ("" if spell is None else _words(case, finding, spell, state), _drifts(case)) if part
        ),
        drifts=case.drifts if isinstance(case.drifts, Missing) else tuple(each.name for each in case.drifts),
    )


def _state(case: Case, finding: Finding) -> State:
    if case.broken_now:
        return State.BREACH
    if case.broken:
        return State.RECOVERED
    if finding.mood is Mood.BLIND:
        return State.BLIND
    compute = case.spells.get(Guarantee.COMPUTE)
    return State.IDLE if compute is not None and compute.now is Outcome.IDLE else State.OK


def _mode(case: Case) -> str:
    profile = f" {case.promised_profile}" if case.promised_profile else ""
    slots = f" ×{case.slots}" if case.slots > 1 else ""
    return f"{MODES[case.sharing]}{profile}{slots}"


def _promised(case: Case) -> str:
    """Sizes, and who keeps them."""
    compute, memory = case.promise.compute, case.promise.memory
    keeper = compute or memory
    if keeper is None:
        return "nothing"
    sizes = []
    if compute is not None:
        sizes.append("? SM" if isinstance(compute.amount, Missing) else f"{percent(compute.amount)} SM")
    if memory is not None:
        sizes.append("? GiB" if isinstance(memory.amount, Missing) else gibibytes(memory.amount))
    return f"{' '.join(sizes)}, {keeper.enforcer}"


def _got(case: Case, finding: Finding) -> str:
    """What was had while it was wanted: of GPU time, or of memory where that is the matter."""
    if finding.mood is Mood.BROKEN and finding.guarantee is Guarantee.MEMORY:
        return "?" if isinstance(case.obtainable_memory, Missing) else gibibytes(case.obtainable_memory)
    if finding.mood is Mood.BROKEN and finding.guarantee is Guarantee.AVAILABILITY:
        return "-"
    compute, promised = case.spells.get(Guarantee.COMPUTE), promised_compute(case)
    if compute is None or compute.wanted <= 0 or isinstance(promised, Missing):
        return "-"
    short = promised * (1 - compute.got)
    return percent(round(promised, 3) - round(short, 2 + point_places(short)))


def _words(case: Case, finding: Finding, spell: Spell, state: State) -> str:
    if state in {State.BREACH, State.RECOVERED}:
        cause = str(spell.main_cause).replace("_", " ")
        told = f"{finding.guarantee} {rough_span(spell.of(Outcome.BROKEN))}, {cause}"
        takers = _takers(case, spell)
        return f"{told} <- {takers}" if takers else told
    if state is State.BLIND:
        return f"{finding.guarantee} {rough_span(spell.of(Outcome.BLIND))}, {str(spell.main_reason).replace('_', ' ')}"
    return ""


def _drifts(case: Case) -> str:
    """Drifts that no broken guarantee's cause says already."""
    causes = {cause for spell in case.spells.values() if spell.broken for cause in spell.lost}
    said = {_SAID.get(cause, str(cause)) for cause in causes}
    loud = [each for each in case.touched if each.severity in _LOUD and (each.neighbour or each.name not in said)]
    names = dict.fromkeys(f"{each.name.replace('_', ' ')}{' (a neighbour)' if each.neighbour else ''}" for each in loud)
    return f"drift: {', '.join(names)}" if names else ""


def _takers(case: Case, spell: Spell) -> str:
    """Who is behind it: the neighbour that took most, a stranger, or one that overruns."""
    if spell.neighbours:
        names = ["/".join(who) for who in sorted(spell.neighbours, key=lambda who: -spell.neighbours[who])]
    elif spell.main_cause in {Cause.ROGUE_POD, Cause.HOST_PROCESS}:
        strangers = [user for user in case.crowd.users if user.who in {Who.STRANGER, Who.HOST}]
        names = [user.name for user in sorted(strangers, key=lambda user: user.who is Who.HOST)]
    elif spell.main_cause is Cause.NEIGHBOUR_OVERRUN:
        names = [user.name for user in case.crowd.users if user.who is Who.NEIGHBOUR and overruns(user)]
    else:
        names = []
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else ""


_ORDER = tuple(State)


def ranked(cases: Sequence[Case]) -> list[tuple[Case, Row]]:
    """Lines, the worst first: by state, then by what was lost, then by name."""
    lines = [(case, row(case)) for case in cases if not case.gone]
    return sorted(lines, key=lambda line: (_ORDER.index(line[1].state), -line[1].lost, line[1].owner, line[0].key))


def modes(cases: Sequence[Case]) -> str:
    """How many partitions there are of each mode: `5 time slice, 1 MIG`."""
    counted = Counter(MODES[case.sharing] for case in cases)
    return ", ".join(f"{count} {mode}" for mode, count in counted.most_common())

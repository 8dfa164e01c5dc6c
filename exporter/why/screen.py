"""A case on one terminal screen.

Every string is put into `Text`, which knows no markup; control characters were taken out of names where they were read.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.drift import Severity
from exporter.explain import MODES, gibibytes, keeper_words, percent
from exporter.model import Missing, Reading
from exporter.verdict import Cause, Evidence, Guarantee, Outcome
from exporter.why.advice import WHY, next_steps
from exporter.why.case import Basis, Case, Spell, User, Who
from exporter.why.checks import GPU_TIME, Ruling, checks
from exporter.why.figures import percent_parts, point_parts, rough_span, second_parts, span, spans
from exporter.why.finding import Confidence, Finding, Mood, also_broken, confidence, find, promised_compute
from exporter.why.verdict_text import broken_sentence, overrun_of_yours, place, sentence

_LABEL = 14
_MOODS = {Mood.BROKEN: "bold red", Mood.YOURSELF: "bold yellow", Mood.KEPT: "bold green", Mood.BLIND: "bold yellow"}
_OUTCOMES = {Outcome.KEPT: "green", Outcome.BROKEN: "bold red", Outcome.IDLE: "dim", Outcome.BLIND: "yellow"}
_SEVERITIES = {Severity.BREACH: "bold red", Severity.AT_RISK: "bold yellow", Severity.WARNING: "yellow"}
_CAUSES = {
    Cause.SWITCHING: "switching and gaps: nobody used it",
    Cause.UNKNOWN: "no reading says",
    Cause.HOST_PROCESS: "processes of the host",
    Cause.RESERVED: "kept by the driver for itself",
    Cause.THERMAL: "clocks held down by heat",
    Cause.POWER_CAP: "clocks held down by the power limit",
    Cause.HW_SLOWDOWN: "clocks held down by the hardware",
    Cause.WRONG_PROFILE: "never attached: the device is smaller",
}
_WHOS = {Who.NEIGHBOUR: "", Who.STRANGER: "stranger", Who.HOST: "host process", Who.YOU: ""}


def screen(case: Case) -> RenderableType:
    """Draw one partition's case."""
    finding = find(case)
    sure = confidence(case, finding)
    parts: list[RenderableType] = [_heading(case), Text(), _answer(case, finding, sure), Text(), _times(case)]
    for title, body in (_missing(case, finding), _crowd(case)):
        if body is not None:
            parts += [Text(), Text.assemble((title, "bold")), Padding(body, (0, 0, 0, 2))]
    return Group(*parts, Text(), _grounds(case, finding))


def _heading(case: Case) -> Text:
    controller = f" of {case.workload_kind} {case.workload}" if case.workload else ""
    profile = f" {case.promised_profile}" if case.promised_profile else ""
    slots = f", {case.slots} slots" if case.slots > 1 else ""
    where = f"{place(case)}{f', {case.model}' if case.model else ''}, node {case.node}"
    return Text.assemble(
        (case.owner, "bold"),
        f"  container {case.key.container}{controller}\n",
        f"{MODES[case.sharing]}{profile}{slots} on {where}\n",
        f"promised {_promised(case)}\n",
        (_window_words(case), "dim"),
    )


def _promised(case: Case) -> str:
    keeper = case.promise.compute or case.promise.memory
    if keeper is None:
        return "nothing"
    sizes = []
    for promised, words in ((case.promise.compute, percent), (case.promise.memory, gibibytes)):
        if promised is not None:
            unit = " of the GPU's SM time" if promised is case.promise.compute else " of memory"
            sizes.append(("?" if isinstance(promised.amount, Missing) else words(promised.amount)) + unit)
    return f"{' and '.join(sizes)} ({keeper_words(keeper)})"


def _window_words(case: Case) -> str:
    window = case.window
    if window.asked is None:
        return f"told by the exporter: the {span(window.seconds)} since it first saw this partition"
    gone = "; the pod no longer holds it" if case.gone else ""
    estimated = "" if window.exact else "; a counter started over, so times are estimates"
    return f"told by Prometheus: {span(window.seconds)} of the {rough_span(window.asked)} asked for{estimated}{gone}"


def _grid() -> Table:
    grid = Table.grid(padding=(0, 0))
    grid.add_column(width=_LABEL, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _answer(case: Case, finding: Finding, sure: Confidence) -> Table:
    grid = _grid()
    grid.add_row(Text("VERDICT", style="bold"), Text(sentence(case, finding), style=_MOODS[finding.mood]))
    for guarantee in also_broken(case, finding):
        grid.add_row(Text("ALSO", style="bold"), Text(broken_sentence(case, guarantee), style="red"))
    if overrun := overrun_of_yours(case):
        grid.add_row(Text("ALSO", style="bold"), Text(overrun, style="yellow"))
    doubts = f": {'; '.join(sure.doubts)}" if sure.doubts else ""
    grid.add_row(Text("CONFIDENCE", style="bold"), Text(f"{sure.level}{doubts}"))
    return grid


def _plain_table(*headings: tuple[str, bool]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for heading, number in headings:
        table.add_column(heading, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    return table


def _times(case: Case) -> Table:
    columns = [("GUARANTEE", False), ("NOW", False), *((outcome.upper(), True) for outcome in Outcome)]
    table = _plain_table(*columns, ("BROKEN OF WANTED", True))
    for guarantee, spell in case.spells.items():
        now = Text("gone", style="dim") if spell.now is None else Text(spell.now, style=_OUTCOMES[spell.now])
        parts = spans([spell.of(outcome) for outcome in Outcome])
        cells = [_dash(part, outcome) for part, outcome in zip(parts, Outcome, strict=True)]
        table.add_row(Text(guarantee), now, *cells, Text(_sli(spell)))
    return table


def _dash(part: str, outcome: Outcome) -> Text:
    return Text("-", style="dim") if part == "0s" else Text(part, style=_OUTCOMES[outcome])


def _sli(spell: Spell) -> str:
    return "-" if spell.wanted <= 0 else percent(round(spell.of(Outcome.BROKEN) / spell.wanted, 3))


def _missing(case: Case, finding: Finding) -> tuple[str, Table | None]:
    """Where the missing share went: neighbours one by one, then what is nobody's."""
    shared = {Guarantee.COMPUTE, Guarantee.MEMORY}
    guarantee = next((g for g in (finding.guarantee, *also_broken(case, finding)) if g in shared), None)
    spell = None if guarantee is None else case.spells.get(guarantee)
    if guarantee is None or spell is None or spell.loss <= 0:
        return "", None
    rows = list(_losses(spell))
    seconds, whole = second_parts([lost for _, lost in rows])
    columns = [("TAKEN BY", False), ("SECONDS LOST", True), ("OF THE LOSS", True)]
    promised = promised_compute(case)
    points = None
    if guarantee is Guarantee.COMPUTE and not isinstance(promised, Missing):
        base = promised if isinstance(case.entitled, Missing) else min(promised, case.entitled)
        points = point_parts([base * lost / spell.wanted for _, lost in rows]) if spell.wanted > 0 else None
    table = _plain_table(*columns, *([("POINTS OF THE GPU", True)] if points else []))
    shares = percent_parts([lost for _, lost in rows])
    for i, (name, _) in enumerate(rows):
        table.add_row(Text(name), seconds[i], shares[i], *([points[0][i]] if points else []))
    if len(rows) > 1:
        table.add_row(Text("total"), whole, "100%", *([points[1]] if points else []), style="dim")
    broken = span(spell.of(Outcome.BROKEN))
    return (
        f"WHERE THE MISSING {guarantee.upper()} WENT  ({broken} broken; a second lost is a second of the whole share)",
        table,
    )


def _losses(spell: Spell) -> Iterator[tuple[str, float]]:
    named = 0.0
    for who, lost in sorted(spell.neighbours.items(), key=lambda item: -item[1]):
        named += lost
        yield "/".join(who), lost
    for cause, lost in sorted(spell.lost.items(), key=lambda item: -item[1]):
        rest = lost - named if cause is Cause.NEIGHBOUR else lost
        if rest > 0.0005 or (rest > 0 and cause is not Cause.NEIGHBOUR):  # noqa: PLR2004  # below what a counter's text tells
            yield _CAUSES.get(cause, str(cause).replace("_", " ")), rest


def _crowd(case: Case) -> tuple[str, Table | None]:
    """Who is on the device; both columns add up to the whole device."""
    crowd = case.crowd
    told = crowd.basis is not Basis.NONE
    if not crowd.users or (not told and isinstance(crowd.memory_total, Missing)):
        return "", None
    columns = [("WHO", False)]
    columns += [("SM TIME", True), ("PROMISED", True)] if told else []
    table = _plain_table(*columns, ("MEMORY", True), ("PROCESSES", True), ("", False))
    known = [user.compute for user in crowd.users if not isinstance(user.compute, Missing)]
    shares = iter(percent_parts([*known, crowd.rest]))
    for user in crowd.users:
        compute = "?" if isinstance(user.compute, Missing) else next(shares)
        cells = [compute, _share(user.promised)] if told else []
        table.add_row(
            _user(user), *cells, _bytes(user.memory), _count(user.processes), Text(_WHOS[user.who], style="yellow")
        )
    rest = "nobody" if crowd.complete else "nobody, or not seen"
    free = _bytes(crowd.memory_free) if not isinstance(crowd.memory_free, Missing) else "?"
    table.add_row(Text(rest if told else "free", style="dim"), *([next(shares), ""] if told else []), free, "", "")
    other = _other_memory(case)
    if other > 2**20:
        table.add_row(
            Text("driver, and who is not listed", style="dim"), *(["", ""] if told else []), gibibytes(other), "", ""
        )
    basis = {
        Basis.MEAN: f"SM time is the mean over {span(case.window.seconds)}",
        Basis.NOW: "SM time is the newest sample",
        Basis.NONE: "nobody's share of SM time can be told",
    }[crowd.basis]
    return f"WHO USES {_device(case)}  ({basis}; memory is now)", table


def _device(case: Case) -> str:
    return f"YOUR {case.attached_profile} ON {place(case)}" if case.attached_profile else place(case)


def _user(user: User) -> Text:
    return Text(user.name, style="bold" if user.who is Who.YOU else "")


def _other_memory(case: Case) -> float:
    crowd = case.crowd
    parts = [crowd.memory_free, *(user.memory for user in crowd.users)]
    known = [part for part in parts if not isinstance(part, Missing)]
    if isinstance(crowd.memory_total, Missing) or isinstance(crowd.memory_free, Missing):
        return 0.0
    return max(0.0, crowd.memory_total - sum(known))


def _share(reading: Reading) -> str:
    return "-" if isinstance(reading, Missing) else percent(reading)


def _bytes(reading: Reading) -> str:
    return "?" if isinstance(reading, Missing) else gibibytes(reading)


def _count(reading: Reading) -> str:
    return "?" if isinstance(reading, Missing) else f"{reading:.0f}"


def _grounds(case: Case, finding: Finding) -> Table:
    grid = _grid()
    found = [check for check in checks(case) if finding.guarantee is not Guarantee.COMPUTE or check.suspect != GPU_TIME]
    for title, ruling in (("RULED OUT", Ruling.CLEARED), ("FOUND", Ruling.GUILTY), ("NOT TOLD", Ruling.UNTOLD)):
        for i, check in enumerate(check for check in found if check.ruling is ruling):
            grid.add_row(
                Text(title if i == 0 else "", style="bold"), Text.assemble((f"{check.suspect}: ", "dim"), check.words)
            )
    for i, drift in enumerate(case.touched):
        whose = f"{drift.whose}: " if drift.whose else ""
        words = Text.assemble(
            (f"D{drift.number} {drift.name}", _SEVERITIES.get(drift.severity, "")),
            (f" ({drift.severity.replace('_', ' ')})  ", "dim"),
            f"{whose}{drift.sentence}",
        )
        grid.add_row(Text("DRIFT" if i == 0 else "", style="bold"), words)
    if finding.mood in {Mood.BROKEN, Mood.BLIND}:
        grid.add_row(Text("IN THIS MODE", style="bold"), Text(WHY[case.sharing]))
    grid.add_row(Text("EVIDENCE", style="bold"), Text(_evidence(case, finding)))
    for i, step in enumerate(next_steps(case, finding)):
        grid.add_row(Text("NEXT" if i == 0 else "", style="bold"), Text(step, style="cyan"))
    return grid


_EVIDENCE = {
    Evidence.DECLARED: "the workload's own backlog said what it wanted",
    Evidence.APPETITE: "what it took when nobody else ran said what it wanted",
    Evidence.QUEUEING: "the shares of all processes on the device said what it wanted",
    Evidence.BUSY: "the engine's activity said when it was wanted",
}


def _evidence(case: Case, finding: Finding) -> str:
    spell = case.spells.get(finding.guarantee)
    if spell is None or spell.total <= 0:
        return "none yet"
    judged = spell.total - spell.of(Outcome.BLIND)
    told, whole = spans([judged, spell.of(Outcome.BLIND)])[0], span(spell.total)
    words = f"{told} of {whole} of {finding.guarantee} could be judged"
    if finding.guarantee is Guarantee.COMPUTE and case.evidence in _EVIDENCE:
        words += f"; {_EVIDENCE[case.evidence]} (evidence: {case.evidence})"
    return f"{words}; device {case.key.device}"

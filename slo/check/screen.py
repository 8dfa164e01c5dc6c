"""The answer of a check on one screen: what is not kept first, then every objective, then who is worst off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from slo.check.judgement import Judgement, Worst
from slo.entity import Entity
from slo.evaluate import Evaluation
from slo.losses import Blame
from slo.spec import Severity
from slo.verdicts import Budget, Episode

_MOST_ALERTS = 10

Blames = Mapping[tuple[str, Entity], Blame]
"""What a partition lost most to, by the SLO's name and the partition."""
_STYLES = {Severity.PAGE: "bold white on red", Severity.TICKET: "yellow", Severity.NONE: "dim"}


def screen(judged: Judgement, failures: tuple[str, ...], worst: Sequence[Worst], blames: Blames) -> RenderableType:
    """Draw a check."""
    parts: list[RenderableType] = [_verdict(failures), _scope(judged), Text(""), _objectives(judged)]
    firing = [one for evaluation in judged.evaluations for one in evaluation.firing]
    if firing:
        parts += [Text(""), _alerts(firing)]
    if worst:
        parts += [Text(""), _worst(worst, blames)]
    return Group(*parts)


def _verdict(failures: tuple[str, ...]) -> Text:
    if not failures:
        return Text("Kept: no budget is spent and no alert fires.", style="bold green")
    return Text(f"Not kept: {'; '.join(failures)}.", style="bold red")


def _scope(judged: Judgement) -> Text:
    asked = _length(judged.end - judged.start)
    many = "" if judged.partitions == 1 else "s"
    line = f"{judged.partitions} partition{many} at {judged.source}, the {asked} up to {_clock(judged.end)}"
    if judged.known_from is not None and judged.known_from > judged.start + 60:
        line += f"; history reaches back {_length(judged.end - judged.known_from + 60)}"
    return Text(line, style="dim")


def _objectives(judged: Judgement) -> Table:
    table = _table("SLO", "OBJECTIVE", "TARGET", "KEPT", "BUDGET LEFT", "BAD", "VALID", "IDLE", "UNKNOWN", "FIRING")
    for evaluation in judged.evaluations:
        for objective in evaluation.spec.objectives:
            found = evaluation.objectives[objective.name]
            table.add_row(
                evaluation.spec.name,
                objective.name,
                f"{objective.target:.6g}",
                _kept(found),
                _left(found),
                *(f"{number:,}" for number in (found.bad, found.valid, found.idle, found.unknown)),
                _firing(evaluation, objective.name),
            )
    return table


def _firing(evaluation: Evaluation, objective: str) -> Text:
    mine = [one.alert.severity for one in evaluation.firing if one.alert.labels.get("objective") == objective]
    line = Text()
    for severity in (Severity.PAGE, Severity.TICKET):
        count = mine.count(severity)
        if count:
            line.append(
                f"{' ' if line else ''}{count} {severity.value}{'s' if count > 1 else ''}", style=_STYLES[severity]
            )
    return line


def _alerts(firing: list[Episode]) -> Table:
    table = _table("FIRES", "SEVERITY", "SLO", "ABOUT", "SINCE")
    order = sorted(firing, key=lambda one: (one.alert.severity is not Severity.PAGE, one.since, one.alert.key))
    for one in order[:_MOST_ALERTS]:
        labels = one.alert.labels
        pod = f"{labels['namespace']}/{labels['pod']}" if "pod" in labels else labels.get("namespace", "")
        about = " ".join(word for word in (pod, labels.get("gpu", ""), labels.get("node", "")) if word)
        severity = Text(one.alert.severity.value, style=_STYLES[one.alert.severity])
        table.add_row(one.alert.name.value, severity, one.alert.slo, Text(about or "the fleet"), _clock(one.since))
    if len(order) > _MOST_ALERTS:
        table.add_row(f"and {len(order) - _MOST_ALERTS} more", "", "", "", "")
    return table


def _worst(worst: Sequence[Worst], blames: Blames) -> Table:
    table = _table("WORST PARTITIONS", "SLO", "KEPT", "BUDGET LEFT", "BAD", "VALID", "MOSTLY LOST TO")
    for one in worst:
        left, blame = one.left, blames.get((one.spec.name, one.who))
        table.add_row(
            Text(f"{one.who.namespace}/{one.who.pod}"),
            one.spec.name,
            _kept(left),
            _left(left),
            f"{left.bad:,}",
            f"{left.valid:,}",
            Text("not known" if blame is None else str(blame)),
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    numbers = {"TARGET", "KEPT", "BUDGET LEFT", "BAD", "VALID", "IDLE", "UNKNOWN"}
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True, overflow="ellipsis")
    return table


def _kept(found: Budget) -> str:
    return "-" if found.compliance is None else f"{found.compliance:.3%}"


def _left(found: Budget) -> Text:
    if found.remaining is None:
        return Text("-")
    return Text(f"{found.remaining:.1%}", style="red" if found.remaining < 0 else "")


def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _length(seconds: int) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds // 60} minutes"

"""A backtest on one screen: how often people would have been told, of what, how soon, and who is noisy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from slo.backtest.notified import Notified, noisiest
from slo.backtest.variants import Variant
from slo.evaluate import Evaluation
from slo.spec import Severity
from slo.verdicts import Budget

_WEEK = 7 * 86400
_MOST_PAGES = 15
_MOST_NOISY = 10


@dataclass(frozen=True, slots=True)
class Played:
    """A variant of an SLO played on the history."""

    variant: Variant
    evaluation: Evaluation
    notified: tuple[Notified, ...]

    def of(self, severity: Severity) -> list[Notified]:
        """Return what a severity would have told."""
        return [one for one in self.notified if one.episode.alert.severity is severity]

    @property
    def budget(self) -> Budget:
        """All objectives' slices together; the target is of the worst of them."""
        parts = list(self.evaluation.objectives.values())
        return min(parts, key=lambda one: 2.0 if one.remaining is None else one.remaining)


def screen(played: Sequence[Played], start: int, end: int, source: str, partitions: int) -> RenderableType:
    """Draw a backtest; `start` is Unix seconds of the first that is known."""
    as_is = [one for one in played if one.variant.as_is]
    pages = [one for each in as_is for one in each.of(Severity.PAGE)]
    parts: list[RenderableType] = [_headline(pages, as_is), _scope(start, end, source, partitions), Text("")]
    parts.append(_rates(as_is, end - start))
    if pages:
        parts += [Text(""), _pages(pages)]
    noisy = noisiest((one for each in as_is for one in each.notified), _MOST_NOISY)
    if noisy:
        parts += [Text(""), _noisy(noisy)]
    if any(one.variant.other for one in played):
        parts += [Text(""), _side_by_side(played, end - start)]
    if any(one.variant.changed for one in played):
        parts += [Text(""), _what_if([one for one in played if not one.variant.other], end - start)]
    return Group(*parts)


def _headline(pages: Sequence[Notified], as_is: Sequence[Played]) -> Text:
    tickets = sum(len(one.of(Severity.TICKET)) for one in as_is)
    said = f"Would have paged {_times(len(pages))} and written {tickets} ticket{'' if tickets == 1 else 's'}."
    if pages:
        said += f" From the first bad minute to the page: {_length(round(median(one.detection for one in pages)))} at the median."
    return Text(said, style="bold")


def _times(number: int) -> str:
    return {0: "nobody", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _scope(start: int, end: int, source: str, partitions: int) -> Text:
    many = "" if partitions == 1 else "s"
    return Text(
        f"{partitions} partition{many} at {source}, {_length(end - start)} from {_clock(start)} to {_clock(end)}; after inhibition",
        style="dim",
    )


def _rates(as_is: Sequence[Played], length: int) -> Table:
    table = _table("SLO", "PAGES", "A WEEK", "TICKETS", "A WEEK", "MEDIAN TO PAGE", "MEDIAN LENGTH")
    for one in as_is:
        pages, tickets = one.of(Severity.PAGE), one.of(Severity.TICKET)
        table.add_row(
            one.variant.base,
            str(len(pages)),
            _weekly(len(pages), length),
            str(len(tickets)),
            _weekly(len(tickets), length),
            _length(round(median(each.detection for each in pages))) if pages else "-",
            _length(round(median(each.lasted for each in pages))) if pages else "-",
        )
    return table


def _pages(pages: Sequence[Notified]) -> Table:
    table = _table("PAGE", "SLO", "ABOUT", "AT", "AFTER", "LASTED")
    for one in sorted(pages, key=lambda each: each.episode.since)[:_MOST_PAGES]:
        labels = one.episode.alert.labels
        pod = f"{labels['namespace']}/{labels['pod']}" if "pod" in labels else ""
        about = " ".join(word for word in (pod, labels.get("gpu", ""), labels.get("node", "")) if word)
        still = "" if one.episode.until is not None else ", still firing"
        table.add_row(
            one.episode.alert.name.value,
            one.episode.alert.slo,
            Text(about or "the fleet"),
            _clock(one.episode.since),
            _length(one.detection),
            f"{_length(one.lasted)}{still}",
        )
    if len(pages) > _MOST_PAGES:
        table.add_row(f"and {len(pages) - _MOST_PAGES} more", "", "", "", "", "")
    return table


def _noisy(noisy: Sequence[tuple[str, int]]) -> Table:
    table = _table("NOISIEST", "TOLD")
    for who, count in noisy:
        table.add_row(Text(who), str(count))
    return table


def _side_by_side(played: Sequence[Played], length: int) -> Table:
    """The two sets on the same history, SLO by SLO, and together."""
    table = _table("SIDE BY SIDE", "SET", "PAGES", "A WEEK", "TICKETS", "A WEEK", "MEDIAN TO PAGE", "BUDGET LEFT")
    sets = [
        (name, [one for one in played if not one.variant.changed and one.variant.other is other])
        for name, other in (("this", False), ("against", True))
    ]
    for base in dict.fromkeys(one.variant.base for _, found in sets for one in found):
        for name, found in sets:
            for one in found:
                if one.variant.base == base:
                    left = one.budget.remaining
                    _set_row(table, base, name, [one], length, "-" if left is None else f"{left:.1%}")
    for name, found in sets:
        _set_row(table, "all", name, found, length, "")
    return table


def _set_row(table: Table, slo: str, name: str, found: Sequence[Played], length: int, left: str) -> None:
    pages = [one for each in found for one in each.of(Severity.PAGE)]
    tickets = sum(len(each.of(Severity.TICKET)) for each in found)
    table.add_row(
        slo,
        name,
        str(len(pages)),
        _weekly(len(pages), length),
        str(tickets),
        _weekly(tickets, length),
        _length(round(median(one.detection for one in pages))) if pages else "-",
        left,
    )


def _what_if(played: Sequence[Played], length: int) -> Table:
    table = _table("WHAT IF", "TARGET", "ALLOW", "PAGES", "A WEEK", "TICKETS", "A WEEK", "BUDGET LEFT")
    for one in (each for each in played if each.budget.valid):
        pages, tickets = len(one.of(Severity.PAGE)), len(one.of(Severity.TICKET))
        left = one.budget.remaining
        table.add_row(
            one.variant.base,
            "as it is" if one.variant.target is None else f"{one.variant.target:g}",
            "as it is" if one.variant.allow is None else f"{one.variant.allow:g}",
            str(pages),
            _weekly(pages, length),
            str(tickets),
            _weekly(tickets, length),
            "-" if left is None else f"{left:.1%}",
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    words = {"SLO", "PAGE", "ABOUT", "AT", "NOISIEST", "WHAT IF", "SIDE BY SIDE", "SET"}
    for column in columns:
        table.add_column(column, justify="left" if column in words else "right", no_wrap=True, overflow="ellipsis")
    return table


def _weekly(number: int, length: int) -> str:
    return f"{number * _WEEK / length:.1f}"


def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _length(seconds: int) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds // 60} min"

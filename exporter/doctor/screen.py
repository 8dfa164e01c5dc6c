"""The doctor's findings on one screen. Every string is put into `Text`, which knows no markup, with names cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from exporter.doctor.report import Row, State, Table
from exporter.drift import Severity
from exporter.why.figures import printable

_STYLES = {
    State.OK: "green",
    State.PARTLY: "yellow",
    State.DOWN: "bold red",
    State.MISSING: "bold yellow",
    State.OFF: "dim",
    State.UNUSED: "dim",
    State.UNTOLD: "dim",
    Severity.BREACH: "bold red",
    Severity.AT_RISK: "bold yellow",
    Severity.WARNING: "yellow",
}
_NAME, _STATE = 26, 10


def screen(parts: Sequence[Table | Iterable[str]]) -> RenderableType:
    """Draw tables and lines, a blank line between each two; a part with nothing in it is left out."""
    drawn: list[RenderableType] = []
    for part in parts:
        found = _table(part) if isinstance(part, Table) else [Text(_printable(line)) for line in part]
        if found:
            drawn += [*([Text()] if drawn else []), *found]
    return Group(*drawn)


def _table(table: Table) -> list[RenderableType]:
    drawn: list[RenderableType] = []
    if table.rows:
        grid = RichTable(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for heading, width in zip(table.headings, (_NAME, _STATE, None), strict=True):
            grid.add_column(heading, width=width, overflow="fold")
        for row in table.rows:
            grid.add_row(*_cells(row))
        drawn.append(grid)
    return drawn + [Text(_printable(line)) for line in table.after]


def _cells(row: Row) -> tuple[Text, Text, Text]:
    style = next((style for state, style in _STYLES.items() if state == row.state), "")
    return Text(_printable(row.name)), Text(row.state, style=style), Text(_printable(row.words))


def _printable(words: str) -> str:
    """Lines without anything else that a terminal would act on: names and commands are a tenant's input."""
    return "\n".join(printable(line) for line in words.split("\n"))

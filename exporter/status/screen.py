"""The table of `slicewatch status`, and its line of totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.explain import percent
from exporter.status.rows import Row, State, modes
from exporter.why.case import Case
from exporter.why.figures import rough_span

_STYLES = {
    State.BREACH: "bold red",
    State.RECOVERED: "red",
    State.BLIND: "yellow",
    State.OK: "green",
    State.IDLE: "dim",
}


def screen(lines: Sequence[tuple[Case, Row]], top: int, unreached: Sequence[str]) -> RenderableType:
    """Draw the worst `top` lines, the totals of all, and who did not answer."""
    cases = [case for case, _ in lines]
    parts: list[RenderableType] = [_head(cases, [row for _, row in lines])]
    parts += [Text(f"not reached  {line}", style="bold red") for line in unreached]
    if lines:
        parts += [Text(), _table([row for _, row in lines[:top]])]
    if rest := [row for _, row in lines[top:]]:
        parts.append(Text(f"… and {len(rest)} more: {_states(rest)} (--top {len(lines)} shows them)", style="dim"))
    return Group(*parts)


def _head(cases: Sequence[Case], rows: Sequence[Row]) -> Text:
    nodes, gpus = len({case.node for case in cases}), len({case.key.gpu for case in cases})
    blind = sum(1 for row in rows if row.state is State.BLIND)
    head = Text.assemble(
        (f"{_count(nodes, 'node')}  {_count(gpus, 'GPU')}  {_count(len(cases), 'partition')}", "bold"),
        f" ({modes(cases)})" if cases else "",
        f"   trusted {len(rows) - blind}",
        (f", BLIND {blind}", "yellow" if blind else ""),
    )
    head.append(f"   {_window(cases)}", style="dim")
    return head


def _window(cases: Sequence[Case]) -> str:
    asked = max((case.window.asked or 0.0 for case in cases), default=0.0)
    return f"the last {rough_span(asked)}" if asked else "since each partition was first seen"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _states(rows: Sequence[Row]) -> str:
    counted = Counter(row.state for row in rows)
    return ", ".join(f"{counted[state]} {state}" for state in State if counted[state])


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("WHERE", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("OWNER", no_wrap=True, overflow="ellipsis", min_width=20, max_width=44)
    table.add_column("MODE", no_wrap=True)
    table.add_column("PROMISED, KEPT BY", no_wrap=True)
    table.add_column("GOT*", justify="right", no_wrap=True)
    table.add_column("BROKEN*", justify="right", no_wrap=True)
    table.add_column("STATE", overflow="fold", min_width=20)
    for row in rows:
        style = _STYLES[row.state]
        state = Text(str(row.state), style=style)
        state.append(f" {row.words}" if row.words else "", style="" if row.state is State.BREACH else "dim")
        broken = "-" if row.broken is None else percent(round(row.broken, 3))
        table.add_row(Text(row.where), Text(row.owner), Text(row.mode), Text(row.promised), row.got, broken, state)
    table.caption = Text("* while it was wanted and could be judged", style="dim")
    table.caption_justify = "left"
    return table

"""`slicewatch status`: the worst guarantees of a node or a fleet.

Exit status 0: nothing is broken now; 1: something is; 2: usage; 3: somebody could not be asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TextIO

from exporter.errors import SourceError
from exporter.snapshot_json import plain
from exporter.status.rows import Row, State, ranked
from exporter.status.screen import screen
from exporter.why.asking import Exporters, History, add_arguments, fleet_cases, snapshot_cases, target
from exporter.why.case import Case
from exporter.why.fetch import Ask, fetch
from toolkit.flags import FlagParser
from toolkit.terminal import show
from toolkit.values import whole_number

_BROKEN = 1
_UNREACHED = 3
_WIDTH = 160
_TOP = 20


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, ask: Ask = fetch) -> int:
    """List every partition, the worst first. Raises ConfigError for usage, SourceError when nobody answers."""
    parser = FlagParser("slicewatch status", "Every partition of a node or a fleet on one line, the worst first.")
    parser.add_argument("--top", type=whole_number(1, 100_000), default=_TOP, help=f"lines to show (default {_TOP})")
    add_arguments(parser, many=True)
    flags = parser.parse(argv)
    cases, unreached = _asked(target(flags, ask, many=True), ask)
    lines = ranked(cases)
    if flags.json:
        stdout.write(_document(lines, unreached))
    else:
        show(screen(lines, flags.top, unreached), stdout, environ, _WIDTH)
    if any(row.state is State.BREACH for _, row in lines):
        return _BROKEN
    return _UNREACHED if unreached else 0


def _asked(asked: Exporters | History, ask: Ask) -> tuple[list[Case], list[str]]:
    """Ask everybody; one node that is down does not hide the others."""
    if isinstance(asked, History):
        return list(fleet_cases(asked)), []
    cases: list[Case] = []
    failed: list[SourceError] = []
    for one in asked.sites:
        try:
            cases += snapshot_cases(Exporters((one,)), ask)
        except SourceError as error:
            failed.append(error)
    if len(failed) == len(asked.sites):
        raise SourceError("; ".join(str(error) for error in failed), failed[0].reason) from failed[0]
    return cases, [str(error) for error in failed]


def _document(lines: Sequence[tuple[Case, Row]], unreached: Sequence[str]) -> str:
    rows = [{"partition": case.key._asdict()} | _fields(row) for case, row in lines]
    return json.dumps({"partitions": rows, "unreached": list(unreached)}, ensure_ascii=True, indent=1) + "\n"


def _fields(row: Row) -> dict[str, object]:
    found = plain(row)
    return found if isinstance(found, dict) else {}

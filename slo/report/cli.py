"""`slicewatch slo report [FILE|DIR …] --prometheus URL`: what a period came to, as HTML or Markdown with plots.

Exit status 0: written; 2: usage, or it cannot be written; 3: nobody answers, or there is nothing to report on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from slo.asking import Connect, add_arguments, connect_to, specs_of, window
from slo.report.figures import figures
from slo.report.gathered import gather
from slo.report.pages import Money, html, markdown
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.yamltree import quoted

_STANDARD = "-"


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdout: TextIO,
    *,
    connected: Connect = connect_to,
    now: Callable[[], float] = time.time,
) -> int:
    """Write a report. Raises ConfigError and UnreachableError."""
    del environ
    flags = _parser().parse(argv)
    form = flags.format or ("markdown" if flags.output.endswith(".md") else "html")
    if form == "markdown" and flags.output == _STANDARD:
        raise ConfigError(
            "--output is missing: Markdown has its plots in files beside it; expected a file such as report.md"
        )
    money = Money(_rate(flags.rate), flags.currency)
    specs = specs_of(flags)
    made = now()
    found = gather(connected(flags), specs, *window(flags, specs, made))
    found.judged.need()
    report = figures(found)
    if flags.output == _STANDARD:
        stdout.write(html(report, money, made))
        return 0
    path = Path(flags.output)
    files = markdown(report, money, made, path.stem) if form == "markdown" else {path.name: html(report, money, made)}
    for name, text in files.items():
        _write(path.parent / name if name != f"{path.stem}.md" else path, text)
    return 0


def _parser() -> FlagParser:
    parser = FlagParser("slicewatch slo report", "What a period came to. The shipped objectives, without files.")
    add_arguments(parser)
    parser.add_argument(
        "--output", default=_STANDARD, metavar="FILE", help="where to write; - is standard output (default)"
    )
    parser.add_argument(
        "--format",
        choices=("html", "markdown"),
        help="html, or markdown with plots beside it (default: by the file's name)",
    )
    parser.add_argument("--rate", metavar="NUMBER", help="what a GPU-hour costs: broken hours become credits")
    parser.add_argument("--currency", default="$", metavar="TEXT", help="written before credits (default $)")
    return parser


def _rate(text: str | None) -> float:
    try:
        rate = float(text or 0)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate >= 0):
        raise ConfigError(f"--rate: {quoted(text or '')}; expected a number such as 2.50")
    return rate


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error

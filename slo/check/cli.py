"""`slicewatch slo check [FILE|DIR …] --prometheus URL`: are the objectives kept? For people, CI and cron.

Exit status 0: kept; 1: a budget is spent, or an alert of a severity that was asked for fires; 2: usage; 3: nobody answers, or
there is nothing to judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from slo.asking import Connect, add_arguments, connect_to, specs_of, window
from slo.check.document import document
from slo.check.judgement import Judgement, Worst, judge
from slo.check.screen import Blames, screen
from slo.entity import Entity
from slo.losses import Blame, blamed
from slo.samples import History
from toolkit.flags import FlagParser
from toolkit.terminal import show

_WIDTH = 132
_WORST = 5
_CHOICES = {"page": ("page",), "ticket": ("page", "ticket"), "budget": ("budget",), "any": ("page", "ticket", "budget")}


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdout: TextIO,
    *,
    connected: Connect = connect_to,
    now: Callable[[], float] = time.time,
) -> int:
    """Check objectives. Raises ConfigError, and UnreachableError when nobody answers or nothing is there to judge."""
    parser = FlagParser("slicewatch slo check", "Are the objectives kept? The shipped ones, without files.")
    add_arguments(parser)
    parser.add_argument(
        "--fail-on", choices=sorted(_CHOICES), default="any", help="what makes the exit status 1 (default any)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    flags = parser.parse(argv)
    specs = specs_of(flags)
    start, end = window(flags, specs, now())
    history = connected(flags)
    judged = judge(history, specs, start, end)
    judged.need()
    worst = judged.worst(_WORST)
    blames = _blames(history, worst, start, end)
    failures = tuple(_failures(judged, _CHOICES[flags.fail_on]))
    if flags.json:
        stdout.write(document(judged, failures, worst, blames))
    else:
        show(screen(judged, failures, worst, blames), stdout, environ, _WIDTH)
    return 1 if failures else 0


def _blames(history: History, worst: Sequence[Worst], start: int, end: int) -> Blames:
    found: dict[tuple[str, Entity], Blame] = {}
    for spec in {one.spec.name: one.spec for one in worst}.values():
        mine = [one.who for one in worst if one.spec.name == spec.name]
        found |= {(spec.name, who): blame for who, blame in blamed(history, spec, mine, start, end).items()}
    return found


def _failures(judged: Judgement, asked: Sequence[str]) -> list[str]:
    found = []
    for severity in ("page", "ticket"):
        firing = [one for each in judged.evaluations for one in each.firing if one.alert.severity.value == severity]
        if firing and severity in asked:
            found.append(f"{len(firing)} {severity}{'s fire' if len(firing) > 1 else ' fires'}")
    if "budget" in asked:
        found += [
            f"the budget of {one.spec.name}/{name} is spent"
            for one in judged.evaluations
            for name, left in one.objectives.items()
            if left.remaining is not None and left.remaining < 0
        ]
    return found

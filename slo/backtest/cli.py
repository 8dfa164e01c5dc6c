"""`slicewatch slo backtest [FILE|DIR …] --prometheus URL`: what objectives would have paged for, before they do.

Exit status 0: played; 2: usage; 3: nobody answers, or there is nothing to play on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from slo import specfile
from slo.asking import Connect, add_arguments, connect_to, specs_of, window
from slo.backtest.notified import notified
from slo.backtest.screen import Played, screen
from slo.backtest.variants import others, variants
from slo.check.judgement import Judgement, judge
from slo.spec import Severity
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.terminal import show
from toolkit.yamltree import quoted

_WIDTH = 132


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdout: TextIO,
    *,
    connected: Connect = connect_to,
    now: Callable[[], float] = time.time,
) -> int:
    """Play objectives on a history. Raises ConfigError and UnreachableError."""
    parser = FlagParser(
        "slicewatch slo backtest", "What would have paged, when, and how soon. The shipped ones, without files."
    )
    add_arguments(parser)
    parser.add_argument("--target", metavar="RATIO,…", help="what if: targets to try, such as 0.95,0.99,0.995")
    parser.add_argument("--allow", metavar="RATIO,…", help="what if: allowances to try, such as 0.1,0.5")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        type=Path,
        metavar="FILE|DIR",
        help="another set of objectives, to stand beside these on the same history; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    flags = parser.parse(argv)
    targets = _ratios("--target", flags.target, least=1e-9)
    allows = _ratios("--allow", flags.allow, least=0.0)
    tried = list(variants(specs_of(flags), targets, allows))
    if flags.against:
        tried += others(specfile.load_all(flags.against))
    start, end = window(flags, [one.spec for one in tried], now())
    judged = judge(connected(flags), [one.spec for one in tried], start, end)
    judged.need()
    played = [
        Played(variant, found, notified(found.episodes, variant.spec.group_by, end))
        for variant, found in zip(tried, judged.evaluations, strict=True)
    ]
    known = start if judged.known_from is None else judged.known_from
    if flags.json:
        stdout.write(_document(played, judged, known))
    else:
        show(screen(played, known, end, judged.source, judged.partitions), stdout, environ, _WIDTH)
    return 0


def _ratios(flag: str, text: str | None, *, least: float) -> list[float]:
    found = []
    for word in (text or "").split(",") if text else ():
        try:
            value = float(word)
        except ValueError:
            value = -1.0
        if not least <= value < 1:
            raise ConfigError(f"{flag}: {quoted(word)}; expected ratios from 0 to below 1, such as 0.95,0.99")
        found.append(value)
    return found


def _document(played: Sequence[Played], judged: Judgement, known: int) -> str:
    found = {
        "source": judged.source,
        "start": known,
        "end": judged.end,
        "partitions": judged.partitions,
        "slos": [
            {
                "slo": one.variant.base,
                "set": "against" if one.variant.other else "this",
                "target": one.variant.target,
                "allow": one.variant.allow,
                "pages": len(one.of(Severity.PAGE)),
                "tickets": len(one.of(Severity.TICKET)),
                "budget_remaining": one.budget.remaining,
                "notified": [
                    {
                        "name": each.episode.alert.name.value,
                        "severity": each.episode.alert.severity.value,
                        "labels": dict(each.episode.alert.labels),
                        "since": each.episode.since,
                        "until": each.episode.until,
                        "detection_seconds": each.detection,
                        "lasted_seconds": each.lasted,
                    }
                    for each in one.notified
                ],
            }
            for one in played
        ],
    }
    return json.dumps(found, indent=1) + "\n"

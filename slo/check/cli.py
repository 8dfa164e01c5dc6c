"""`slicewatch slo check [FILE|DIR …] --prometheus URL`: are the objectives kept? For people, CI and cron.

Exit status 0: kept; 1: a budget is spent, or an alert of a severity that was asked for fires; 2: usage; 3: nobody answers, or
there is nothing to judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from slo import specfile
from slo.check.document import document
from slo.check.judgement import Judgement, judge
from slo.check.screen import screen
from slo.prometheus.store import connect
from slo.samples import History
from slo.spec import SLICE
from toolkit.errors import ConfigError, UnreachableError
from toolkit.flags import FlagParser
from toolkit.site import Site, site
from toolkit.terminal import show
from toolkit.values import duration_within
from toolkit.yamltree import quoted

_WIDTH = 132
_DEADLINE = 60.0
_CHOICES = {"page": ("page",), "ticket": ("page", "ticket"), "budget": ("budget",), "any": ("page", "ticket", "budget")}

Connect = Callable[[Site, str | None], History]


def _connect(where: Site, tenant: str | None) -> History:
    return connect(where, deadline=_DEADLINE, tenant=tenant)


def main(
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdout: TextIO,
    *,
    connected: Connect = _connect,
    now: Callable[[], float] = time.time,
) -> int:
    """Check objectives. Raises ConfigError, and UnreachableError when nobody answers or nothing is there to judge."""
    parser = FlagParser("slicewatch slo check", "Are the objectives kept? The shipped ones, without files.")
    parser.add_argument("path", nargs="*", type=Path, metavar="FILE|DIR", help="PartitionSLO files, or folders of them")
    parser.add_argument(
        "--prometheus", metavar="URL", help="where the counters are: Prometheus, Mimir, Thanos, VictoriaMetrics"
    )
    parser.add_argument("--prometheus.tenant", dest="tenant", metavar="NAME", help="tenant for Mimir (X-Scope-OrgID)")
    parser.add_argument("--tls.ca-file", dest="ca_file", type=Path, metavar="FILE", help="authority to trust, in PEM")
    parser.add_argument(
        "--web.credentials-file", dest="credentials", type=Path, metavar="FILE", help="file with one line user:password"
    )
    parser.add_argument("--since", metavar="DURATION", help="window (default: the longest period of the objectives)")
    parser.add_argument("--at", metavar="TIME", help="end of the window (default now)")
    parser.add_argument(
        "--fail-on", choices=sorted(_CHOICES), default="any", help="what makes the exit status 1 (default any)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    flags = parser.parse(argv)
    if flags.prometheus is None:
        raise ConfigError("--prometheus is missing: expected the address of what scrapes the exporters")
    specs = specfile.load_all(flags.path)
    end = int((_instant(flags.at) if flags.at else now()) // SLICE) * SLICE
    length = _window(flags.since) if flags.since else max(spec.period for spec in specs)
    store = connected(site(flags.prometheus, flags.ca_file, flags.credentials), flags.tenant)
    judged = judge(store, specs, end - length, end)
    if judged.known_from is None:
        raise UnreachableError(
            f"{store.name}: no counters of partitions in that time; is it what scrapes the exporters?"
        )
    failures = tuple(_failures(judged, _CHOICES[flags.fail_on]))
    if flags.json:
        stdout.write(document(judged, failures))
    else:
        show(screen(judged, failures), stdout, environ, _WIDTH)
    return 1 if failures else 0


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


def _window(text: str) -> int:
    try:
        return int(duration_within("1h", "90d")(text) // SLICE) * SLICE
    except ValueError as error:
        raise ConfigError(f"--since: {quoted(text)}; expected {error}") from error


def _instant(text: str) -> float:
    try:
        if text.replace(".", "", 1).isdecimal():
            return float(text)
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--at: {quoted(text)}; expected a time such as 2026-01-31T14:05:00Z") from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

"""The flags that `check` and `backtest` share: which objectives, whose history, and which part of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from slo import specfile
from slo.embedded.reader import opened
from slo.prometheus.store import connect
from slo.samples import History
from slo.spec import SLICE, PartitionSLO
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.site import Access, site
from toolkit.values import duration_within
from toolkit.yamltree import quoted

DEADLINE = 60.0
"""Seconds for one answer of the store; a long window is many."""

Connect = Callable[[argparse.Namespace], History]


def add_arguments(parser: FlagParser) -> None:
    """Add the shared flags."""
    parser.add_argument("path", nargs="*", type=Path, metavar="FILE|DIR", help="PartitionSLO files, or folders of them")
    parser.add_argument(
        "--prometheus", metavar="URL", help="where the counters are: Prometheus, Mimir, Thanos, VictoriaMetrics"
    )
    parser.add_argument(
        "--history",
        type=Path,
        metavar="DIR",
        help="instead: the history that `slicewatch slo run` keeps (its --history.path)",
    )
    parser.add_argument("--prometheus.tenant", dest="tenant", metavar="NAME", help="tenant for Mimir (X-Scope-OrgID)")
    parser.add_argument("--tls.ca-file", dest="ca_file", type=Path, metavar="FILE", help="authority to trust, in PEM")
    parser.add_argument(
        "--web.credentials-file", dest="credentials", type=Path, metavar="FILE", help="file with one line user:password"
    )
    parser.add_argument("--since", metavar="DURATION", help="window (default: the longest period of the objectives)")
    parser.add_argument("--at", metavar="TIME", help="end of the window (default now)")


def connect_to(flags: argparse.Namespace) -> History:
    """Return the store that the flags name. Raises ConfigError."""
    if flags.history is not None:
        if flags.prometheus is not None:
            raise ConfigError("--prometheus and --history are two sources: expected one of them")
        return opened(flags.history)
    if flags.prometheus is None:
        raise ConfigError(
            "--prometheus is missing: expected the address of what scrapes the exporters, or --history with a folder"
        )
    return connect(
        site(flags.prometheus, Access(ca_file=flags.ca_file, credentials_file=flags.credentials)),
        deadline=DEADLINE,
        tenant=flags.tenant,
    )


def specs_of(flags: argparse.Namespace) -> tuple[PartitionSLO, ...]:
    """Return the objectives that the flags name. Raises ConfigError with every fault of every file."""
    return specfile.load_all(flags.path)


def window(flags: argparse.Namespace, specs: Sequence[PartitionSLO], now: float) -> tuple[int, int]:
    """Return the window (Unix seconds, whole minutes). Raises ConfigError."""
    end = int((_instant(flags.at) if flags.at else now) // SLICE) * SLICE
    return end - (_length(flags.since) if flags.since else max(spec.period for spec in specs)), end


def _length(text: str) -> int:
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

"""The flags that `why` and `status` share, and the asking: of exporters, or of Prometheus as of an instant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exporter.why import from_prometheus, from_snapshot
from exporter.why.case import Case
from exporter.why.fetch import Ask, fetch
from exporter.why.prometheus import Prometheus
from toolkit import values
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.site import Access, Site, site
from toolkit.yamltree import quoted

DEFAULT_URL = "http://localhost:9945"
_SINCE = "30m"
_LEAST, _MOST = "1m", "52w"


@dataclass(frozen=True, slots=True)
class Exporters:
    """Exporters to ask for their snapshots."""

    sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class History:
    """A Prometheus to ask, and the window in seconds."""

    prometheus: Prometheus
    window: float


def add_arguments(parser: FlagParser, *, many: bool) -> None:
    """Add the shared flags; `many` lets `--url` be given more than once."""
    again = "; may be given again" if many else ""
    parser.add_argument(
        "--url", action="append", metavar="URL", help=f"an exporter to ask{again} (default {DEFAULT_URL})"
    )
    parser.add_argument("--prometheus", metavar="URL", help="a Prometheus to ask instead")
    parser.add_argument(
        "--since", type=_duration, metavar="DURATION", help=f"window, with --prometheus (default {_SINCE})"
    )
    parser.add_argument(
        "--at", type=_instant, metavar="TIME", help="end of the window, with --prometheus (default now)"
    )
    parser.add_argument("--tls.ca-file", dest="ca_file", type=Path, metavar="FILE", help="authority to trust, in PEM")
    parser.add_argument(
        "--web.credentials-file",
        dest="credentials",
        type=Path,
        metavar="FILE",
        help="file with one line user:password, for basic authentication",
    )
    parser.add_argument("--json", action="store_true", help="write the case file as JSON")


def target(flags: argparse.Namespace, ask: Ask = fetch, *, many: bool) -> Exporters | History:
    """Return whom to ask. Raises ConfigError."""
    urls: Sequence[str] = flags.url or ()
    access = Access(ca_file=flags.ca_file, credentials_file=flags.credentials)
    if flags.prometheus is None:
        for name in ("since", "at"):
            if getattr(flags, name) is not None:
                raise ConfigError(
                    f"--{name} needs --prometheus: an exporter has no history, its counters begin with the partition"
                )
        if len(urls) > 1 and not many:
            raise ConfigError("--url is given more than once; expected once")
        return Exporters(tuple(site(url, access) for url in urls or (DEFAULT_URL,)))
    if urls:
        raise ConfigError("--url and --prometheus contradict each other; expected one of them")
    asked = Prometheus(site(flags.prometheus, access), ask, flags.at)
    return History(asked, values.duration(_SINCE) if flags.since is None else flags.since)


def snapshot_cases(asked: Exporters, ask: Ask = fetch) -> tuple[Case, ...]:
    """The cases of every partition that the exporters know. Raises SourceError."""
    return tuple(case for one in asked.sites for case in from_snapshot.cases(ask(one, "/snapshot"), one.url))


def pod_cases(asked: History, namespace: str, pod: str) -> tuple[Case, ...]:
    """The cases of the partitions on the GPUs that a pod held a part of. Raises SourceError."""
    gpus = from_prometheus.gpus_of(asked.prometheus, namespace, pod, asked.window)
    return from_prometheus.cases(asked.prometheus, asked.window, gpus) if gpus else ()


def fleet_cases(asked: History) -> tuple[Case, ...]:
    """The cases of every partition of the fleet. Raises SourceError."""
    return from_prometheus.cases(asked.prometheus, asked.window)


def _duration(text: str) -> float:
    try:
        return values.duration_within(_LEAST, _MOST)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{quoted(text)}; expected {error}") from error


def _instant(text: str) -> float:
    """Unix seconds, or an ISO 8601 time; one without an offset is UTC."""
    try:
        return float(text) if text.replace(".", "", 1).isdecimal() else _parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{quoted(text)}; expected a time such as 2026-01-31T14:05:00Z") from error


def _parsed(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

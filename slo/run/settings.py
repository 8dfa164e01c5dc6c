"""What `slicewatch slo run` was asked for: flags, the configuration file, and what they come to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slo.run import options
from slo.run.options import OPTIONS
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.logs import Log
from toolkit.options import Parsed, add_arguments, read
from toolkit.site import Access, Site, site
from toolkit.web.server import Web

_MAX_REQUESTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FromPrometheus:
    """Counters are read from something that speaks Prometheus's API."""

    site: Site
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FromExporters:
    """Exporters are scraped, and what they say is kept."""

    urls: tuple[str, ...]
    file: Path | None
    access: Access
    history: Path
    retention: float  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Where alerts go."""

    peers: tuple[Site, ...]
    journal: Path
    most: int
    labels: dict[str, str]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `slicewatch slo run` was asked for."""

    specs: tuple[Path, ...]
    source: FromPrometheus | FromExporters
    alerts: Alerts
    web: Web
    log: Log


def parse(argv: Sequence[str]) -> Settings:
    """Parse the flags and the file that they name. Raises ConfigError with one line for each fault."""
    parser = FlagParser(
        "slicewatch slo run",
        "Evaluate objectives every minute, serve what comes of it, and post alerts.",
    )
    add_arguments(parser, OPTIONS)
    return settings(parser.parse(argv))


def settings(namespace: argparse.Namespace) -> Settings:
    """Make settings of a namespace to whose parser OPTIONS were added. Raises ConfigError with every fault."""
    problems: list[str] = []
    parsed = read(namespace, OPTIONS, options.CONFIG_FILE, problems)
    _refuse_contradictions(parsed, problems)
    if problems:
        raise ConfigError(*problems)
    peers = parsed.all(options.ALERTMANAGER)
    return Settings(
        specs=parsed.all(options.SPECS),
        source=_source(parsed),
        alerts=Alerts(
            peers=tuple(site(url, _access(parsed, options.ALERTMANAGER_ACCESS)) for url in peers),
            journal=parsed[options.JOURNAL],
            most=parsed[options.MOST_ALERTS],
            labels=dict(parsed.all(options.EXTERNAL_LABEL)),
            url=parsed[options.EXTERNAL_URL],
        ),
        web=Web(listen=parsed[options.LISTEN], config_file=parsed[options.WEB_CONFIG], max_requests=_MAX_REQUESTS),
        log=Log(level=parsed[options.LOG_LEVEL], format=parsed[options.LOG_FORMAT]),
    )


def _source(parsed: Parsed) -> FromPrometheus | FromExporters:
    if parsed[options.PROMETHEUS]:
        where = site(parsed[options.PROMETHEUS], _access(parsed, options.PROMETHEUS_ACCESS))
        return FromPrometheus(site=where, tenant=parsed[options.PROMETHEUS_TENANT])
    return FromExporters(
        urls=parsed.all(options.EXPORTER),
        file=parsed[options.EXPORTERS_FILE],
        access=_access(parsed, options.EXPORTERS_ACCESS),
        history=parsed[options.HISTORY],
        retention=parsed[options.RETENTION],
    )


def _access(parsed: Parsed, asked: options.AccessOptions) -> Access:
    return Access(
        ca_file=parsed[asked.ca],
        credentials_file=parsed[asked.credentials],
        cert_file=parsed[asked.cert],
        key_file=parsed[asked.key],
    )


def _refuse_contradictions(parsed: Parsed, problems: list[str]) -> None:
    exporters = [parsed.given(option) for option in (options.EXPORTER, options.EXPORTERS_FILE)]
    named = [origin for origin in exporters if origin is not None]
    if parsed[options.PROMETHEUS] and named:
        problems.append(
            f"{named[0]} and {parsed.given(options.PROMETHEUS)} contradict each other; expected one of them"
        )
    if not parsed[options.PROMETHEUS] and not named:
        problems.append("nothing to evaluate: expected --prometheus, --exporter or --exporters.file")
    names = [name for name, _ in parsed.all(options.EXTERNAL_LABEL)]
    problems.extend(
        f"--{options.EXTERNAL_LABEL.name} names {name} {names.count(name)} times; expected once"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    )

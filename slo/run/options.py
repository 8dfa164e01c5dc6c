"""The options of `slicewatch slo run` as one table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from toolkit import values
from toolkit.options import Option
from toolkit.values import Level, LogFormat


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}", name) or not value:
        raise ValueError("a label such as cluster=eu-1")
    return name, value


def _address(text: str) -> str:
    if not text:
        raise ValueError("a URL such as http://HOST:PORT")
    return text


class AccessOptions(NamedTuple):
    """The options that say how a kind of site is asked."""

    ca: Option[Path | None]
    credentials: Option[Path | None]
    cert: Option[Path | None]
    key: Option[Path | None]


def _access(name: str, whom: str) -> AccessOptions:
    def file(ending: str, said: str) -> Option[Path | None]:
        return Option(name=f"{name}.{ending}", metavar="FILE", parse=values.optional_path, default="", help=said)

    return AccessOptions(
        ca=file("ca-file", f"Authority to trust for {whom}, in PEM."),
        credentials=file("credentials-file", f"File with one line user:password for {whom}."),
        cert=file("cert-file", f"Our own certificate for {whom}, in PEM; needs https."),
        key=file("key-file", "Its key, in PEM, when it is not in the same file."),
    )


SPECS = Option(
    name="specs",
    metavar="PATH",
    parse=values.path,
    default="",
    many=True,
    help="A PartitionSLO file, or a folder of them; the shipped ones when none is named.",
)
PROMETHEUS = Option(
    name="prometheus",
    metavar="URL",
    parse=str,
    default="",
    help="A Prometheus, Mimir, Thanos or VictoriaMetrics to read the counters from.",
)
PROMETHEUS_ACCESS = _access("prometheus", "it")
PROMETHEUS_TENANT = Option(
    name="prometheus.tenant", metavar="NAME", parse=str, default="", help="Tenant for Mimir (X-Scope-OrgID)."
)
EXPORTER = Option(
    name="exporter",
    metavar="URL",
    parse=_address,
    default="",
    many=True,
    help="A slicewatch exporter to scrape, without a Prometheus.",
)
EXPORTERS_FILE = Option(
    name="exporters.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="Exporters to scrape, in Prometheus's file_sd format; read again when it changes.",
)
EXPORTERS_ACCESS = _access("exporters", "exporters")
HISTORY = Option(
    name="history.path",
    metavar="DIR",
    parse=values.path,
    default="slicewatch-history",
    help="Where scraped history is kept, in Parquet; not used with --prometheus.",
)
RETENTION = Option(
    name="history.retention",
    metavar="DURATION",
    parse=values.duration_within("1d", "400d"),
    default="35d",
    help="How long scraped history is kept.",
)
ALERTMANAGER = Option(
    name="alertmanager",
    metavar="URL",
    parse=_address,
    default="",
    many=True,
    help="An Alertmanager to post to; name every peer of a cluster, never a load balancer. Without one, alerts are only shown.",
)
ALERTMANAGER_ACCESS = _access("alertmanager", "Alertmanagers")
JOURNAL = Option(
    name="journal.file",
    metavar="FILE",
    parse=values.path,
    default="slicewatch-alerts.db",
    help="Where it is written down which alerts were sent; a restart goes on from it.",
)
MOST_ALERTS = Option(
    name="alerts.max",
    metavar="N",
    parse=values.whole_number(1, 100_000),
    default="500",
    help="Alerts posted at a time, the worst first; what is above that is told by one alert.",
)
EXTERNAL_LABEL = Option(
    name="external-label",
    metavar="NAME=VALUE",
    parse=_label,
    default="",
    many=True,
    help="A label for every alert, as Prometheus's external_labels.",
)
EXTERNAL_URL = Option(
    name="web.external-url",
    metavar="URL",
    parse=str,
    default="",
    help="Where people reach this program; the link of its alerts.",
)
LISTEN = Option(
    name="web.listen-address",
    metavar="ADDRESS",
    parse=values.address,
    default="0.0.0.0:9946",
    help="Address to serve on; `:9946` is every interface, IPv4 and IPv6.",
)
WEB_CONFIG = Option(
    name="web.config.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="TLS and basic authentication, in the exporter-toolkit's format.",
)
CONFIG_FILE = Option(
    name="config.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="YAML file with any of these options as keys; a flag overrides it.",
)
LOG_LEVEL = Option(
    name="log.level",
    metavar="LEVEL",
    parse=values.word_of(Level),
    default="info",
    help="Least severe line written: debug, info, warn or error.",
)
LOG_FORMAT = Option(
    name="log.format", metavar="FORMAT", parse=values.word_of(LogFormat), default="logfmt", help="logfmt or json."
)

OPTIONS: tuple[Option[object], ...] = (
    SPECS,
    PROMETHEUS,
    *PROMETHEUS_ACCESS,
    PROMETHEUS_TENANT,
    EXPORTER,
    EXPORTERS_FILE,
    *EXPORTERS_ACCESS,
    HISTORY,
    RETENTION,
    ALERTMANAGER,
    *ALERTMANAGER_ACCESS,
    JOURNAL,
    MOST_ALERTS,
    EXTERNAL_LABEL,
    EXTERNAL_URL,
    LISTEN,
    WEB_CONFIG,
    CONFIG_FILE,
    LOG_LEVEL,
    LOG_FORMAT,
)
"""Every option, in the order of the help."""

"""Which format and encoding a scraper wants, from its Accept and Accept-Encoding headers.

Nothing is ever refused for these headers: who asks for what is not offered gets Prometheus text, uncompressed. That is
how Prometheus's own libraries answer (prometheus/common expfmt/encode.go, Negotiate), and scrapers rely on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.web.page import Format

_MAX_CLAUSES = 64
_OPENMETRICS = ("application/openmetrics-text", frozenset({"", "1.0.0"}))
_TEXT = ("text/plain", frozenset({"", "0.0.4"}))


def metrics_format(accept: str) -> Format:
    """Return the format of the page for an Accept header: the highest q first, then the order of the header."""
    clauses = [(quality, kind, parameters) for kind, parameters, quality in _clauses(accept) if quality > 0]
    for _, kind, parameters in sorted(clauses, key=lambda clause: -clause[0]):
        version = parameters.get("version", "")
        if kind == _OPENMETRICS[0] and version in _OPENMETRICS[1]:
            return Format.OPENMETRICS
        if kind in {"*/*", "text/*"} or (kind == _TEXT[0] and version in _TEXT[1]):
            return Format.TEXT
    return Format.TEXT


def gzip_wanted(accept_encoding: str) -> bool:
    """Whether gzip may be sent for an Accept-Encoding header; `gzip;q=0` forbids it, whatever `*` says."""
    qualities = {kind: quality for kind, _, quality in _clauses(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _clauses(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for clause in header.split(",")[:_MAX_CLAUSES]:
        kind, *rest = (part.strip() for part in clause.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
        yield kind.lower(), parameters, _quality(parameters.get("q", "1"))


def _quality(text: str) -> float:
    """Return q; one that is no number from 0 to 1 counts as 0, so that a malformed clause is never preferred."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0

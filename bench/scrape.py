"""Scrapes over one kept connection, as Prometheus makes them, and how long each takes to its last byte."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from bench.measure import percentile

_OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


class Form(Enum):
    """What is asked for: plain text, or what Prometheus asks for by default."""

    TEXT = "text"
    PROMETHEUS = "gzip, OpenMetrics"

    @property
    def headers(self) -> dict[str, str]:
        """Request headers."""
        if self is Form.TEXT:
            return {"Accept": "text/plain", "Accept-Encoding": "identity"}
        return {"Accept": _OPENMETRICS, "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from request to last byte, by nearest rank; and the body's bytes as sent."""

    p50: float
    p99: float
    size: int


class Scraper:
    """One kept connection to /metrics that asks for one form. `taken` are the seconds of its scrapes."""

    def __init__(self, port: int, form: Form) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = form.headers
        self.taken: list[float] = []
        self.size = 0  # bytes of the last body as sent

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def scrape(self) -> bytes:
        """Ask once and return the body as sent; b"" while there is no page yet. Raises ValueError on a refusal."""
        started = time.perf_counter()
        self._connection.request("GET", "/metrics", headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        self.taken.append(time.perf_counter() - started)
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return b""
        if response.status != HTTPStatus.OK:
            raise ValueError(f"a scrape was answered with status {response.status}")
        self.size = len(body)
        return body


def summary(taken: Sequence[float], size: int) -> Latency:
    """Percentiles of scrapes, of which the first opened the connection and is left out."""
    counted = taken[1:]
    return Latency(percentile(counted, 50), percentile(counted, 99), size)


def latency(port: int, form: Form, count: int, spacing: float) -> Latency:
    """Scrape `count` times, `spacing` seconds apart, after the one that opens the connection.

    The spacing is no divisor of the tick, so that scrapes fall on all of its phases.
    """
    with contextlib.closing(Scraper(port, form)) as scraper:
        scraper.scrape()
        for _ in range(count):
            time.sleep(spacing)
            scraper.scrape()
        return summary(scraper.taken, scraper.size)

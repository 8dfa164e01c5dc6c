"""The page: its size, and the same page written by the client library as the peer, in the same run.

The peer is given its advantage: its metric objects are made beforehand and only `generate_latest` is timed, which writes
one format; our time is for both, put together. Our page has two times: `first` writes every line, `next` takes over the lines whose
value has not changed, which is what a running exporter does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bench.measure import median, timed
from bench.tick import Ticker, both, frozen_heap
from exporter.catalogue import Kind
from exporter.exposition import Distribution, Family, Writer, number


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures:
    """Bytes, and median CPU seconds."""

    series: int
    text_bytes: int
    gzip_bytes: int  # OpenMetrics
    gzip_seconds: float
    first_seconds: float
    next_seconds: float
    peer_seconds: float


def figures(ticker: Ticker, rounds: int) -> PageFigures:
    """Measure the last page that a ticker made. Raises AssertionError when the peer's page is another page."""
    made = ticker.families
    registry = CollectorRegistry()
    registry.register(_Ready([_converted(each) for each in made if each.rows]))
    first: list[float] = []
    peer: list[float] = []
    peers_page = b""
    with frozen_heap():
        for _ in range(rounds):
            timed(first, _first_page, made)
            peers_page = timed(peer, generate_latest, registry)
    if _samples(peers_page) != _samples(Writer().render(made).text):
        raise AssertionError("the client library's page has other samples than ours")
    return PageFigures(
        series=ticker.series,
        text_bytes=len(ticker.text),
        gzip_bytes=len(ticker.packed),
        gzip_seconds=median(ticker.times.gzip),
        first_seconds=median(first),
        next_seconds=median(ticker.times.render) + median(ticker.times.join),
        peer_seconds=median(peer),
    )


def _first_page(made: list[Family]) -> tuple[bytes, bytes]:
    return both(Writer().render(made))


def _samples(page: bytes) -> int:
    return sum(1 for line in page.splitlines() if not line.startswith(b"#"))


class _Ready(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def _converted(family: Family) -> Metric:
    metric = family.metric
    name = metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.label_names)
        for key, value in family.rows:
            if isinstance(value, Distribution):
                bounds = [*map(number, value.bounds), "+Inf"]
                histogram.add_metric(key, list(zip(bounds, value.counts, strict=True)), value.total)
        return histogram
    made = Metric(name, metric.help, metric.kind)
    for key, value in family.rows:
        if not isinstance(value, Distribution):
            made.add_sample(metric.name, dict(zip(metric.label_names, key, strict=True)), value)
    return made

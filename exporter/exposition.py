"""From samples to bytes: the Prometheus text format 0.0.4 and OpenMetrics 1.0 of one page.

Our own writer, because the page is rendered on every tick: the client library's takes many times longer (bench/page.py
measures both in one run) and stays the oracle of the tests. A line whose value has not changed since the last page is
taken over as it is; most counters of a partition stand still at any moment.

What it refuses: a metric that is not in the catalogue, a key of another type, a value that is not finite, the same key
twice. Such a row is a defect of this program, so it raises; the page before stays up.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeVar

from exporter.catalogue import METRICS, Kind, Metric
from exporter.labelvalue import MAX_BYTES, bounded

K = TypeVar("K", bound=tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's state: cumulative counts for each bucket bound (the last is +Inf), and the sum."""

    bounds: tuple[float, ...]  # without +Inf
    counts: tuple[int, ...]  # cumulative, one more than bounds
    total: float


Value = float | Distribution


@dataclass(frozen=True, slots=True)
class Family:
    """The rows of one metric on one page."""

    metric: Metric[tuple[str, ...]]
    rows: Sequence[tuple[tuple[str, ...], Value]]


def family(metric: Metric[K], rows: Sequence[tuple[K, float]]) -> Family:
    """Pair a metric with rows keyed by its own key type; mypy refuses another."""
    return Family(metric, rows)


def distributions(metric: Metric[K], rows: Sequence[tuple[K, Distribution]]) -> Family:
    """Pair a histogram with its rows."""
    return Family(metric, rows)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A family of the client library (`process_*`, `python_*`), already as sample lines without the final newline."""

    name: str  # without _total
    kind: str
    help: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One page in both formats, as the pieces of which each is made: only a format that is asked for is put together."""

    text_pieces: tuple[bytes, ...]
    openmetrics_pieces: tuple[bytes, ...]
    series: int

    @property
    def text(self) -> bytes:
        """The page in the text format 0.0.4."""
        return b"".join(self.text_pieces)

    @property
    def openmetrics(self) -> bytes:
        """The page in OpenMetrics 1.0."""
        return b"".join(self.openmetrics_pieces)


@dataclass(slots=True)
class _Line:
    """A series as it was last written. `page` numbers the page that it last stood on."""

    value: Value
    text: str
    page: int


@dataclass(slots=True)
class Writer:
    """Renders pages; keeps the lines of the last page to take over what has not changed.

    A series that is on the page again costs one look-up; its labels are written once in its life.
    """

    _lines: dict[str, dict[tuple[str, ...], _Line]] = field(default_factory=dict)
    _page: int = 0

    def render(self, families: Iterable[Family], foreign: Iterable[Foreign] = ()) -> Rendered:
        """Render one page. Raises ValueError for rows that the contract does not allow."""
        self._page += 1
        text: list[bytes] = []
        openmetrics: list[bytes] = []
        series = 0
        kept: dict[str, dict[tuple[str, ...], _Line]] = {}
        for found in families:
            metric = found.metric
            if metric.name in kept:
                raise ValueError(f"{metric.name}: the family is on the page twice")
            if metric not in _KNOWN:
                raise ValueError(f"{metric.name}: not in the catalogue")
            if not found.rows:
                continue
            kept[metric.name] = lines = self._lines.get(metric.name, {})
            body = self._body(metric, found.rows, lines).encode()
            series += len(lines)
            text += (_HEADS[metric.name][0], body)
            openmetrics += (_HEADS[metric.name][1], body)
        self._lines = kept
        for extra in foreign:
            body = ("\n".join(extra.lines) + "\n").encode()
            series += len(extra.lines)
            text += (_head(extra.name, extra.kind, extra.help, total="_total"), body)
            openmetrics += (_head(extra.name, extra.kind, extra.help, total=""), body)
        openmetrics.append(b"# EOF\n")
        return Rendered(tuple(text), tuple(openmetrics), series)

    def _body(
        self,
        metric: Metric[tuple[str, ...]],
        rows: Sequence[tuple[tuple[str, ...], Value]],
        lines: dict[tuple[str, ...], _Line],
    ) -> str:
        """Write the rows of one family and leave in `lines` those that are on this page."""
        page = self._page
        body: list[str] = []
        for key, value in rows:
            line = lines.get(key)
            if line is None:
                lines[key] = line = _new_line(metric, key, value, page)
            else:
                if line.page == page:
                    raise ValueError(f"{metric.name}: a series is on the page twice")
                line.page = page
                if line.value != value:
                    line.text = _rewritten(metric, key, value, line.text)
                    line.value = value
            body.append(line.text)
        if len(lines) != len(body):
            for key in [key for key, line in lines.items() if line.page != page]:
                del lines[key]
        return "".join(body)


def _new_line(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: Value, page: int) -> _Line:
    if type(key) is not metric.key:
        raise ValueError(f"{metric.name}: {key!r} is no {metric.key.__name__}")
    return _Line(value, _written(metric, key, value), page)


def _written(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: Value) -> str:
    labels = ",".join([f'{name}="{escape(part)}"' for name, part in zip(metric.label_names, key, strict=True)])
    if isinstance(value, Distribution):
        return _histogram(metric.name, labels, value)
    braced = f"{{{labels}}}" if labels else ""
    return f"{metric.name}{braced} {_finite(metric, key, value)}\n"


def _rewritten(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: Value, text: str) -> str:
    """Put another value behind the labels that are written already; a value has no space in it."""
    if isinstance(value, Distribution):
        return _written(metric, key, value)
    return f"{text[: text.rindex(' ')]} {_finite(metric, key, value)}\n"


def _finite(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: float) -> str:
    if not isfinite(value):
        raise ValueError(f"{metric.name}{key}: {value}; a value that is not known is left out")
    return number(value)


def _histogram(name: str, labels: str, value: Distribution) -> str:
    comma = "," if labels else ""
    bounds = [*(number(bound) for bound in value.bounds), "+Inf"]
    buckets = [
        f'{name}_bucket{{{labels}{comma}le="{bound}"}} {number(count)}\n'
        for bound, count in zip(bounds, value.counts, strict=True)
    ]
    braced = f"{{{labels}}}" if labels else ""
    return "".join(
        (*buckets, f"{name}_count{braced} {number(value.counts[-1])}\n", f"{name}_sum{braced} {number(value.total)}\n")
    )


def number(value: float) -> str:
    """A float as both formats read it; integers keep their point, as OpenMetrics wants of bucket bounds."""
    return repr(float(value))


def escape(value: str) -> str:
    r"""Escape a label value: backslash, double quote and newline; cut when it is longer than any name."""
    if value.isalnum() and value.isascii() and len(value) <= MAX_BYTES:
        return value
    return bounded(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _head(name: str, kind: str, help_text: str, *, total: str) -> bytes:
    """HELP and TYPE. OpenMetrics names a counter's family without `_total`, the text format with it."""
    family_name = name + (total if kind == "counter" else "")
    written = help_text.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {family_name} {written}\n# TYPE {family_name} {kind}\n".encode()


def _heads(metric: Metric[tuple[str, ...]]) -> tuple[bytes, bytes]:
    base = metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
    return (
        _head(base, metric.kind, metric.help, total="_total"),
        _head(base, metric.kind, metric.help, total=""),
    )


_KNOWN: frozenset[Metric[tuple[str, ...]]] = frozenset(METRICS)
_HEADS: Mapping[str, tuple[bytes, bytes]] = {metric.name: _heads(metric) for metric in METRICS}

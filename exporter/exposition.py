"""From samples to bytes: the Prometheus text format 0.0.4 and OpenMetrics 1.0 of one page.

Our own writer, because the page is rendered on every tick: the client library's takes many times longer (bench/page.py
measures both in one run) and stays the oracle of the tests. A line whose value has not changed since the last page is
taken over as it is, and so is the whole of a family in which nothing has; most of a partition stands still at any moment.

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
from exporter.model import Missing, Reading

K = TypeVar("K", bound=tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's state: cumulative counts for each bucket bound (the last is +Inf), and the sum."""

    bounds: tuple[float, ...]  # without +Inf
    counts: tuple[int, ...]  # cumulative, one more than bounds
    total: float


Value = float | Distribution
Cell = Value | Missing


@dataclass(frozen=True, slots=True)
class Family:
    """The rows of one metric on one page, as columns. A value that is missing has no row; `unit` divides the values."""

    metric: Metric[tuple[str, ...]]
    keys: Sequence[tuple[str, ...]]
    values: Sequence[Cell]
    unit: int = 1

    @property
    def rows(self) -> list[tuple[tuple[str, ...], Value]]:
        """The rows one by one."""
        pairs = zip(self.keys, self.values, strict=True)
        return [(key, _in_units(value, self.unit)) for key, value in pairs if not isinstance(value, Missing)]


def columns(metric: Metric[K], keys: Sequence[K], values: Sequence[Reading], unit: int = 1) -> Family:
    """Pair a metric with keys of its own key type and their values; mypy refuses another."""
    return Family(metric, keys, values, unit)


def family(metric: Metric[K], rows: Sequence[tuple[K, float]]) -> Family:
    """Pair a metric with rows keyed by its own key type."""
    return Family(metric, [key for key, _ in rows], [value for _, value in rows])


def distributions(metric: Metric[K], rows: Sequence[tuple[K, Distribution]]) -> Family:
    """Pair a histogram with its rows."""
    return Family(metric, [key for key, _ in rows], [value for _, value in rows])


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


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A family as it was last written: a line for each key, empty where there was no value."""

    keys: Sequence[tuple[str, ...]]
    values: Sequence[Cell]
    lines: list[str]
    body: bytes
    series: int


@dataclass(slots=True)
class Writer:
    """Renders pages; keeps the lines of the last page to take over what has not changed.

    A family with the keys of the page before costs one comparison a value; its labels are written once in their life.
    """

    _sheets: dict[str, _Sheet] = field(default_factory=dict)

    def render(self, families: Iterable[Family], foreign: Iterable[Foreign] = ()) -> Rendered:
        """Render one page. Raises ValueError for rows that the contract does not allow."""
        text: list[bytes] = []
        openmetrics: list[bytes] = []
        series = 0
        kept: dict[str, _Sheet] = {}
        for found in families:
            metric = found.metric
            if metric.name in kept:
                raise ValueError(f"{metric.name}: the family is on the page twice")
            if metric not in _KNOWN:
                raise ValueError(f"{metric.name}: not in the catalogue")
            kept[metric.name] = sheet = _sheet(found, self._sheets.get(metric.name))
            if sheet.series:
                series += sheet.series
                text += (_HEADS[metric.name][0], sheet.body)
                openmetrics += (_HEADS[metric.name][1], sheet.body)
        self._sheets = kept
        for extra in foreign:
            body = ("\n".join(extra.lines) + "\n").encode()
            series += len(extra.lines)
            text += (_head(extra.name, extra.kind, extra.help, total="_total"), body)
            openmetrics += (_head(extra.name, extra.kind, extra.help, total=""), body)
        openmetrics.append(b"# EOF\n")
        return Rendered(tuple(text), tuple(openmetrics), series)


def _sheet(found: Family, before: _Sheet | None) -> _Sheet:
    """Write a family, taking over the lines whose values are those of before."""
    if before is not None and (found.keys is before.keys or found.keys == before.keys):
        if found.values == before.values:
            return before
        pairs = zip(found.keys, found.values, before.values, before.lines, strict=True)
        lines = [line if now == was else _line(found, key, now, line) for key, now, was, line in pairs]
        keys = before.keys  # the same object from now on
    else:
        _refuse_odd(found)
        known = (
            {} if before is None else dict(zip(before.keys, zip(before.values, before.lines, strict=True), strict=True))
        )
        none: tuple[Cell | None, str] = None, ""
        lines = []
        for key, now in zip(found.keys, found.values, strict=True):
            was, line = known.get(key, none)
            lines.append(line if now == was else _line(found, key, now, line))
        keys = found.keys
    return _Sheet(keys, found.values, lines, "".join(lines).encode(), len(lines) - lines.count(""))


def _refuse_odd(found: Family) -> None:
    metric = found.metric
    for key in found.keys:
        if type(key) is not metric.key:
            raise ValueError(f"{metric.name}: {key!r} is no {metric.key.__name__}")
    if len(set(found.keys)) != len(found.keys):
        raise ValueError(f"{metric.name}: a series is on the page twice")


def _line(found: Family, key: tuple[str, ...], now: Cell, before: str) -> str:
    """Write one row; labels that are written already are taken over, since a value has no space in it."""
    if isinstance(now, Missing):
        return ""
    if not before or isinstance(now, Distribution):
        return _written(found.metric, key, _in_units(now, found.unit))
    value = now if found.unit == 1 else now / found.unit
    if not isfinite(value):
        raise _unfit(found.metric, key, value)
    return f"{before[: before.rindex(' ')]} {float(value)!r}\n"


def _in_units(value: Value, unit: int) -> Value:
    return value if unit == 1 or isinstance(value, Distribution) else value / unit


def _written(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: Value) -> str:
    labels = ",".join([f'{name}="{escape(part)}"' for name, part in zip(metric.label_names, key, strict=True)])
    if isinstance(value, Distribution):
        return _histogram(metric.name, labels, value)
    braced = f"{{{labels}}}" if labels else ""
    return f"{metric.name}{braced} {_finite(metric, key, value)}\n"


def _finite(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: float) -> str:
    if not isfinite(value):
        raise _unfit(metric, key, value)
    return number(value)


def _unfit(metric: Metric[tuple[str, ...]], key: tuple[str, ...], value: float) -> ValueError:
    return ValueError(f"{metric.name}{key}: {value}; a value that is not known is left out")


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

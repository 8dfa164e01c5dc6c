"""A Prometheus in memory: it has scraped the pages of a story and answers the few shapes of query that we ask.

`test_real_prometheus.py` holds it to the real one.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise
from urllib.parse import parse_qs

from prometheus_client.parser import text_string_to_metric_families as parse_text

from toolkit.site import Site

Labels = tuple[tuple[str, str], ...]
Points = list[tuple[float, float]]
"""Times and values; NaN is the mark of a series that its target no longer has."""
_LOOKBACK = 300.0
_SELECTOR = r"(?P<selector>\{.*?\})(?:\[(?P<range>\d+)(?P<unit>ms|m)\])?(?: offset (?P<offset>\d+)ms)?"
_CALL = re.compile(rf"(?:(?P<function>\w+)\()?{_SELECTOR}\)?(?: > 0)?")
_GROUP = re.compile(r"group by \((?P<by>[\w, ]+)\) \((?P<inner>.*)\)")
_MATCHER = re.compile(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"')


class FakePrometheus:
    """Answers `ask(site, path, form)` as Prometheus answers its HTTP API."""

    def __init__(self, pages: Iterable[tuple[float, str]], extra: Mapping[str, str] | None = None) -> None:
        self.series: dict[Labels, Points] = defaultdict(list)
        self.queries: list[str] = []
        self._alive: dict[Labels, set[Labels]] = {}
        for at, page in pages:
            self.scrape(at, page, extra or {"instance": "10.0.0.1:9945", "job": "slicewatch"})

    def scrape(self, at: float, page: str, extra: Mapping[str, str]) -> None:
        """Take one page in. Empty labels are dropped, and what the page no longer has goes stale, as in Prometheus."""
        target = tuple(sorted(extra.items()))
        seen: set[Labels] = set()
        for labels, value in _samples(page):
            key = tuple(sorted((*labels, *target)))
            self.series[key].append((at, value))
            seen.add(key)
        for key in self._alive.get(target, set()) - seen:
            self.series[key].append((at, math.nan))
        self._alive[target] = seen

    def __call__(self, site: Site, path: str, form: bytes | None = None) -> bytes:
        assert (path, site.authorization) == ("/api/v1/query", None)
        fields = parse_qs((form or b"").decode())
        at = float(fields["time"][0])
        self.queries.append(fields["query"][0])
        vector = self._evaluate(fields["query"][0], at)
        result = [{"metric": dict(labels), "value": [at, repr(value)]} for labels, value in vector.items()]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()

    def _evaluate(self, query: str, at: float) -> dict[Labels, float]:
        if found := _GROUP.fullmatch(query):
            by = found["by"].split(", ")
            inner = self._evaluate(found["inner"], at)
            return {tuple((name, dict(labels)[name]) for name in by if name in dict(labels)): 1.0 for labels in inner}
        if " unless " in query:
            left, right = query.split(" unless ")
            without = {_unnamed(labels) for labels in self._evaluate(right, at)}
            return {k: v for k, v in self._evaluate(left, at).items() if _unnamed(k) not in without}
        call = _CALL.fullmatch(query)
        assert call is not None, f"the fake knows no query like {query}"
        at -= float(call["offset"] or 0) / 1000
        length = _LOOKBACK
        if call["range"]:
            length = float(call["range"]) * (60 if call["unit"] == "m" else 0.001)
        function = _FUNCTIONS[call["function"] or "last_over_time"]
        found_: dict[Labels, float] = {}
        for labels, points in self.series.items():
            if not _matches(call["selector"], dict(labels)):
                continue
            # Prometheus 2's windows hold both of their ends.
            inside = [point for point in points if at - length <= point[0] <= at]
            if not call["range"] and inside and math.isnan(inside[-1][1]):
                continue
            inside = [point for point in inside if not math.isnan(point[1])]
            value = function(inside, at - length, at) if inside else None
            if value is None or (query.endswith("> 0") and value <= 0):
                continue
            keeps = call["function"] in {None, "last_over_time"}
            found_[labels if keeps else _unnamed(labels)] = value
        return found_


@cache
def _samples(page: str) -> tuple[tuple[Labels, float], ...]:
    """A page's series of the contract's own families, without empty labels."""
    return tuple(
        ((("__name__", sample.name), *((name, text) for name, text in sample.labels.items() if text)), sample.value)
        for family in parse_text(page)
        for sample in family.samples
        if sample.name.startswith("gpu_")
    )


def _unnamed(labels: Labels) -> Labels:
    return tuple(item for item in labels if item[0] != "__name__")


def _matches(selector: str, labels: Mapping[str, str]) -> bool:
    for name, operator, raw in _MATCHER.findall(selector):
        wanted = json.loads(f'"{raw}"')
        text = labels.get(name, "")
        if not (re.fullmatch(wanted, text) if operator == "=~" else text == wanted):
            return False
    return True


def _last(points: Points, _start: float, _end: float) -> float:
    return points[-1][1]


def _gain(points: Points) -> float:
    gained = points[-1][1] - points[0][1]
    return gained + sum(a for (_, a), (_, b) in pairwise(points) if b < a)


def _increase(points: Points, start: float, end: float) -> float | None:
    """`increase`, extrapolated to the window's edges as promql/functions.go does it."""
    if len(points) < 2:
        return None
    gained, sampled = _gain(points), points[-1][0] - points[0][0]
    between = sampled / (len(points) - 1)
    to_start, to_end = points[0][0] - start, end - points[-1][0]
    if gained > 0 and points[0][1] >= 0:
        to_start = min(to_start, sampled * points[0][1] / gained)
    over = sampled + sum(part if part < 1.1 * between else between / 2 for part in (to_start, to_end))
    return gained * over / sampled


def _irate(points: Points, _start: float, _end: float) -> float | None:
    if len(points) < 2:
        return None
    (t0, a), (t1, b) = points[-2:]
    return (b if b < a else b - a) / (t1 - t0)


def _resets(points: Points, _start: float, _end: float) -> float:
    return float(sum(1 for (_, a), (_, b) in pairwise(points) if b < a))


_FUNCTIONS: Mapping[str, Callable[[Points, float, float], float | None]] = {
    "last_over_time": _last,
    "increase": _increase,
    "irate": _irate,
    "resets": _resets,
}

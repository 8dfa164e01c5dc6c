"""Instant queries to Prometheus's HTTP API, as typed samples.

Works with whatever speaks that API (Prometheus, Mimir, Thanos, VictoriaMetrics); the queries use functions that all of
them have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from exporter.errors import SourceError
from exporter.why.fetch import Ask
from exporter.why.figures import clean
from exporter.why.jsontree import parse
from toolkit.site import Site

_VECTOR = "vector"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value: its metric's name (empty when a function dropped it) and its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus, asked as of one instant (Unix seconds; None is now)."""

    site: Site
    ask: Ask
    at: float | None = None

    def query(self, expression: str) -> tuple[Sample, ...]:
        """Evaluate an expression to a vector; values that are no finite number are left out. Raises SourceError."""
        form = {"query": expression} | ({} if self.at is None else {"time": f"{self.at:.3f}"})
        answer = parse(self.ask(self.site, "/api/v1/query", urlencode(form).encode()), f"{self.site.url}/api/v1/query")
        if answer["status"].text() != "success":
            raise SourceError(f"{self.site.url}: {answer.get('error').text() or 'the query failed'}")
        data = answer["data"]
        if data["resultType"].text() != _VECTOR:
            raise SourceError(f"{self.site.url}: expected a vector for an answer")
        found = []
        for row in data["result"].each():
            labels = {clean(name): value.text() for name, value in row["metric"].items()}
            _, value = (*row["value"].each(), None, None)[:2]
            number = _number("" if value is None else value.text())
            if number is not None:
                found.append(Sample(labels.pop("__name__", ""), labels, number))
        return tuple(found)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def selector(names: Iterable[str], **equal: str) -> str:
    """Return a series selector: any of the metric names, and labels that equal."""
    matchers = [
        f"__name__=~{_quoted('|'.join(names))}",
        *(f"{label}={_quoted(value)}" for label, value in equal.items()),
    ]
    return "{" + ",".join(matchers) + "}"


def one_of(names: Iterable[str], label: str, values: Iterable[str]) -> str:
    """Return a series selector: any of the metric names, with a label that has one of the values."""
    pattern = "|".join(_literal(value) for value in sorted(values))
    return f"{{__name__=~{_quoted('|'.join(names))},{label}=~{_quoted(pattern)}}}"


_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


def _literal(text: str) -> str:
    """The text as a pattern of Go's RE2 that matches nothing else."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def _quoted(text: str) -> str:
    """The text as a PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

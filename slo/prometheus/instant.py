"""Instant queries: raw samples of a range, the newest samples, and the answer to one expression.

Raw samples are asked for as `m[1d]`, which has no limit of 11 000 points and invents no sample; a range query would fill
five minutes behind every death. Prometheus leaves staleness markers out of such answers. A matrix is asked for as it is,
because compressing it costs the server more than sending it; a vector repeats itself and is compressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slo.prometheus.client import Client
from slo.prometheus.query_api import MATRIX, VECTOR, AnswerError, Shape, envelope, read
from slo.prometheus.refusals import printable
from slo.prometheus.runs import Run, Series
from slo.prometheus.selector import selector, unix
from slo.spec import Matcher
from toolkit.errors import UnreachableError

PATH: Final = "/api/v1/query"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the answer to an expression; a scalar has no labels."""

    labels: Mapping[str, str]
    value: float


def fetch(client: Client, metric: str, matchers: Sequence[Matcher], after: int, until: int, into: Series) -> None:
    """Read after < t ≤ until (Unix ms). Raises UnreachableError."""
    # Prometheus 2 takes the sample at `after` as well, Prometheus 3 does not.
    expression = f"{selector(metric, matchers)}[{until - after}ms]"
    run = _asked(client, expression, until, MATRIX, into)
    into.runs.append(run.within(after, until))


def newest(client: Client, metric: str, matchers: Sequence[Matcher], at: int, into: Series) -> None:
    """Read the newest sample of each live series at a time (Unix ms), which is the time it gets. Raises UnreachableError."""
    into.runs.append(_asked(client, selector(metric, matchers), at, VECTOR, into))


def rows(client: Client, expression: str, at: int) -> tuple[Row, ...]:
    """Return the answer to an expression at a time (Unix ms). Raises UnreachableError."""
    body = client.form(PATH, {"query": expression, "time": unix(at)}, gzip=True)
    try:
        return _rows(*envelope(body))
    except AnswerError as error:
        raise UnreachableError(f"{client.url}: {error}") from error


def _rows(kind: str, result: Any) -> tuple[Row, ...]:
    try:
        if kind == "scalar":
            return (Row({}, float(result[1])),)
        if kind == VECTOR.kind:
            return tuple(Row(series["metric"], float(series["value"][1])) for series in result if "value" in series)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise AnswerError("answers with a result that is no list of series") from error
    raise AnswerError(f"answers with a {printable(kind)}, not with a vector")


def _asked(client: Client, expression: str, at: int, shape: Shape, into: Series) -> Run:
    body = client.form(PATH, {"query": expression, "time": unix(at)}, gzip=shape is VECTOR)
    try:
        return read(body, shape, into)
    except AnswerError as error:
        raise UnreachableError(f"{client.url}: {error}") from error

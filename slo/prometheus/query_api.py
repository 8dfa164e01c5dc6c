"""The query API's JSON: vectors and matrices, taken apart as bytes.

The bytes of all samples become one table for polars to read, some five times as fast as a JSON parser. Where bytes are
cut is safe whatever a label holds: within a JSON string every quote has a backslash before it, so that none of the
separators here can be part of one. An answer of another shape goes to the JSON parser.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from slo.prometheus.refusals import printable
from slo.prometheus.runs import Run, Series
from slo.prometheus.table import samples

_HEAD: Final = b'"result":['
_SERIES: Final = b'{"metric":{'
_ENVELOPE: Final = 512
"""Bytes in front of the first series, at the most."""


class AnswerError(ValueError):
    """What was answered is an error, not the whole, or nothing of this API; the message goes on after whom we asked."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the samples of a series stand in an answer."""

    kind: str
    key: str
    opening: bytes
    closing: bytes


VECTOR: Final = Shape("vector", "value", b'},"value":[', b"]")
MATRIX: Final = Shape("matrix", "values", b'},"values":[[', b"]]")


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer in parts: each series' labels (JSON without its braces), how many samples each has, all samples as lines."""

    labels: list[bytes]
    counts: list[int]
    lines: bytes


def read(body: bytes, shape: Shape, into: Series) -> Run:
    """Return the samples of an answer, whose series get their places. Raises AnswerError."""
    cut = _cut(body, shape) or _parsed(body, shape)
    try:
        times, values = samples(cut.lines)
        owners = np.array([into.place(written) for written in cut.labels], dtype=np.int64)
    except ValueError as error:
        raise AnswerError("answers with samples that are no numbers, or labels that are no text") from error
    counts = np.array(cut.counts, dtype=np.int64)
    if len(times) != int(counts.sum()):
        raise AnswerError("answers with samples that are no numbers")
    return Run(owners, counts, times, values)


def labels(written: bytes) -> dict[str, str]:
    """Return a series' labels from their JSON without its braces. Raises ValueError."""
    found = json.loads(b"{" + written + b"}")
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("a label that is no text")
    return dict(found)


def envelope(body: bytes) -> tuple[str, Any]:
    """Return the kind and the result of an answer. Raises AnswerError, also for one that may not be whole."""
    try:
        found = json.loads(body)
        status = found["status"]
        kind, result = (found["data"]["resultType"], found["data"]["result"]) if status == "success" else ("", None)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AnswerError("answers what is not the query API's JSON: is it the address of a Prometheus?") from error
    if status != "success":
        raise AnswerError(f"answers an error: {printable(str(found.get('error', status)))}")
    # Prometheus 2.48 to 2.55 told its remarks about a query ("PromQL info: …") as warnings.
    warnings = [str(each) for each in found.get("warnings") or () if not str(each).startswith("PromQL info")]
    if warnings or found.get("isPartial"):
        raise AnswerError(f"warns that its answer may not be whole: {printable('; '.join(warnings) or 'isPartial')}")
    return str(kind), result


def _cut(body: bytes, shape: Shape) -> Cut | None:
    """Cut an answer; None when it has another shape than Prometheus writes. Raises AnswerError as `envelope` does."""
    head = body.find(_HEAD, 0, _ENVELOPE) + len(_HEAD)
    first, *pieces = body[head:].split(_SERIES)
    if head < len(_HEAD) or (pieces and first):
        return None
    tail = first
    found = Cut([], [], b"")
    lines = []
    for left, piece in zip(range(len(pieces), 0, -1), pieces, strict=True):
        at = piece.find(shape.opening)
        to = piece.find(shape.closing + b"}", at)
        if at < 0 or to != piece.find(shape.closing, at):
            return None
        tail = piece[to + len(shape.closing) + 1 :]
        if left > 1 and tail != b",":
            return None
        line = piece[at + len(shape.opening) : to]
        found.labels.append(piece[:at])
        found.counts.append(line.count(b"],[") + 1)
        lines.append(line)
    kind, rest = envelope(body[:head] + tail)
    if rest:
        return None
    if kind != shape.kind:
        raise AnswerError(f"answers with a {printable(kind)}, not with a {shape.kind}")
    return Cut(found.labels, found.counts, b"\n".join(lines).replace(b"],[", b"\n"))


def _parsed(body: bytes, shape: Shape) -> Cut:
    """The same by way of the JSON parser. Native histograms, which no counter of the contract is, are left out."""
    kind, result = envelope(body)
    if kind != shape.kind:
        raise AnswerError(f"answers with a {printable(kind)}, not with a {shape.kind}")
    names: list[bytes] = []
    counts: list[int] = []
    lines: list[str] = []
    try:
        for series in result:
            rows = series.get(shape.key, ())
            rows = [rows] if rows and shape is VECTOR else rows
            if rows:
                names.append(json.dumps(series["metric"], separators=(",", ":")).encode()[1:-1])
                counts.append(len(rows))
                lines.extend(f'{time!r},"{value}"' for time, value in rows)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnswerError("answers with a result that is no list of series") from error
    return Cut(names, counts, "\n".join(lines).encode())

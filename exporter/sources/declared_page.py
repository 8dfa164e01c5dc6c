"""One page of one pod, read by someone who does not trust it.

The pod is a tenant's: its page may be endless, may drip a byte a second, may be garbage. Of the text only the lines of the
wanted metric reach the parser.
"""

from __future__ import annotations

import math
import re

from prometheus_client.parser import text_string_to_metric_families

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.policy import DemandSignal

_MAX_LINES = 500
_MAX_LINE = 2048
_MAX_WANTED = 128 * 1024
"""Bytes of the wanted metric's lines: what the parser takes longest over costs a tenth of a second then."""


def backlogged(page: bytes, signal: DemandSignal) -> bool:
    """Whether any sample that the signal names is above its threshold.

    Raises SourceError: UNSUPPORTED when no such sample with a number is on the page, ERROR when it is not understood.
    """
    values = [value for value in _values(page, signal) if not math.isnan(value)]
    if not values:
        raise SourceError(f"no sample of {signal.metric} with the labels asked for", Reason.UNSUPPORTED)
    return any(value > signal.above for value in values)


def _values(page: bytes, signal: DemandSignal) -> list[float]:
    wanted = signal.match.items()
    try:
        return [
            float(sample.value)
            for family in text_string_to_metric_families(_lines(page, signal.metric))
            for sample in family.samples
            if sample.name == signal.metric and wanted <= sample.labels.items()
        ]
    except SourceError:
        raise
    except Exception as error:
        # The parser raises whatever its string arithmetic runs into: ValueError, IndexError, KeyError.
        raise SourceError(f"not in Prometheus's text format: {type(error).__name__}") from error


def _lines(page: bytes, metric: str) -> str:
    """The lines of one metric alone: the parser is slow, and the tenant chooses what else is on the page."""
    if page and not page.endswith(b"\n"):
        raise SourceError("the page ends within a line")  # the format's last line ends in a line feed
    lines: list[bytes] = []
    total = 0
    for found in re.finditer(rb"^" + re.escape(metric.encode()) + rb"[ \t{][^\n]*\n", page, re.MULTILINE):
        line = found[0]
        total += len(line)
        if len(lines) == _MAX_LINES or len(line) > _MAX_LINE or total > _MAX_WANTED:
            raise SourceError(f"more than {_MAX_LINES} samples of {metric}, or too long ones")
        lines.append(line)
    return b"".join(lines).decode(errors="replace")

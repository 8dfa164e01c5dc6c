"""Samples on their way from a store to slices, and what a store of samples can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from slo.spec import Matcher

STALE_BITS: Final = 0x7FF0000000000002
"""The NaN by which Prometheus marks the end of a series; any other NaN is a sample of nothing known."""

SCHEMA: Final = {"series": pl.UInt32, "t": pl.Int64, "v": pl.Float64}


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples. `frame` has SCHEMA's columns: position in `series`, Unix milliseconds, value; sorted, no duplicates.

    Values are as stored, NaN included. `series` holds each series' labels, `__name__` among them.
    """

    series: tuple[Mapping[str, str], ...]
    frame: pl.DataFrame


def together(parts: Sequence[Samples]) -> Samples:
    """Put samples of several answers behind one another; a series that is in two of them stays two."""
    frames, before = [], 0
    for part in parts:
        frames.append(part.frame.with_columns((pl.col("series") + before).cast(pl.UInt32)))
        before += len(part.series)
    series = tuple(labels for part in parts for labels in part.series)
    return Samples(series, pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMA))


class History(Protocol):
    """A store that remembers."""

    @property
    def name(self) -> str:
        """What it is called in messages: its address or path."""

    def read(self, metric: str, matchers: Sequence[Matcher], start: float, end: float) -> Samples:
        """Return the samples of a metric with start < t ≤ end (Unix seconds).

        Staleness markers are kept where the store gives them away. Raises UnreachableError with one line that says
        whom it asked and what it answered.
        """


class Now(Protocol):
    """Something that knows the newest values."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def read_at(self, metric: str, matchers: Sequence[Matcher], at: float) -> Samples:
        """Return the newest sample of each live series at an instant, at most five minutes old. Raises UnreachableError."""

"""Numbers in text to columns: how both JSON routes hand their samples to polars's reader of CSV."""

from __future__ import annotations

import numpy as np
import polars as pl

from slo.prometheus.runs import Floats, Ints
from slo.samples import STALE_BITS


def samples(lines: bytes) -> tuple[Ints, Floats]:
    """Return times as Unix ms, and values, of lines of `1700000000.25,"1.5"`. Raises ValueError."""
    if not lines:
        return np.empty(0, dtype=np.int64), np.empty(0)
    table = _read(lines, {"t": pl.Float64(), "v": pl.Float64()})
    if sum(table.null_count().row(0)):
        raise ValueError("a sample without a number")
    times = table["t"].to_numpy()
    if not np.isfinite(times).all():
        raise ValueError("a time that is no number")
    return np.rint(times * 1e3).astype(np.int64), table["v"].to_numpy()


def whole(numbers: bytes) -> Ints:
    """Return whole numbers that commas part, at least one. Raises ValueError."""
    column = _read(numbers.replace(b",", b"\n"), {"t": pl.Int64()})["t"]
    if column.null_count():
        raise ValueError("a time without a number")
    return np.asarray(column.to_numpy(), dtype=np.int64)


def stored(numbers: bytes) -> Floats:
    """Return numbers that commas part, at least one; `null` is a staleness marker. Raises ValueError."""
    column = _read(numbers.replace(b",", b"\n"), {"v": pl.Float64()})["v"]
    values = np.array(column.fill_null(0.0).to_numpy(), dtype=np.float64)
    if column.null_count():
        values.view(np.uint64)[column.is_null().to_numpy()] = STALE_BITS
    return values


def _read(lines: bytes, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    try:
        return pl.read_csv(lines, has_header=False, schema=schema, null_values=["null"])
    except pl.exceptions.PolarsError as error:
        raise ValueError("what is no number") from error

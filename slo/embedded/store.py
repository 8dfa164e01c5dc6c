"""History in Parquet: a file a minute, put together to one an hour; whatever moment the process dies at, it can be read.

A file is written beside its place, synchronised, and renamed into it. An hour's file is in its place before its minutes go, so
that a crash between the two leaves the same samples twice, which reading undoes. One process writes; a lock file says so.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import polars as pl

from slo.samples import SCHEMA, Samples
from slo.sli import LOOKBACK
from slo.spec import SLICE, Matcher
from toolkit.errors import ConfigError, UnreachableError
from toolkit.logs import log

_LOG = logging.getLogger(__name__)
_HOUR = 3600
_SUFFIX = ".parquet"
_COLUMNS = {"name": pl.String, "labels": pl.String, "t": pl.Int64, "v": pl.Float64}


class ParquetHistory:
    """Remembers minutes of samples. For one thread. Raises ConfigError when it cannot be had, or another process has it."""

    def __init__(self, folder: Path, retention: float) -> None:
        self._folder = folder
        self._retention = int(retention)
        try:
            (folder / "minutes").mkdir(parents=True, exist_ok=True)
            (folder / "hours").mkdir(exist_ok=True)
            self._lock: IO[str] = (folder / "lock").open("w")
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(f"{folder}: another process keeps its history there") from error

    @property
    def name(self) -> str:
        """Its folder."""
        return str(self._folder)

    def append(self, at: int, samples: Samples) -> None:
        """Keep a minute's samples; `at` is Unix seconds. Raises UnreachableError when the disk refuses; nothing is damaged."""
        labels = pl.DataFrame(
            {
                "series": range(len(samples.series)),
                "name": [one.get("__name__", "") for one in samples.series],
                "labels": [json.dumps(one, sort_keys=True) for one in samples.series],
            },
            schema={"series": pl.UInt32, "name": pl.String, "labels": pl.String},
        )
        rows = samples.frame.join(labels, on="series").select(list(_COLUMNS))
        self._write(self._folder / "minutes" / f"{at}{_SUFFIX}", rows)
        if at % _HOUR < SLICE:
            self._compact(at)

    def read(self, metric: str, matchers: Sequence[Matcher], start: float, end: float) -> Samples:
        """Return the samples of a metric with start < t ≤ end (Unix seconds)."""
        files = [path for path, first, last in self._files() if last > start and first <= end]
        found = [frame for path in files if (frame := self._load(path, metric, start, end)) is not None]
        rows = pl.concat(found).unique(["labels", "t"]) if found else pl.DataFrame(schema=_COLUMNS)
        written = rows["labels"].unique(maintain_order=True).to_list()
        chosen = [labels for labels in map(json.loads, written) if _matches(labels, matchers)]
        keys = [json.dumps(labels, sort_keys=True) for labels in chosen]
        numbers = pl.DataFrame(
            {"labels": keys, "series": range(len(keys))}, schema={"labels": pl.String, "series": pl.UInt32}
        )
        frame = rows.join(numbers, on="labels").select(list(SCHEMA)).sort("series", "t")
        return Samples(tuple(chosen), frame)

    def read_at(self, metric: str, matchers: Sequence[Matcher], at: float) -> Samples:
        """Return the newest sample of each series at an instant, at most five minutes old."""
        found = self.read(metric, matchers, at - LOOKBACK, at)
        return Samples(found.series, found.frame.group_by("series", maintain_order=True).last())

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    # --- files --------------------------------------------------------------------------------------------------------------

    def _files(self) -> list[tuple[Path, int, int]]:
        """Every file with the first and last second that it may hold, oldest first."""
        found = []
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            if path.stem.isdecimal():
                at = int(path.stem)
                found.append((path, at, at + _HOUR - 1 if path.parent.name == "hours" else at))
        return sorted(found, key=lambda one: one[1])

    def _load(self, path: Path, metric: str, start: float, end: float) -> pl.DataFrame | None:
        wanted = (pl.col("name") == metric) & (pl.col("t") > start * 1000) & (pl.col("t") <= end * 1000)
        try:
            return pl.scan_parquet(path).filter(wanted).collect()
        except FileNotFoundError:  # put together with its hour while we looked
            return None
        except (pl.exceptions.PolarsError, OSError) as error:
            aside = path.with_suffix(".damaged")
            log(_LOG, logging.ERROR, "a file of the history cannot be read and is put aside", file=path, error=error)
            path.replace(aside)
            return None

    def _write(self, path: Path, rows: pl.DataFrame) -> None:
        beside = path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                rows.write_parquet(file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise UnreachableError(f"{self._folder}: cannot be written: {error.strerror or error}") from error

    def _compact(self, at: int) -> None:
        """Put whole hours together, and forget what is older than the retention."""
        hours: dict[int, list[Path]] = {}
        for path, first, _ in self._files():
            if path.parent.name == "minutes" and first // _HOUR < at // _HOUR:
                hours.setdefault(first // _HOUR * _HOUR, []).append(path)
        for hour, paths in hours.items():
            whole = self._folder / "hours" / f"{hour}{_SUFFIX}"
            frames = [pl.read_parquet(path) for path in ([whole] if whole.exists() else []) + paths]
            self._write(whole, pl.concat(frames).unique(["labels", "t"]).sort("name", "labels", "t"))
            for path in paths:
                path.unlink(missing_ok=True)
        for path, _, last in self._files():
            if last < at - self._retention:
                path.unlink(missing_ok=True)


def _matches(labels: dict[str, str], matchers: Sequence[Matcher]) -> bool:
    return all(each.holds(labels.get(each.label, "")) for each in matchers)

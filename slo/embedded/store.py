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
from contextlib import suppress
from pathlib import Path
from typing import IO

import polars as pl

from slo.embedded.reader import COLUMNS, HOUR, HOURS, MINUTES, SUFFIX, ParquetReader
from slo.samples import Samples
from slo.spec import SLICE
from toolkit.errors import ConfigError, UnreachableError
from toolkit.logs import log

_LOG = logging.getLogger(__name__)


class ParquetHistory(ParquetReader):
    """Remembers minutes of samples. For one thread. Raises ConfigError when it cannot be had, or another process has it."""

    def __init__(self, folder: Path, retention: float) -> None:
        super().__init__(folder, _put_aside)
        self._retention = int(retention)
        try:
            (folder / MINUTES).mkdir(parents=True, exist_ok=True)
            (folder / HOURS).mkdir(exist_ok=True)
            self._lock: IO[str] = (folder / "lock").open("w")
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(f"{folder}: another process keeps its history there") from error

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
        rows = samples.frame.join(labels, on="series").select(list(COLUMNS))
        self._write(self._folder / MINUTES / f"{at}{SUFFIX}", rows)
        if at % HOUR < SLICE:
            self._compact(at)

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    def _write(self, path: Path, rows: pl.DataFrame) -> None:
        beside = path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                rows.write_parquet(file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            with suppress(OSError):  # on a read-only disk it cannot go either
                beside.unlink(missing_ok=True)
            why = (isinstance(error, OSError) and error.strerror) or error
            raise UnreachableError(f"{self._folder}: cannot be written: {why}") from error

    def _compact(self, at: int) -> None:
        """Forget what is older than the retention, which makes room, and put whole hours together."""
        self._forget([path for path, _, last in self.files() if last < at - self._retention])
        hours: dict[int, list[Path]] = {}
        for path, first, _ in self.files():
            if path.parent.name == MINUTES and first // HOUR < at // HOUR:
                hours.setdefault(first // HOUR * HOUR, []).append(path)
        for hour, paths in hours.items():
            whole = self._folder / HOURS / f"{hour}{SUFFIX}"
            every = pl.lit(value=True)
            found = [self._load(path, every) for path in ([whole] if whole.exists() else []) + paths]
            frames = [frame for frame in found if frame is not None]
            if frames:
                self._write(whole, pl.concat(frames).unique(["labels", "t"]).sort("name", "labels", "t"))
            self._forget(paths)

    def _forget(self, paths: Sequence[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UnreachableError(f"{self._folder}: cannot be tidied: {error.strerror or error}") from error


def _put_aside(path: Path, error: Exception) -> None:
    aside = path.with_suffix(".damaged")
    log(_LOG, logging.ERROR, "a file of the history cannot be read and is put aside", file=path, error=error)
    with suppress(OSError):  # then it is met again, and put aside when the disk can be written
        path.replace(aside)

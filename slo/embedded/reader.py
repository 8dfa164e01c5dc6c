"""The history that `slo run` keeps in Parquet, read: by itself, and by commands beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from slo.samples import SCHEMA, Samples
from slo.sli import LOOKBACK
from slo.spec import Matcher
from toolkit.errors import ConfigError, UnreachableError

HOUR = 3600
SUFFIX = ".parquet"
MINUTES, HOURS = "minutes", "hours"
COLUMNS = {"name": pl.String, "labels": pl.String, "t": pl.Int64, "v": pl.Float64}

Damaged = Callable[[Path, Exception], None]


class ParquetReader:
    """Reads a folder of history, also while another process writes it. `damaged` is told of a file that cannot be read."""

    def __init__(self, folder: Path, damaged: Damaged) -> None:
        self._folder = folder
        self._damaged = damaged

    @property
    def name(self) -> str:
        """Its folder."""
        return str(self._folder)

    def read(self, metric: str, matchers: Sequence[Matcher], start: float, end: float) -> Samples:
        """Return the samples of a metric with start < t ≤ end (Unix seconds)."""
        found = self._frames(metric, start, end)
        rows = pl.concat(found).unique(["labels", "t"]) if found else pl.DataFrame(schema=COLUMNS)
        written = rows["labels"].unique(maintain_order=True).to_list()
        labels = [one for one in map(json.loads, written) if _matches(one, matchers)]
        keys = [json.dumps(one, sort_keys=True) for one in labels]
        numbers = pl.DataFrame(
            {"labels": keys, "series": range(len(keys))}, schema={"labels": pl.String, "series": pl.UInt32}
        )
        frame = rows.join(numbers, on="labels").select(list(SCHEMA)).sort("series", "t")
        return Samples(tuple(labels), frame)

    def read_at(self, metric: str, matchers: Sequence[Matcher], at: float) -> Samples:
        """Return the newest sample of each series at an instant, at most five minutes old."""
        found = self.read(metric, matchers, at - LOOKBACK, at)
        return Samples(found.series, found.frame.group_by("series", maintain_order=True).last())

    def files(self) -> list[tuple[Path, int, int]]:
        """Return every file with the first and last second that it may hold, oldest first."""
        found = []
        for path in self._folder.glob(f"*/*{SUFFIX}"):
            if path.stem.isdecimal():
                at = int(path.stem)
                found.append((path, at, at + HOUR - 1 if path.parent.name == HOURS else at))
        return sorted(found, key=lambda one: one[1])

    def _frames(self, metric: str, start: float, end: float) -> list[pl.DataFrame]:
        """The rows of every file. Where minutes were put together with their hour meanwhile, all is looked for again."""
        wanted = (pl.col("name") == metric) & (pl.col("t") > start * 1000) & (pl.col("t") <= end * 1000)
        while True:
            chosen = [path for path, first, last in self.files() if last > start and first <= end]
            try:
                return [frame for path in chosen if (frame := self._load(path, wanted)) is not None]
            except FileNotFoundError:
                continue

    def _load(self, path: Path, wanted: pl.Expr) -> pl.DataFrame | None:
        try:
            return pl.scan_parquet(path).filter(wanted).collect()
        except FileNotFoundError:
            raise
        except (pl.exceptions.PolarsError, OSError) as error:
            self._damaged(path, error)
            return None


def opened(folder: Path) -> ParquetReader:
    """Return the history in a folder, to be read only. Raises ConfigError where there is none.

    Its `read` raises UnreachableError at a damaged file, which only the process that writes the history puts aside.
    """
    if not (folder / MINUTES).is_dir() or not (folder / HOURS).is_dir():
        raise ConfigError(f"{folder}: no history is there; expected the --history.path of a `slicewatch slo run`")
    return ParquetReader(folder, _refused)


def _refused(path: Path, error: Exception) -> None:
    raise UnreachableError(f"{path}: cannot be read: {str(error).splitlines()[0]}; move it away to go on without it")


def _matches(labels: dict[str, str], matchers: Sequence[Matcher]) -> bool:
    return all(each.holds(labels.get(each.label, "")) for each in matchers)

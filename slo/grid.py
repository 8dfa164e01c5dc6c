"""From raw samples to values at each minute, as instant queries would find them: the newest sample, five minutes back.

A staleness marker ends a series: from it until the next sample there is no value. Series that differ only in labels of the
scrape (`instance`, `job`) are one: the greater value counts, so that two scrapes of an exporter do not double anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import polars as pl

from exporter.catalogue import OUTCOMES
from slo.entity import FACTS, IDENTITY, Entity, Facts
from slo.samples import Samples
from slo.sli import LOOKBACK, Floats
from slo.spec import SLICE

_TILE = 4_000_000  # cells of a dense tile: some tens of MB


@dataclass(frozen=True, slots=True)
class Counters:
    """One guarantee's counters at consecutive minutes. `values` is [entities, minutes, outcomes], NaN where absent."""

    entities: tuple[Entity, ...]
    first: int  # Unix seconds of the first minute
    values: Floats


def entity(labels: Mapping[str, str], group_by: Sequence[str]) -> Entity:
    """Return whose series it is; a label that is not there is empty."""
    return Entity(tuple(labels.get(name, "") for name in group_by), *(labels.get(name, "") for name in IDENTITY))


def counters(samples: Samples, guarantee: str, group_by: Sequence[str], first: int, last: int) -> Counters:
    """Put a guarantee's counters on the minutes from `first` to `last` (Unix seconds, both included).

    `samples` are of `gpu_partition_guarantee_seconds_total`; those of other guarantees are left out. For the first minute to
    have its value they must reach five minutes back.
    """
    chosen, entities, cells = [], dict[Entity, int](), []
    for position, labels in enumerate(samples.series):
        outcome = labels.get("outcome", "")
        if labels.get("guarantee") == guarantee and outcome in OUTCOMES:
            row = entities.setdefault(entity(labels, group_by), len(entities))
            chosen.append(position)
            cells.append((row, OUTCOMES.index(outcome)))
    minutes = (last - first) // SLICE + 1
    values = np.full((len(entities), minutes, len(OUTCOMES)), np.nan)
    if chosen:
        _fill(values, np.array(cells), _selected(samples, chosen), first)
    return Counters(tuple(entities), first, values)


def _selected(samples: Samples, chosen: Sequence[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Rows, times and values of some series' samples; rows are positions in `chosen`, which ascends, so they stay sorted."""
    place = np.full(len(samples.series), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    rows = place[samples.frame["series"].to_numpy()]
    times, found = samples.frame["t"].to_numpy(), samples.frame["v"].to_numpy()
    if len(chosen) == len(samples.series):
        return rows, times, found
    mine = rows >= 0
    return rows[mine], times[mine], found[mine]


def _fill(
    values: Floats,
    cells: npt.NDArray[np.int64],
    selected: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats],
    first: int,
) -> None:
    minutes = values.shape[1]
    rows, times, found = selected
    step = max(1, _TILE // minutes)
    for low in range(0, len(cells), step):
        high = min(low + step, len(cells))
        begin, end = np.searchsorted(rows, [low, high])
        dense = on_minutes(rows[begin:end] - low, times[begin:end], found[begin:end], high - low, first, minutes)
        for number, (row, outcome) in enumerate(cells[low:high]):
            np.fmax(values[row, :, outcome], dense[number], out=values[row, :, outcome])


def on_minutes(
    rows: npt.NDArray[np.int64], times: npt.NDArray[np.int64], found: Floats, count: int, first: int, minutes: int
) -> Floats:
    """Return [count, minutes] values as of each minute. Samples are sorted by row and time (Unix milliseconds)."""
    behind = LOOKBACK // SLICE - 1
    # A sample belongs to the first minute at or after it; one in the slots before the first minute may be the newest there.
    slot = -((first * 1000 - times) // (SLICE * 1000)) + behind
    inside = (slot >= 0) & (slot < minutes + behind)
    if not inside.all():
        rows, found, slot = rows[inside], found[inside], slot[inside]
    value = np.full((count, minutes + behind), np.nan)
    there = np.zeros((count, minutes + behind), dtype=bool)
    # Of several samples in a slot the last one written stays, which is the newest. A staleness marker is a NaN as well.
    value[rows, slot] = found
    there[rows, slot] = True
    result = value[:, behind:].copy()
    row, column = np.nonzero(~there[:, behind:])  # minutes without a sample of their own: usually none
    for back in range(1, behind + 1):
        met = there[row, column + behind - back]
        result[row[met], column[met]] = value[row[met], column[met] + behind - back]
        row, column = row[~met], column[~met]
    return result


def facts(info: Samples, promise: Samples, group_by: Sequence[str]) -> dict[Entity, Facts]:
    """Return what is known of each entity, by `gpu_partition_info` and `gpu_partition_promise_info`; the newest wins."""
    classes: dict[Entity, dict[str, str]] = {}
    for labels in _newest_last(promise):
        classes.setdefault(entity(labels, group_by), {})[labels.get("dimension", "")] = labels.get("class", "")
    known = {field.name for field in fields(Facts)} & set(FACTS)
    found: dict[Entity, Facts] = {}
    for labels in _newest_last(info):
        who = entity(labels, group_by)
        found[who] = Facts(classes=classes.get(who, {}), **{name: labels.get(name, "") for name in known})
    return found


def _newest_last(samples: Samples) -> Iterable[Mapping[str, str]]:
    """The series by their newest sample; equal times keep the store's order, and labels break the tie."""
    newest = samples.frame.group_by("series").agg(pl.col("t").max())
    times = dict(newest.iter_rows())
    order = sorted(
        (position for position in range(len(samples.series)) if position in times),
        key=lambda position: (times[position], sorted(samples.series[position].items())),
    )
    return [samples.series[position] for position in order]

"""From page to page: what a page says of activity, since when its samples stand, and what on it is not believed. Pure.

A device that is idle repeats its zeros, but its GPU's energy and power do not stand still. Where a page has neither, an idle GPU
cannot be told from an exporter that has stopped collecting, and its sample grows old all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from exporter.dcgm.fields import ACTIVITY, DRAM, ENERGY, ENGINE, POWER, PROFILED, SM, TENSOR
from exporter.dcgm.page import DeviceRow, Page
from exporter.dcgm.reading import DcgmDevice, DcgmGpu, DcgmReading
from exporter.dcgm.suspects import ENGINE_ZERO
from exporter.model import GpuUuid, Missing, Reading, Reason

ASSUMED_INTERVAL = 30.0
"""Seconds between two collections of a dcgm-exporter that nobody told otherwise (DCGM_EXPORTER_INTERVAL)."""

_LEARNED_FROM = 3
_REMEMBERED = 8

_UNTRUSTED = {
    "ratio_far_above_one": "ratio_above_one",
    "copied_to_owners": "copied_to_tenants",
    ENGINE_ZERO: "engine_idle_utilisation_high",
}
"""A page's suspects by the names under which the exporter counts what it does not believe."""

_UNSUPPORTED = Missing(Reason.UNSUPPORTED)
_CONTRADICTION = Missing(Reason.CONTRADICTION)


@dataclass(frozen=True, slots=True)
class _Track:
    """One GPU's fingerprint: since when it stands, and after how long earlier ones changed."""

    print: tuple[object, ...]
    after: float
    seen: float
    read: float
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered from page to page."""

    serial: int = 0
    tracks: Mapping[str, _Track] = field(default_factory=dict)


def reading(page: Page, now: float, history: History) -> tuple[DcgmReading, History]:
    """Take a page that was asked for at `now`, monotonic seconds; returns what it says and what to remember."""
    rows: dict[str, list[DeviceRow]] = {}
    for row in page.devices:
        rows.setdefault(row.parent, []).append(row)
    tracks = {uuid: _tracked(_fingerprint(found), now, history.tracks.get(uuid)) for uuid, found in rows.items()}
    stuck = {(each.parent, each.gpu_instance) for each in page.suspects if each.check == ENGINE_ZERO}
    serial = history.serial + 1
    told = DcgmReading(
        serial=serial,
        gpus={
            GpuUuid(uuid): DcgmGpu(
                after=tracks[uuid].after,
                seen=tracks[uuid].seen,
                interval=_interval(tracks[uuid].gaps),
                devices=tuple(_devices(found, stuck)),
            )
            for uuid, found in rows.items()
        },
        untrusted=Counter(_UNTRUSTED[each.check] for each in page.suspects if each.check in _UNTRUSTED),
    )
    return told, History(serial, tracks)


def _fingerprint(rows: Iterable[DeviceRow]) -> tuple[object, ...]:
    return tuple((row.gpu_instance, *(row.values.get(key) for key in (ENERGY, POWER, *PROFILED))) for row in rows)


def _tracked(fingerprint: tuple[object, ...], now: float, before: _Track | None) -> _Track:
    if before is None:
        # It may have been there for an interval before anybody looked.
        return _Track(fingerprint, now - ASSUMED_INTERVAL, now, now)
    if before.print == fingerprint:
        return _Track(fingerprint, before.after, before.seen, now, before.gaps)
    gaps = (*before.gaps, now - before.seen)[-_REMEMBERED:]
    return _Track(fingerprint, before.read, now, now, gaps)


def _interval(gaps: tuple[float, ...]) -> float:
    """The longest of the gaps between changes, which is never too short, once a few are known."""
    return max(gaps) if len(gaps) >= _LEARNED_FROM else ASSUMED_INTERVAL


def _devices(rows: Iterable[DeviceRow], stuck: Collection[tuple[str | None, int | None]]) -> Iterator[DcgmDevice]:
    for row in rows:
        # A whole GPU's suspicion under MIG is that all of its instances' engines stand still.
        zero = (row.parent, row.gpu_instance) in stuck or (row.parent, None) in stuck
        values = {key: _value(row, key) for key in ACTIVITY}
        yield DcgmDevice(
            gpu_instance=row.gpu_instance,
            profile=row.profile_label or "",
            engine=_CONTRADICTION if zero and values[ENGINE] == 0.0 else values[ENGINE],
            sm=values[SM],
            tensor=values[TENSOR],
            bandwidth=values[DRAM],
        )


def _value(row: DeviceRow, key: str) -> Reading:
    value = row.values.get(key)
    if value is not None:
        return value
    return _CONTRADICTION if key in row.refused else _UNSUPPORTED

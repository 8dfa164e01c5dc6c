"""From page to page: what a page says of activity, since when its samples stand, and what on it is not believed. Pure.

A device that is idle repeats its zeros, but its GPU's energy and power do not stand still. Where a page has neither, an idle GPU
cannot be told from an exporter that has stopped collecting, and its sample grows old all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.dcgm.fields import DRAM, ENERGY, ENGINE, POWER, PROFILED, SM, TENSOR
from exporter.dcgm.page import DeviceRow, Page
from exporter.dcgm.reading import DcgmDevice, DcgmGpu, DcgmReading, NamedPod
from exporter.dcgm.suspects import ENGINE_ZERO
from exporter.model import GpuUuid, Missing, Reading, Reason

ASSUMED_INTERVAL = 30.0
"""Seconds between two collections of a dcgm-exporter that nobody told otherwise (DCGM_EXPORTER_INTERVAL)."""

TOGETHER = 3
"""Samples that are looked at together. Sources differ on whether DCGM's value of an Ampere instance is a mean over the interval
or what was so at its end (NVIDIA/dcgm-exporter#53); of a load that comes and goes, three in a row are seldom all high."""

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
_NOT_YET = Missing(Reason.NOT_YET)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One sample of a GPU: its fingerprint, the engines by instance, and when it was made and seen, monotonic seconds."""

    print: tuple[object, ...]
    engines: Mapping[int | None, Reading]
    after: float
    at: float


@dataclass(frozen=True, slots=True)
class _Track:
    """One GPU's last samples, the newest behind, when its page was last read, and after how long earlier samples came."""

    samples: tuple[_Seen, ...]
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
    stuck = {(each.parent, each.gpu_instance) for each in page.suspects if each.check == ENGINE_ZERO}
    tracks: dict[str, _Track] = {}
    gpus: dict[GpuUuid, DcgmGpu] = {}
    for uuid, found in rows.items():
        engines = {row.gpu_instance: _engine(row, stuck) for row in found}
        tracks[uuid] = track = _tracked(_fingerprint(found), engines, now, history.tracks.get(uuid))
        gpus[GpuUuid(uuid)] = DcgmGpu(
            first_after=track.samples[0].after,
            after=track.samples[-1].after,
            seen=track.samples[-1].at,
            interval=_interval(track.gaps),
            devices=tuple(_device(row, track.samples) for row in found),
        )
    untrusted = Counter(_UNTRUSTED[each.check] for each in page.suspects if each.check in _UNTRUSTED)
    serial = history.serial + 1
    return DcgmReading(serial=serial, gpus=gpus, untrusted=untrusted), History(serial, tracks)


def _fingerprint(rows: Iterable[DeviceRow]) -> tuple[object, ...]:
    return tuple((row.gpu_instance, *(row.values.get(key) for key in (ENERGY, POWER, *PROFILED))) for row in rows)


def _tracked(
    fingerprint: tuple[object, ...], engines: Mapping[int | None, Reading], now: float, before: _Track | None
) -> _Track:
    if before is None:
        # It may have been there for an interval before anybody looked.
        return _Track((_Seen(fingerprint, engines, now - ASSUMED_INTERVAL, now),), now)
    last = before.samples[-1]
    if last.print == fingerprint:
        return replace(before, samples=(*before.samples[:-1], replace(last, engines=engines)), read=now)
    gaps = (*before.gaps, now - last.at)[-_REMEMBERED:]
    return _Track((*before.samples, _Seen(fingerprint, engines, before.read, now))[-TOGETHER:], now, gaps)


def _interval(gaps: tuple[float, ...]) -> float:
    """The longest of the gaps between changes, which is never too short, once a few are known."""
    return max(gaps) if len(gaps) >= _LEARNED_FROM else ASSUMED_INTERVAL


def _engine(row: DeviceRow, stuck: Collection[tuple[str | None, int | None]]) -> Reading:
    """The engine's activity; a zero that is stuck is no zero. A whole GPU's suspicion under MIG is of all its instances."""
    value = _value(row, ENGINE)
    suspect = (row.parent, row.gpu_instance) in stuck or (row.parent, None) in stuck
    return _CONTRADICTION if suspect and value == 0.0 else value


def _device(row: DeviceRow, samples: Sequence[_Seen]) -> DcgmDevice:
    engines = [each.engines.get(row.gpu_instance, _UNSUPPORTED) for each in samples]
    known = [each for each in engines if not isinstance(each, Missing)]
    together = len(samples) == TOGETHER and len(known) == TOGETHER
    return DcgmDevice(
        gpu_instance=row.gpu_instance,
        profile=row.profile_label or "",
        engine=engines[-1],
        engine_least=min(known) if together else _NOT_YET,
        engine_most=max(known) if together else _NOT_YET,
        sm=_value(row, SM),
        tensor=_value(row, TENSOR),
        bandwidth=_value(row, DRAM),
        named=tuple(
            dict.fromkeys(NamedPod(each.namespace, each.pod) for each in row.hints if each.namespace and each.pod)
        ),
    )


def _value(row: DeviceRow, key: str) -> Reading:
    value = row.values.get(key)
    if value is not None:
        return value
    return _CONTRADICTION if key in row.refused else _UNSUPPORTED

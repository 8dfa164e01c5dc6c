"""What is remembered of a holder of a shared device: running sums over the window, and its appetite by pressure.

Sums are cumulated, so that a window is the difference of two entries however long it is. Appetite is what the holder used
at each level of *pressure*, the mean queue of the others; a dedicated device of speed p is like a pressure of 1/p - 1.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from exporter.demand_elasticity import Moves

EDGES = (0.12, 0.4, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0)
"""Upper ends of the levels of pressure; the last level has none."""

FULL = 60.0
"""Seconds that a level remembers in full weight; more is forgotten as it comes, so that a change of habit shows."""

_TOUCH = 1e-6
_STILL = Moves()


class Entry(NamedTuple):
    """Sums since the first tick, up to and with the tick at `at`; each product is with the seconds of its tick."""

    at: float
    seconds: float = 0.0  # in which the holder had a process on the device
    share: float = 0.0
    active: float = 0.0  # seconds in which it used something
    processes: float = 0.0  # of its processes, those that used something lately
    ready: float = 0.0  # sum of their readiness
    pressure: float = 0.0
    square: float = 0.0  # of the share
    backlog: float = 0.0  # seconds with a declared backlog
    told: float = 0.0  # seconds with a declaration
    moves: Moves = _STILL


class Level(NamedTuple):
    """What was used at one level of pressure, in seconds and share-seconds."""

    seconds: float = 0.0
    active: float = 0.0
    share: float = 0.0
    square: float = 0.0
    pressure: float = 0.0
    at: float = 0.0


NOTHING = Level()
EMPTY = (NOTHING,) * (len(EDGES) + 1)


class Means(NamedTuple):
    """A window's averages while the holder had a process on the device."""

    seconds: float
    share: float
    active: float  # part of the seconds in which it used something
    processes: int  # of those that used something lately
    readiness: float  # of all its processes together
    pressure: float
    swing: float  # standard deviation of its share over the seconds in which it used something
    backlog: float | None  # part of the told seconds with a declared backlog; None when nothing was told
    moves: tuple[Moves, Moves] = (_STILL, _STILL)  # at the start of the window and at its end


@dataclass(frozen=True, slots=True)
class Track:
    """One holder's memory: its sums, oldest first, from the last one before the window on; and its appetite."""

    entries: tuple[Entry, ...]
    levels: tuple[Level, ...] = EMPTY

    @property
    def last(self) -> Entry:
        """The newest sums."""
        return self.entries[-1]

    def grown(self, entry: Entry, horizon: float, levels: tuple[Level, ...]) -> Track:
        """Add an entry and let go of what lies before the last one at or before the horizon."""
        entries = self.entries
        drop = 0
        while drop + 1 < len(entries) and entries[drop + 1].at <= horizon + _TOUCH:
            drop += 1
        return Track((*entries[drop:], entry), levels)

    def base(self, horizon: float) -> Entry:
        """Return the sums at the start of the window, or the oldest there are."""
        entries = self.entries
        if len(entries) > 1 and entries[1].at <= horizon + _TOUCH:
            return next(each for each in reversed(entries) if each.at <= horizon + _TOUCH)
        return entries[0]


class Tick(NamedTuple):
    """What one tick says of a holder; `queue` is the mean queue of the whole device."""

    at: float
    seconds: float
    share: float
    ready: float  # of its processes together
    queue: float
    present: int  # processes on the device
    working: int  # of those, the ones that used something lately
    backlog: bool | None
    beside: float  # the largest share of a process of another holder


def grown(track: Track, tick: Tick, horizon: float) -> Track:
    """Add a tick to a holder's track."""
    last, w = track.last, tick.seconds
    if tick.present == 0:
        return track.grown(last._replace(at=tick.at), horizon, track.levels)
    pressure = max(0.0, tick.queue - tick.ready)
    entry = Entry(
        tick.at,
        last.seconds + w,
        last.share + tick.share * w,
        last.active + (w if tick.share > 0.0 else 0.0),
        last.processes + max(1, tick.working) * w,
        last.ready + tick.ready * w,
        last.pressure + pressure * w,
        last.square + tick.share * tick.share * w,
        last.backlog + (w if tick.backlog else 0.0),
        last.told + (0.0 if tick.backlog is None else w),
        last.moves.grown(w, tick.share, tick.beside),
    )
    return track.grown(entry, horizon, noted(track.levels, tick.at, w, tick.share, pressure))


def means(track: Track, horizon: float) -> Means | None:
    """Average a track since the horizon; None when the holder had no process on the device in that time."""
    first, last = track.base(horizon), track.last
    seconds = last.seconds - first.seconds
    if seconds <= 0.0:
        return None
    share, active = max(0.0, last.share - first.share), max(0.0, last.active - first.active)
    busy = share / active if active > 0.0 else 0.0
    variance = max(0.0, (last.square - first.square) / active - busy * busy) if active > 0.0 else 0.0
    told = last.told - first.told
    return Means(
        seconds=seconds,
        share=share / seconds,
        active=min(1.0, active / seconds),
        processes=max(1, round((last.processes - first.processes) / seconds)),
        readiness=max(0.0, (last.ready - first.ready) / seconds),
        pressure=max(0.0, (last.pressure - first.pressure) / seconds),
        swing=variance**0.5,
        backlog=(last.backlog - first.backlog) / told if told > 0.0 else None,
        moves=(first.moves, last.moves),
    )


def noted(levels: tuple[Level, ...], at: float, seconds: float, share: float, pressure: float) -> tuple[Level, ...]:
    """Add one tick's use to the level of its pressure."""
    place = bisect_right(EDGES, pressure)
    level = levels[place]
    keep = 1.0 if level.seconds + seconds <= FULL else FULL / (level.seconds + seconds)
    more = Level(
        seconds=(level.seconds + seconds) * keep,
        active=(level.active + (seconds if share > 0.0 else 0.0)) * keep,
        share=(level.share + share * seconds) * keep,
        square=(level.square + share * share * seconds) * keep,
        pressure=(level.pressure + pressure * seconds) * keep,
        at=at,
    )
    return (*levels[:place], more, *levels[place + 1 :])

"""A recording as a witness: each tick hears the next hearing, whatever the clock says."""

from __future__ import annotations

from pathlib import Path

from exporter.recording.file import Reader
from exporter.witness import Hearing, Holders, OverError


class Replay:
    """Plays a file back. Raises ConfigError for one that is no recording."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._ticks = iter(self._reader)
        self._path = path

    @property
    def tick(self) -> float:
        """Seconds between two hearings when they were recorded."""
        return self._reader.header.tick

    def hear(self, now: float, holders: Holders) -> Hearing:
        """Return the next hearing. Raises OverError behind the last one."""
        del now, holders
        found = next(self._ticks, None)
        if found is None:
            raise OverError(f"{self._path} is at its end")
        return found

    def close(self) -> None:
        """Read no more."""
        self._ticks = iter(())

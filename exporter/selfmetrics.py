"""`process_*` and `python_info`, under the client library's names, read from procfs.

Our own reading, because importing the client library for these seven series costs 4 MiB resident of the 45 that the
exporter may take (bench/ measures it); the library stays the oracle of the tests. Fields: proc(5), `stat`, 14 and 15
(CPU ticks), 22 (start), 23 and 24 (sizes).
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

from exporter.exposition import Foreign, escape, number

_CLOCK, _VIRTUAL, _RESIDENT = "process_cpu_seconds", "process_virtual_memory_bytes", "process_resident_memory_bytes"
_HELP = {
    _VIRTUAL: "Virtual memory size in bytes.",
    _RESIDENT: "Resident memory size in bytes.",
    "process_start_time_seconds": "Start time of the process since unix epoch in seconds.",
    _CLOCK: "Total user and system CPU time spent in seconds.",
    "process_open_fds": "Number of open file descriptors.",
    "process_max_fds": "Maximum number of open file descriptors.",
}


class SelfMetrics:
    """Reads the program's own process; what cannot be read is left out."""

    def __init__(self, procfs: str = "/proc") -> None:
        self._self = Path(procfs, "self")
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._page_size = resource.getpagesize()
        self._booted = _boot_time(Path(procfs, "stat"))
        self._python = _python_info()

    def read(self) -> tuple[Foreign, ...]:
        """Return the families as they are now."""
        values = self._usage() | self._descriptors()
        return (*(_family(name, values[name]) for name in _HELP if name in values), self._python)

    def _usage(self) -> dict[str, float]:
        try:
            # The command stands in brackets and may hold anything, a closing bracket as well.
            fields = (self._self / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return {}
        usage = {
            _VIRTUAL: float(fields[20]),
            _RESIDENT: float(fields[21]) * self._page_size,
            _CLOCK: (int(fields[11]) + int(fields[12])) / self._ticks,
        }
        if self._booted is not None:
            usage["process_start_time_seconds"] = self._booted + int(fields[19]) / self._ticks
        return usage

    def _descriptors(self) -> dict[str, float]:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            opened = len(os.listdir(self._self / "fd"))  # noqa: PTH208  # counted each tick: no object for each entry
        except OSError:
            return {}
        return {"process_open_fds": float(opened), "process_max_fds": float(limit)}


def _boot_time(stat: Path) -> float | None:
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), None)


def _family(name: str, value: float) -> Foreign:
    counter = name == _CLOCK
    sample = f"{name}_total" if counter else name
    return Foreign(name, "counter" if counter else "gauge", _HELP[name], (f"{sample} {number(value)}",))


def _python_info() -> Foreign:
    major, minor, patch = platform.python_version_tuple()
    labels = {
        "implementation": platform.python_implementation(),
        "major": major,
        "minor": minor,
        "patchlevel": patch,
        "version": platform.python_version(),
    }
    written = ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
    return Foreign("python_info", "gauge", "Python platform information", (f"python_info{{{written}}} 1.0",))

"""What a process holds, from /proc, and what its page says, every few seconds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_SERIES = re.compile(rb"^[a-z]", re.MULTILINE)
_PARTITION = re.compile(rb"^gpu_partition_", re.MULTILINE)
_DOWN = re.compile(rb'^slicewatch_source_up\{source="(\w+)"\} 0', re.MULTILINE)
_TICKS = re.compile(rb"^slicewatch_tick_duration_seconds_count (\S+)$", re.MULTILINE)
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds: MiB resident, open descriptors, threads."""

    rss: float
    descriptors: int
    threads: int


def held(pid: int) -> Held:
    """Read it from /proc (VmRSS and Threads of proc(5)'s status). Raises OSError when the process is gone."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    found = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return Held(
        rss=int(found["VmRSS"][0]) * 1024 / _MIB,
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208  # counted only
        threads=int(found["Threads"][0]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row of a soak. `at` is seconds since it began."""

    at: float
    own: Held
    evaluator: Held | None  # `slo run` beside it
    series: int
    partition_series: int
    page_bytes: int
    ticks: float
    down: tuple[str, ...]
    trouble: str


def counts(page: bytes) -> tuple[int, int, float, tuple[str, ...]]:
    """Series, those of partitions, ticks, and the sources that are down."""
    ticks = _TICKS.search(page)
    down = tuple(sorted(name.decode() for name in _DOWN.findall(page)))
    return (
        len(_SERIES.findall(page)),
        len(_PARTITION.findall(page)),
        float(ticks[1]) if ticks else 0.0,
        down,
    )

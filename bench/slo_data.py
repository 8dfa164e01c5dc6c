"""History for the benches: the contract's series of a fleet that nobody has, as text, and as blocks of a Prometheus.

Every partition has one guarantee's four outcomes, an info and a promise, scraped every 30 s at a phase of its node's own.
It wants something half of the time, in stretches of an hour, and is in breach in one scrape of two hundred. Counters grow
with a jitter of milliseconds, as real ones do: round numbers would be packed better than they deserve.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.catalogue import GUARANTEE_SECONDS, OUTCOMES, PARTITION_INFO, PROMISE_INFO

SCRAPE = 30
SPAN = 2 * 3600
"""Seconds of a block; promtool reads a file once for each block in it."""
BEGIN = 1_700_000_000 // SPAN * SPAN
NAMESPACES = 20
_NODE = 56
_GPU = 7
_AT_ONCE = 2
_TYPES = f"# TYPE {GUARANTEE_SECONDS.name} unknown\n# TYPE {PARTITION_INFO.name} unknown\n# TYPE {PROMISE_INFO.name} unknown\n"


@dataclass(frozen=True, slots=True)
class Names:
    """A partition's series as the text format names them."""

    outcomes: tuple[str, ...]
    info: str
    promise: str


def names(number: int) -> Names:
    """Return the names of one partition's series."""
    node, gpu = f"node-{number // _NODE}", f"GPU-{number // _GPU:08x}-9d3a-4f6e-b1c2-5a7e0c4d8f91"
    scrape = f'cluster="eu",instance="{node}:9945",job="slicewatch"'
    mine = (
        f'{scrape},gpu="{gpu}",device="MIG-{number:08x}-1b2c-4d5e-8f90-a1b2c3d4e5f6",'
        f'namespace="team-{number % NAMESPACES}",pod="train-{number}-0",container="main"'
    )
    klass = "burstable" if number % 4 == 0 else "guaranteed"
    described = (
        f'{mine},node="{node}",pod_uid="u{number}",workload_kind="Job",workload="train",resource="nvidia.com/gpu"'
    )
    return Names(
        tuple(f'{GUARANTEE_SECONDS.name}{{{mine},guarantee="compute",outcome="{each}"}}' for each in OUTCOMES),
        f'{PARTITION_INFO.name}{{{described},sharing="mig",slots="1",profile="1g.10gb"}}',
        f'{PROMISE_INFO.name}{{{mine},dimension="compute",class="{klass}",enforcer="mig",source="profile"}}',
    )


class Fleet:
    """Partitions whose counters go on from span to span."""

    def __init__(self, partitions: int) -> None:
        self.names = [names(number) for number in range(partitions)]
        self._random = np.random.default_rng(11)
        self._counters = np.zeros((partitions, len(OUTCOMES)))

    def span(
        self, start: int, length: int = SPAN
    ) -> Iterator[tuple[Names, npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Yield each partition's scrape times (Unix ms) from `start` on, and its counters at each."""
        steps = length // SCRAPE
        ticks = start * 1000 + np.arange(steps, dtype=np.int64) * SCRAPE * 1000
        hours = (ticks - BEGIN * 1000) // 3_600_000
        kept, broken, idle = (OUTCOMES.index(each) for each in ("kept", "broken", "idle"))
        for number, named in enumerate(self.names):
            wanted = (hours + number) % 2 == 0
            bad = wanted & (self._random.random(steps) < 1 / 200)
            which = np.where(bad, broken, np.where(wanted, kept, idle))
            grown = np.zeros((steps, len(OUTCOMES)))
            grown[np.arange(steps), which] = SCRAPE + self._random.integers(-9, 10, steps) / 1000
            counters = self._counters[number] + grown.cumsum(axis=0)
            self._counters[number] = counters[-1]
            yield named, ticks + (number // _NODE * 137) % (SCRAPE * 1000), counters


def blocks(fleet: Fleet, start: int, end: int, data: Path) -> None:
    """Write history from `start` to `end` (Unix seconds) as blocks. Raises CalledProcessError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = []
        for first in range(start, end, SPAN):
            file = data.parent / f"{first}.om"
            with file.open("w") as out:
                out.write(_TYPES)
                for named, times, counters in fleet.span(first, min(SPAN, end - first)):
                    stamps = [f"{at // 1000}.{at % 1000:03d}" for at in times.tolist()]
                    out.writelines(lines(named, stamps, counters))
                out.write("# EOF\n")
            waiting.append(pool.submit(_block, file, data))
            if len(waiting) > _AT_ONCE:
                waiting.pop(0).result()
        for each in waiting:
            each.result()


def lines(named: Names, stamps: list[str], counters: npt.NDArray[np.float64]) -> Iterator[str]:
    """Yield a partition's samples in the text format."""
    for name, values in zip(named.outcomes, counters.T, strict=True):
        yield "".join([f"{name} {value:.3f} {at}\n" for value, at in zip(values.tolist(), stamps, strict=True)])
    for name in (named.info, named.promise):
        yield "".join([f"{name} 1 {at}\n" for at in stamps])


def _block(file: Path, data: Path) -> None:
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
    subprocess.run(made, check=True, capture_output=True)
    file.unlink()

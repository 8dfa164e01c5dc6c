"""What one reading of the driver costs: the unmodified pynvml on the fake driver, whose state changes every time.

The fake's own part cannot be taken out of the thread's time, but bounded: its look at the state file is timed apart. A
real driver's calls cost other amounts; this row says what our side of them costs.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.measure import median, timed
from exporter.simulator.sources import build
from exporter.simulator.spec import Scenario
from exporter.sources.nvml.driver import NvmlDriver
from tests.fake_nvml.library import FakeLibrary
from tests.fake_nvml.state import STATE_VARIABLE, from_reading, write


@dataclass(frozen=True, slots=True)
class ReadFigures:
    """Median CPU seconds of a reading with its calls, and of the fake's parsing of a changed state."""

    read: float
    parse: float
    calls: int


def figures(scenario: Scenario, rounds: int, library: Path) -> ReadFigures:
    """Read a changing node `rounds` times through the fake driver that is built in the folder `library`."""
    node = build(scenario)
    driver = NvmlDriver()
    reads: list[float] = []
    parses: list[float] = []
    fake = FakeLibrary(library)
    import pynvml  # noqa: PLC0415  # it looks for the library, which must be loaded first

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        os.environ[STATE_VARIABLE] = str(state)
        calls = 0
        for second in range(rounds + 2):
            write(state, from_reading(node.driver.read(float(second))))
            if second == 0:
                pynvml.nvmlInit()  # ours, so that the state can be looked at before the driver reads it
            timed(parses, pynvml.nvmlDeviceGetCount)
            before = fake.calls()
            timed(reads, driver.read, float(second))
            calls = fake.calls() - before
        driver.close()
        pynvml.nvmlShutdown()
    return ReadFigures(median(reads[2:]), median(parses[2:]), calls)

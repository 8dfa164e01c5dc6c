"""A simulated node behind the fake driver reads as the simulator said: through C, the real pynvml and the real source."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.simulator.clock import Clock
from exporter.simulator.node import SimNode
from exporter.simulator.scenario import load
from exporter.simulator.sources import SimDriver
from exporter.sources.nvml import NvmlDriver
from tests.fake_nvml.library import FakeLibrary
from tests.fake_nvml.state import FakeDriver, as_read, from_reading
from tests.nvml_fake.conftest import Become


@pytest.mark.parametrize("scenario", ["mig-mixed", "mig-reshaped", "gpu-lost", "time-slicing-hog"])
def test_a_source_reads_what_the_simulator_says(library: FakeLibrary, become: Become, scenario: str) -> None:
    simulated, source = SimDriver(Clock(SimNode(load(scenario)), 0.0)), NvmlDriver()
    before = FakeDriver()
    try:
        for second in range(1, 122, 5):
            told = simulated.read(float(second))
            before = replace(from_reading(told, previous=before), gpm_window_us=0)
            become(before)
            read = source.read(float(second))
            expected = as_read(told)
            if second > 1:  # the source and the simulator need a sample each before their first activity
                assert read.devices == expected.devices
            assert read.gpus == expected.gpus
            assert read.inventory.gpus == expected.inventory.gpus
            assert read.events == expected.events
    finally:
        source.close()
    assert (library.live_inits, library.live_samples, library.live_event_sets) == (0, 0, 0)

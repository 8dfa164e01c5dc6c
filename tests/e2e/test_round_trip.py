"""A simulated node through the real driver interface, socket, HTTP and procfs gives the page that it gives directly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from exporter.collect import Collector
from exporter.model import DriverReading
from exporter.simulator import scenario
from exporter.simulator.sources import SimSources, build
from exporter.witness import Clock, Sources
from tests.e2e import mirror
from tests.e2e.rig import NODE, Rig
from tests.e2e.scrape import Scrape, parse
from tests.fake_nvml.state import from_reading

SECONDS = 20

SAME_WORDS = ("gpu_device_info", "gpu_partition_info", "gpu_partition_promise_info")

SAME_NUMBERS = {
    # metric: what two readings of one world may differ by. Memory is told in bytes, shares in whole percent by NVML.
    "gpu_device_memory_total_bytes": 0.0,
    "gpu_device_memory_used_bytes": 1 << 20,
    "gpu_device_sm_count": 0.0,
    "gpu_device_engine_active_ratio": 0.011,
    "gpu_device_sm_active_ratio": 0.011,
    "gpu_device_power_watts": 0.01,
    "gpu_device_sm_clock_hertz": 1e6,
    "gpu_partition_promised_compute_ratio": 1e-12,
    "gpu_partition_promised_memory_bytes": 0.0,
    "gpu_partition_used_memory_bytes": 1 << 20,
    "gpu_partition_obtainable_memory_bytes": 1 << 20,
    "gpu_partition_used_compute_ratio": 0.011,
    "gpu_partition_processes": 0.0,
    "slicewatch_orphans": 0.0,
    "slicewatch_source_up": 0.0,
}


class Overheard:
    """A driver that remembers its last word."""

    def __init__(self, node: SimSources) -> None:
        self._driver = node.driver
        self.last: DriverReading | None = None

    def read(self, now: float) -> DriverReading:
        self.last = self._driver.read(now)
        return self.last

    def close(self) -> None:
        self._driver.close()


@dataclass(frozen=True)
class Direct:
    """A simulated node some seconds into its scenario: its own page, and what its sources said last."""

    page: Scrape
    reading: DriverReading
    node: SimSources


@pytest.fixture(params=["mig-mixed", "time-slicing-hog"])
def direct(request: pytest.FixtureRequest) -> Iterator[Direct]:
    """The page from the simulator's own sources, a tick a second under a clock of its own."""
    node = build(scenario.load(request.param), 1, 0.0, sleep=lambda _: None)
    driver = Overheard(node)
    sources = Sources(driver=driver, kubelet=node.kubelet, pods=node.pods, processes=node.processes)
    now = 0.0
    collector = Collector(NODE, sources, clock=Clock(lambda: now, lambda: now), patience=30.0)
    tick = collector.run_tick()
    for _ in range(SECONDS):
        now += 1.0
        tick = collector.run_tick()
    assert driver.last is not None
    yield Direct(parse(tick.rendered.text.decode()), driver.last, node)
    collector.close()


def differing(name: str, one: Scrape, other: Scrape) -> dict[object, tuple[object, object]]:
    """The samples of a metric that are not the same on both pages, with both values."""
    ours, theirs = one.samples.get(name, {}), other.samples.get(name, {})
    found = {labels: (ours.get(labels), theirs.get(labels)) for labels in ours.keys() | theirs.keys()}
    near = SAME_NUMBERS[name]
    return {
        labels: (a, b) for labels, (a, b) in found.items() if a is None or b is None or not a - near <= b <= a + near
    }


def test_the_page_through_the_real_wires_is_the_simulators_own(rig: Rig, direct: Direct) -> None:
    reading, now = direct.reading, float(SECONDS)
    rig.driver_becomes(from_reading(reading))
    mirror.allocations(rig, direct.node.kubelet.read(now))
    mirror.pods(rig, direct.node.pods.read(now))
    mirror.processes(rig, direct.node.processes.read(mirror.pids(reading.devices.values())))
    rig.kubelet.start()
    exporter = rig.start()
    # Activity is the difference of two samples, and a finding counts from the second join on.
    measured = direct.page.samples["gpu_partition_used_compute_ratio"].keys()
    page = exporter.until(
        lambda page: page.ticks >= 4 and page.samples.get("gpu_partition_used_compute_ratio", {}).keys() == measured,
        "activity is measured",
    )
    for name in SAME_WORDS:
        assert page.words(name) == direct.page.words(name), name
    for name in SAME_NUMBERS:
        assert differing(name, direct.page, page) == {}, name
    assert page.samples["gpu_partition_info"].keys() == direct.page.samples["gpu_partition_info"].keys()
    rig.stop()

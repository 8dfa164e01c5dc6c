"""Whatever the driver does to the collector, the collector is inside it with one thread and gives everything back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.collect import Collector
from exporter.model import ProcessTable
from exporter.sources.nvml import NvmlDriver
from exporter.witness import Sources
from tests.e2e.node import driver, hanging
from tests.fake_nvml.library import FakeLibrary
from tests.fake_nvml.state import STATE_VARIABLE, Code, FakeDriver, Fault, write

DEADLINE = 0.1


class NoProcesses:
    """A procfs without any of the driver's pids."""

    def read(self, pids: object) -> ProcessTable:
        del pids
        return {}


@pytest.fixture(scope="session")
def counted(driver_library: Path) -> FakeLibrary:
    """The fake driver in this process, with its counters."""
    return FakeLibrary(driver_library.parent)


@pytest.fixture
def machine(counted: FakeLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The driver's state file; at the end nobody has been inside beside another, and nothing is left open."""
    before = counted.concurrent_calls
    path = tmp_path / "driver.state"
    monkeypatch.setenv(STATE_VARIABLE, str(path))
    write(path, driver())
    yield path
    assert counted.concurrent_calls == before
    assert (counted.live_samples, counted.live_event_sets, counted.live_inits) == (0, 0, 0)


def a_collector() -> Collector:
    sources = Sources(driver=NvmlDriver(), kubelet=None, pods=None, processes=NoProcesses())
    return Collector("node-1", sources, tick=0.01, deadline=DEADLINE)


def up(collector: Collector) -> bool:
    """Whether the driver answered in a tick made now."""
    health = {source.name: source.up for source in collector.run_tick().health}
    return health["nvml"]


def until_up(collector: Collector) -> None:
    end = time.monotonic() + 10
    while not up(collector):
        assert time.monotonic() < end
        time.sleep(0.005)


SLOW: dict[str, FakeDriver] = {
    "slower than its deadline in all": driver(Fault(call="*", delay_us=2_000)),
    "slow in one call": driver(Fault(call="nvmlDeviceGetPowerUsage", delay_us=200_000)),
    "slow in a sample": driver(Fault(call="nvmlGpmMigSampleGet", delay_us=150_000)),
}


@pytest.mark.parametrize("name", SLOW)
def test_ticks_that_do_not_wait_for_a_slow_driver_never_send_a_second_thread_in(
    machine: Path, counted: FakeLibrary, name: str
) -> None:
    collector = a_collector()
    assert up(collector)
    calls = counted.calls("nvmlDeviceGetPowerUsage")
    write(machine, SLOW[name])
    answers = []
    for _ in range(30):
        answers.append(up(collector))
        time.sleep(0.005)
    assert False in answers
    write(machine, driver())
    until_up(collector)
    # It was asked again after each slow answer, and not once a tick.
    assert 0 < (counted.calls("nvmlDeviceGetPowerUsage") - calls) / 2 < len(answers)
    collector.close()


def test_a_hang_ends_where_it_began_and_the_close_after_it_gives_all_back(machine: Path, counted: FakeLibrary) -> None:
    collector = a_collector()
    assert up(collector)
    write(machine, hanging())
    assert not up(collector)
    assert counted.in_flight == 1
    asked = counted.calls()
    assert not any(up(collector) for _ in range(20))
    assert counted.calls() == asked
    write(machine, driver())
    until_up(collector)
    collector.close()


def test_a_driver_unloaded_under_the_collector_is_given_back_and_opened_again(
    machine: Path, counted: FakeLibrary
) -> None:
    collector = a_collector()
    assert up(collector)
    for _ in range(5):
        write(
            machine, driver(Fault(call="nvmlDeviceGetCount_v2", code=Code.UNINITIALIZED), init=Code.DRIVER_NOT_LOADED)
        )
        assert not up(collector)
        assert counted.live_inits == 0
        write(machine, driver())
        until_up(collector)
        assert counted.live_inits == 1
    collector.close()

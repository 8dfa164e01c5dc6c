"""The real pynvml on the fake driver: one library for the process, another state for each test."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.model import DriverReading
from exporter.sources.nvml import NvmlDriver
from tests.fake_nvml.build import build
from tests.fake_nvml.state import STATE_VARIABLE, FakeDriver, write


@dataclass(frozen=True)
class Machine:
    """A machine with a driver: its state can be changed, and what was asked of it counted."""

    library: ctypes.CDLL
    path: Path

    def becomes(self, state: FakeDriver) -> None:
        """From the next call on the driver says this."""
        write(self.path, state)

    def loses_its_driver(self) -> None:
        """Unload the kernel module."""
        self.path.unlink()

    def calls(self, name: str) -> int:
        """How often a function was called since the library was loaded."""
        return int(self.library.fake_nvml_calls(name.encode()))

    def live_samples(self) -> int:
        """GPM samples that were not freed."""
        return int(self.library.fake_nvml_live_samples())

    def live_inits(self) -> int:
        """Initialisations that were not shut down."""
        return int(self.library.fake_nvml_live_inits())

    def live_sets(self) -> int:
        """Event sets that were not freed."""
        return int(self.library.fake_nvml_live_event_sets())

    def concurrent_calls(self) -> int:
        """How often one thread came in while another was inside."""
        return int(self.library.fake_nvml_concurrent_calls())


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Load the fake before pynvml looks for a driver; whichever fake came first in this process is the one it finds."""
    ctypes.CDLL(str(build(tmp_path_factory.mktemp("driver"))))
    loaded = ctypes.CDLL("libnvidia-ml.so.1")
    loaded.fake_nvml_calls.restype = ctypes.c_ulong
    loaded.fake_nvml_calls.argtypes = [ctypes.c_char_p]
    return loaded


@pytest.fixture
def machine(library: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose driver is not loaded until its state is written."""
    path = tmp_path / "driver.state"
    monkeypatch.setenv(STATE_VARIABLE, str(path))
    return Machine(library, path)


@pytest.fixture
def driver(machine: Machine) -> Iterator[NvmlDriver]:
    """The source under test; whatever it was given, it has given back at the end."""
    before = machine.concurrent_calls()
    source = NvmlDriver()
    yield source
    source.close()
    assert machine.live_samples() == 0
    assert machine.live_sets() == 0
    assert machine.live_inits() == 0
    assert machine.concurrent_calls() == before


Reader = Callable[[FakeDriver], DriverReading]


@pytest.fixture
def read(machine: Machine, driver: NvmlDriver) -> Reader:
    """Put the machine in a state and read it; every reading is a second after the last."""
    seconds = itertools.count(100.0)

    def read_state(state: FakeDriver) -> DriverReading:
        machine.becomes(state)
        return driver.read(next(seconds))

    return read_state

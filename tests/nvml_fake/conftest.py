"""One fake driver for the process, another state for each test, and the real pynvml on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.fake_nvml.build import build
from tests.fake_nvml.library import FakeLibrary
from tests.fake_nvml.state import STATE_VARIABLE, FakeDriver, write

Become = Callable[[FakeDriver], None]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> FakeLibrary:
    """Load the fake before pynvml looks for a driver."""
    return FakeLibrary(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def become(library: FakeLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Become:
    """Write a state for the driver to be in from its next call on."""
    path = tmp_path / "state"
    monkeypatch.setenv(STATE_VARIABLE, str(path))

    def write_state(state: FakeDriver) -> None:
        write(path, state)

    return write_state


@pytest.fixture
def nvml(become: Become, library: FakeLibrary) -> Iterator[Any]:
    """The real pynvml, initialised; at the end nothing is left open."""
    become(FakeDriver())
    pynvml.nvmlInit()
    yield pynvml
    become(FakeDriver())
    pynvml.nvmlShutdown()
    assert (library.live_inits, library.live_samples, library.live_event_sets) == (0, 0, 0)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each variant of the library is built once."""
    return tmp_path_factory.mktemp("variants")


@pytest.fixture
def run(tmp_path: Path, shelf: Path) -> Run:
    """Run a Python script that finds the driver as a user's program does: on the loader's path."""

    def run_script(script: str, state: FakeDriver, *without: str) -> subprocess.CompletedProcess[str]:
        directory = build(shelf / str(abs(hash(without))), without).parent
        write(tmp_path / "state", state)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(directory), STATE_VARIABLE: str(tmp_path / "state")}
        command = [sys.executable, "-c", f"import pynvml as n\n{script}"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30
        )

    return run_script

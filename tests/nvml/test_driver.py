"""The source's life: opened when there is a driver, opened again after it went, closed without a leak."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.sources.base import Driver
from exporter.sources.nvml import NvmlDriver
from tests.fake_nvml.state import Code, FakeDriver, Fault, Faults
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import h100, l40s, two_slices

ROOT = Path(__file__).parents[2]


def _node(*faults: Fault, init: int = 0) -> FakeDriver:
    return FakeDriver(gpus=(two_slices().gpus[0], l40s()), faults=Faults(init=init, calls=faults))


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (Code.DRIVER_NOT_LOADED, Reason.ERROR, "the NVIDIA driver is not loaded: is the kernel module nvidia"),
        (Code.NO_PERMISSION, Reason.PERMISSION, "refuses this process: give it /dev/nvidiactl"),
        (Code.LIB_RM_VERSION_MISMATCH, Reason.ERROR, "of different versions: reload the module or restart the node"),
        (Code.TIMEOUT, Reason.TIMEOUT, "did not answer in time"),
        (Code.UNKNOWN, Reason.ERROR, "the NVIDIA driver could not be opened: Unknown Error"),
    ],
)
def test_a_driver_that_cannot_be_opened_says_why_and_is_tried_again(
    machine: Machine, driver: NvmlDriver, code: Code, reason: Reason, words: str
) -> None:
    machine.becomes(_node(init=code))
    for _ in range(2):
        with pytest.raises(SourceError) as raised:
            driver.read(1.0)
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)
        assert raised.value.reason is reason
        assert raised.value.__cause__ is not None
    machine.becomes(_node())
    assert len(driver.read(2.0).inventory.gpus) == 2


def test_a_missing_library_is_named_and_what_to_do_about_it() -> None:
    program = (
        "import ctypes, sys\n"
        "try: ctypes.CDLL('libnvidia-ml.so.1')\n"
        "except OSError: pass\n"
        "else: sys.exit(77)\n"
        "from exporter.errors import SourceError\n"
        "from exporter.sources.nvml import NvmlDriver\n"
        "try: NvmlDriver().read(1.0)\n"
        "except SourceError as error: print(error.reason, error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=30, cwd=ROOT
    )
    if ran.returncode == 77:
        pytest.skip("this machine has an NVIDIA driver")
    assert ran.stdout == (
        "unsupported libnvidia-ml.so.1 not found: is the NVIDIA driver installed, or its library mounted into this"
        " container?\n"
    )


@pytest.mark.parametrize("code", [Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED, Code.LIB_RM_VERSION_MISMATCH])
def test_a_driver_that_goes_away_is_opened_again_when_it_is_back(
    machine: Machine, driver: NvmlDriver, code: Code
) -> None:
    machine.becomes(_node())
    before = driver.read(1.0)
    machine.becomes(_node(Fault(call="nvmlDeviceGetPowerUsage", code=code), init=Code.DRIVER_NOT_LOADED))
    with pytest.raises(SourceError, match="went away"):
        driver.read(2.0)
    assert (machine.live_samples(), machine.live_sets(), machine.live_inits()) == (0, 0, 0)
    with pytest.raises(SourceError, match="not loaded"):
        driver.read(3.0)
    machine.becomes(replace(_node(), driver="610.12"))
    after = driver.read(4.0)
    assert after.inventory == replace(before.inventory, driver="610.12", generation=before.inventory.generation + 1)


def test_another_driver_may_cut_the_board_otherwise(machine: Machine, driver: NvmlDriver) -> None:
    machine.becomes(FakeDriver(gpus=(h100(),)))
    before = driver.read(1.0).inventory.gpus[0].profiles
    driver.close()
    changed = tuple(replace(row, memory_mib=row.memory_mib + 256) for row in h100().profiles)
    machine.becomes(FakeDriver(gpus=(h100(profiles=changed),)))
    after = driver.read(2.0).inventory.gpus[0].profiles
    assert [row.memory_bytes - was.memory_bytes for row, was in zip(after, before, strict=True)] == [256 << 20] * 6


def test_a_gpu_that_was_lost_is_still_lost_after_the_driver_came_back(machine: Machine, driver: NvmlDriver) -> None:
    machine.becomes(_node())
    driver.read(1.0)
    lost = replace(_node(), gpus=(replace(two_slices().gpus[0], lost=Code.GPU_IS_LOST), l40s()))
    machine.becomes(lost)
    driver.read(2.0)
    driver.close()
    assert [gpu.lost for gpu in driver.read(3.0).inventory.gpus] == [True, False]
    machine.becomes(_node())
    assert [gpu.lost for gpu in driver.read(4.0).inventory.gpus] == [False, False]


def test_a_driver_that_does_not_count_its_gpus_cannot_be_read(machine: Machine, driver: NvmlDriver) -> None:
    machine.becomes(_node(Fault(call="nvmlDeviceGetCount_v2", code=Code.TIMEOUT)))
    with pytest.raises(SourceError, match="does not count its GPUs") as raised:
        driver.read(1.0)
    assert raised.value.reason is Reason.TIMEOUT


def test_closing_gives_everything_back_and_may_be_done_twice(machine: Machine) -> None:
    source: Driver = NvmlDriver()
    source.close()
    machine.becomes(_node())
    source.read(1.0)
    source.read(2.0)
    assert (machine.live_samples(), machine.live_sets(), machine.live_inits()) == (4, 1, 1)
    source.close()
    source.close()
    assert (machine.live_samples(), machine.live_sets(), machine.live_inits()) == (0, 0, 0)
    assert source.read(3.0).inventory.generation == 1
    source.close()


def _wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_while_a_call_hangs_no_second_one_enters_and_closing_waits_for_nobody(machine: Machine) -> None:
    source = NvmlDriver()
    machine.becomes(_node())
    source.read(1.0)
    machine.becomes(_node(Fault(call="nvmlDeviceGetPowerUsage", hang=True)))
    concurrent = machine.concurrent_calls()
    reader = threading.Thread(target=source.read, args=(2.0,))
    reader.start()
    _wait_until(lambda: machine.library.fake_nvml_in_flight() == 1)
    with pytest.raises(SourceError, match="still waiting inside the NVIDIA driver") as raised:
        source.read(3.0)
    assert raised.value.reason is Reason.TIMEOUT
    source.close()
    assert machine.live_inits() == 1
    machine.becomes(_node())
    reader.join(timeout=10)
    assert not reader.is_alive()
    # The read that hung gave everything back on its way out.
    assert (machine.live_samples(), machine.live_sets(), machine.live_inits()) == (0, 0, 0)
    assert machine.concurrent_calls() == concurrent


def test_a_year_of_changes_leaves_nothing_behind(machine: Machine, read: Reader) -> None:
    for _ in range(10):
        read(_node())
        read(FakeDriver(gpus=(h100(),)))
        read(FakeDriver())
    # The last state has no GPU to sample or to listen to.
    assert (machine.live_samples(), machine.live_sets(), machine.live_inits()) == (0, 0, 1)

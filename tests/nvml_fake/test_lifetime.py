"""From loading to shutdown, each in a process of its own: what is used too late ends it."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from tests.fake_nvml.state import Code, FakeDriver, Faults
from tests.nvml_fake.conftest import Run
from tests.nvml_fake.nodes import mixed

ASK = "print(n.nvmlDeviceGetCount())"

TOO_LATE = {
    "a call after shutdown": ("n.nvmlInit(); n.nvmlShutdown(); n.nvmlDeviceGetCount()", "after nvmlShutdown"),
    "a handle from before shutdown": (
        "n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0); n.nvmlShutdown(); n.nvmlInit(); n.nvmlDeviceGetUUID(h)",
        "from before nvmlShutdown",
    ),
    "a sample after free": (
        "n.nvmlInit(); s = n.nvmlGpmSampleAlloc(); n.nvmlGpmSampleFree(s); n.nvmlGpmSampleGet(GPU, s)",
        "sample that was freed",
    ),
    "a sample freed twice": (
        "n.nvmlInit(); s = n.nvmlGpmSampleAlloc(); n.nvmlGpmSampleFree(s); n.nvmlGpmSampleFree(s)",
        "sample that was freed",
    ),
    "a sample freed after shutdown": (
        "n.nvmlInit(); s = n.nvmlGpmSampleAlloc(); n.nvmlShutdown(); n.nvmlGpmSampleFree(s)",
        "after nvmlShutdown",
    ),
    "an event set after free": (
        "n.nvmlInit(); s = n.nvmlEventSetCreate(); n.nvmlEventSetFree(s); n.nvmlEventSetWait(s, 0)",
        "event set that was freed",
    ),
    "a pointer that is no handle": (
        "n.nvmlInit(); n.nvmlDeviceGetUUID(n.nvmlGpmSampleAlloc())",
        "not a handle",
    ),
}


@pytest.mark.parametrize("case", TOO_LATE)
def test_what_is_used_too_late_ends_the_process(run: Run, case: str) -> None:
    script, message = TOO_LATE[case]
    done = run(script.replace("GPU", "n.nvmlDeviceGetHandleByIndex(0)"), mixed())
    assert done.returncode == -signal.SIGABRT
    assert message in done.stderr


@pytest.mark.parametrize(
    ("script", "faults", "expected"),
    [
        (ASK, Faults(), Code.UNINITIALIZED),
        ("n.nvmlShutdown()", Faults(), Code.UNINITIALIZED),
        ("n.nvmlInit()", Faults(init=Code.DRIVER_NOT_LOADED), Code.DRIVER_NOT_LOADED),
        ("n.nvmlInit()", Faults(init=Code.NO_PERMISSION), Code.NO_PERMISSION),
        ("n.nvmlInit()", Faults(init=Code.LIB_RM_VERSION_MISMATCH), Code.LIB_RM_VERSION_MISMATCH),
        ("import os; os.remove(os.environ['SLICEWATCH_FAKE_NVML_STATE']); n.nvmlInit()", Faults(), 9),
    ],
)
def test_a_driver_that_is_not_up_says_why(run: Run, script: str, faults: Faults, expected: int) -> None:
    state = replace(mixed(), faults=faults)
    guarded = f"n._LoadNvmlLibrary()\ntry:\n    {script}\nexcept n.NVMLError as refused:\n    print(refused.value)"
    done = run(guarded, state)
    assert (done.stdout.strip(), done.stderr) == (str(int(expected)), "")


def test_inits_are_counted_and_the_last_shutdown_ends_it(run: Run) -> None:
    done = run(f"n.nvmlInit(); n.nvmlInit(); n.nvmlShutdown(); {ASK}; n.nvmlShutdown(); n.nvmlInit(); {ASK}", mixed())
    assert (done.returncode, done.stdout.split()) == (0, ["2", "2"])


def test_an_old_driver_lacks_the_symbols_left_out(run: Run) -> None:
    script = """
n.nvmlInit()
h = n.nvmlDeviceGetHandleByIndex(1)
for call in (n.nvmlGpmSampleAlloc, lambda: n.nvmlDeviceGetMigMode(h)):
    try:
        call()
    except n.NVMLError_FunctionNotFound:
        print("missing")
try:
    n.nvmlDeviceGetComputeRunningProcesses(h)
except n.NVMLLibraryMismatchError:
    print("mismatch")
print(n.nvmlDeviceGetUUID(h)[:3])
"""
    done = run(script, mixed(), "nvmlGpm*", "nvmlDeviceGetMigMode", "*RunningProcesses_v3")
    assert (done.stderr, done.stdout.split()) == ("", ["missing", "missing", "mismatch", "GPU"])


def test_a_state_file_that_is_none_ends_the_process(run: Run) -> None:
    script = "import os; open(os.environ['SLICEWATCH_FAKE_NVML_STATE'], 'w').write('{text}'); n.nvmlInit()"
    for text, message in (("nonsense", "not of this version"), ("fake-nvml 1\\nset a", "has 2 words")):
        done = run(script.format(text=text), FakeDriver())
        assert done.returncode == -signal.SIGABRT
        assert message in done.stderr

"""A driver of R470's age under today's pynvml: what its library lacks is missing, and the rest is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml.build import build
from tests.fake_nvml.state import STATE_VARIABLE, FakeDriver, FakeEvent, FakeProcess, write
from tests.nvml.nodes import H100, L40S, gpu_instance, h100_mig, instance, l40s, mig_uuid

ROOT = Path(__file__).parents[2]
LACKS = (
    "nvmlGpm*",
    "nvmlDeviceGet*RunningProcesses_v3",
    "nvmlDeviceGetGpuInstanceProfileInfoV",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetTemperatureV",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetNumGpuCores",
    "nvmlEventSet*",
)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("old")
    library, state = build(directory, without=LACKS), directory / "state"
    board = h100_mig(instances=(instance(1, 0, gi=9),), gpu_instances=(gpu_instance(9),))
    gpus = (board, l40s(processes=(FakeProcess(pid=5, sm=10),), throttle=0x40))
    write(state, FakeDriver(gpus=gpus, events=(FakeEvent(sequence=1, gpu=H100, data=79),)))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.nvml.old_driver", str(library)],
        check=True,
        capture_output=True,
        timeout=60,
        cwd=ROOT,
        env=os.environ | {STATE_VARIABLE: str(state)},
    )
    return json.loads(ran.stdout)


MISSING = {"missing": "unsupported"}


def test_activity_is_unsupported_and_the_engine_is_the_utilisation(reading: Any) -> None:
    assert reading["gpm"] == "missing: unsupported"
    assert reading["devices"][mig_uuid(1)]["engine_active"] == MISSING
    assert reading["devices"][L40S]["engine_active"] == 0.4


def test_processes_that_cannot_be_listed_are_missing_and_not_none(reading: Any) -> None:
    # The library lacks the third form, and pynvml reports that by an exception that is no NVMLError.
    assert reading["devices"][L40S]["processes"] == MISSING
    assert reading["devices"][mig_uuid(1)]["processes"] == MISSING


def test_the_older_forms_of_the_rest_are_asked(reading: Any) -> None:
    assert reading["gpus"][L40S]["temperature_celsius"] == 30.0
    assert reading["gpus"][L40S]["throttle"] == ["hw_thermal"]
    assert reading["devices"][mig_uuid(1)]["memory_total_bytes"] == 9984 << 20


def test_profiles_are_named_by_rule_and_sms_without_a_count_are_missing(reading: Any) -> None:
    first, second = reading["inventory"]["gpus"]
    assert [row["name"] for row in first["profiles"]][:2] == ["1g.10gb", "2g.20gb"]
    assert first["sm_count"] == 132.0
    assert second["sm_count"] == MISSING


def test_there_are_no_events(reading: Any) -> None:
    assert reading["events"] == 0

"""The whole kit on fake drivers, in a very short form: real processes, the real exporter, a real report."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.hardware.children import ROOT
from tests.fake_cuda.board import UUID, FakeBoard

STEPS = ("read", "calls", "crowd", "turns", "overhead", "mps")


@pytest.fixture
def found(tmp_path: Path, board: FakeBoard, variables: dict[str, str]) -> dict[str, Any]:
    """Run the kit; return its report with the text of it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nvidia-smi").write_text(_smi())
    (programs / "nvidia-smi").chmod(0o755)
    output = tmp_path / "out"
    flags = [f"--output={output}", "--name=fake", "--shortest", *(f"--only={step}" for step in STEPS)]
    environ = {**os.environ, **variables, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.hardware", *flags],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=220,
    )
    assert done.returncode == 0, done.stderr
    assert board.read() == []  # nobody is left on the device
    report: dict[str, Any] = json.loads((output / "report.json").read_text())
    return {**report, "text": (output / "report.md").read_text(), "output": output}


def _smi() -> str:
    """Answer three fields that are asked one by one, as a version does that refuses a query for one it does not know."""
    answers = {"name": "NVIDIA Fake 80GB", "memory.total": "82944", "driver_version": "999.99"}
    cases = "".join(f"    *--query-gpu={name}' '*) echo '{answer}' ;;\n" for name, answer in answers.items())
    return f'#!/bin/sh\ncase "$*" in\n{cases}    *) exit 1 ;;\nesac\n'


@pytest.mark.timeout(240)
def test_the_kit_measures_judges_and_reports_from_end_to_end(found: dict[str, Any]) -> None:
    ended = {row["step"]: row["status"] for row in found["steps"]}
    assert ended.pop("mps") == "not possible here"
    assert ended == dict.fromkeys(("read", "calibrate", "calls", "crowd", "turns", "overhead"), "ran")
    _the_judge(found)
    _the_calls(found)
    _beside_nvidia_smi(found)
    _turns_and_overhead(found)
    _what_is_written(found)


def _the_judge(found: dict[str, Any]) -> None:
    (crowd,) = found["contention"]
    one, three = crowd["rows"]
    # Turns go by process on the fake: one against three.
    assert one["true_share"] == pytest.approx(0.25, abs=0.08)
    assert three["true_share"] == pytest.approx(0.75, abs=0.2)
    assert one["expected"] == {"outcome": "broken", "cause": "neighbour", "neighbour": "three"}
    assert {name: one["said"][name] for name in one["expected"]} == one["expected"]
    assert one["said"]["delivered"] == pytest.approx(one["sampled_share"], abs=0.08)
    assert (three["expected"]["outcome"], three["said"]["outcome"]) == ("kept", "kept")
    assert crowd["same_pids"]
    assert crowd["recorded"]


def _the_calls(found: dict[str, Any]) -> None:
    calls = {row["call"]: row for row in found["calls"]["idle"]["calls"]}
    assert calls["nvmlDeviceGetMigMode"]["codes"] == {"3": 1}
    assert calls["nvmlDeviceGetClockInfo(1)"]["codes"].keys() == {"0"}
    assert "nvmlGpmSampleGet" in calls
    # Only where somebody is on the device are samples asked for.
    assert "nvmlDeviceGetProcessUtilization" not in " ".join(calls)
    assert "nvmlDeviceGetProcessUtilization" in " ".join(row["call"] for row in found["calls"]["busy"]["calls"])


def _beside_nvidia_smi(found: dict[str, Any]) -> None:
    agreed = {row["field"]: row["agrees"] for row in found["read"]["smi"]}
    assert (agreed["name"], agreed["memory.total"], agreed["driver_version"]) == (True, True, False)
    assert agreed["power.draw"] is None
    assert (found["read"]["once"], found["read"]["doctor"]) == (0, 0)


def _turns_and_overhead(found: dict[str, Any]) -> None:
    assert found["turns"]["alone"]["jumps"] == 0
    assert found["turns"]["beside a hog"]["away_ms"]["p50"] == pytest.approx(2.0)
    assert found["overhead"]["kernels_per_second"].keys() == {"without", "1 Hz", "10 Hz"}
    assert all(rate > 0 for rates in found["overhead"]["kernels_per_second"].values() for rate in rates)


def _what_is_written(found: dict[str, Any]) -> None:
    text, output = found["text"], found["output"]
    assert text.startswith(f"# Hardware run {found['run']}\n")
    assert "| crowd | one | 0.500 |" in text
    assert "by process: one process" in text
    assert all(f"Run {found['run']}." in part for part in text.split("\n## ")[1:])
    (recording,) = (output / "captures").glob("*.swrec")
    assert UUID.encode() not in gzip.decompress(recording.read_bytes())
    replay = json.loads(recording.with_suffix(".json").read_text())["replay"]
    assert replay["one/compute"] == "broken neighbour three"
    assert "nvml ok devices" in " ".join((output / "doctor.txt").read_text().split())
    assert "gpu_device_info" in (output / "once.prom").read_text()


def test_a_machine_without_the_gpu_is_told_so(tmp_path: Path) -> None:
    """The first line says what is missing: the driver, or on a machine that has one, the GPU that was asked for."""
    clean = {name: text for name, text in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.hardware", "--gpu=GPU-0", f"--output={tmp_path / 'out'}"],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(("hardware: libnvidia-ml.so.1 (NVML, ", "hardware: choose: no GPU GPU-0; "))
    assert not (tmp_path / "out").exists()

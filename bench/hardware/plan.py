"""The steps of a run in their order, each with a deadline: one that fails is reported, and the rest goes on."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from bench.hardware import openpoints, reads
from bench.hardware.children import ROOT, ChildError, Crew
from bench.hardware.contend import contend
from bench.hardware.context import Run
from bench.hardware.mps import MpsError
from bench.hardware.scenarios import SCENARIOS, Scenario


class StepTimeoutError(Exception):
    """A step took longer than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its result is kept under `name`, or for a scenario in the list `contention`.

    `deadline` is in seconds beyond what the run's lengths ask for. What a step marked `always` finds, the others need. One that
    `contends` has tenants.
    """

    name: str
    perform: Callable[[Run], dict[str, Any]]
    deadline: float = 90.0
    always: bool = False
    scenario: bool = False
    contends: bool = True


def _scenario(scenario: Scenario) -> Step:
    return Step(name=scenario.name, perform=lambda run: contend(run, scenario), scenario=True)


STEPS: Final = (
    Step(name="read", perform=reads.read, contends=False),
    Step(name="calibrate", perform=reads.calibrate, always=True),
    Step(name="calls", perform=reads.calls, contends=False),
    *(_scenario(scenario) for scenario in SCENARIOS if scenario.name not in {"streams", "long-kernels", "mps"}),
    Step(name="turns", perform=reads.turns),
    Step(name="duty", perform=reads.duty),
    Step(name="overhead", perform=reads.overhead),
    *(_scenario(scenario) for scenario in SCENARIOS if scenario.name in {"streams", "long-kernels", "mps"}),
)
"""What matters most comes first: a run that is cut short has it."""


def perform(run: Run, steps: Iterable[Step], *, within: float) -> int:
    """Run the steps, and write down of each how it ended; return how many failed. None begins after `within` seconds."""
    began = time.monotonic()
    run.found |= {"steps": [], "contention": [], "environment": machine()}
    try:
        for step in steps:
            spent = time.monotonic() - began
            if spent > within:
                _note(run, step, 0.0, "left out", f"{spent:.0f} s were spent")
            else:
                _one(run, step)
    finally:
        run.found["open_points"] = openpoints.answers(run.found)
    return sum(row["status"] == "failed" for row in run.found["steps"])


def _one(run: Run, step: Step) -> None:
    """Run one step. Whatever it raises becomes a line of the report; an interrupt ends the run."""
    if step.contends and run.only_read:
        _note(run, step, 0.0, "not possible here", run.only_read)
        return
    before = time.monotonic()
    try:
        with _deadline(run.lengths.scenario * 2 + step.deadline):
            found = step.perform(run)
    except MpsError as error:
        status, why = "not possible here", str(error)
    except (ChildError, StepTimeoutError) as error:
        status, why = "failed", str(error)
    except Exception as error:  # noqa: BLE001  # an unforeseen answer of a driver must not cost the other steps
        (run.output / f"{step.name}.traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        status, why = "failed", f"{type(error).__name__}: {error}"
    else:
        status, why = "ran", ""
        _keep(run, step, found)
    _note(run, step, time.monotonic() - before, status, why)
    if step.always and status != "ran":
        run.only_read = f"{step.name} did not end well"


def _keep(run: Run, step: Step, found: dict[str, Any]) -> None:
    if step.scenario:
        run.found["contention"].append(found)
    else:
        run.found[step.name] = found


def _note(run: Run, step: Step, seconds: float, status: str, why: str) -> None:
    run.found["steps"].append({"step": step.name, "seconds": round(seconds, 1), "status": status, "why": why})
    print(f"{step.name:16} {seconds:6.1f} s  {status}{f': {why}' if why else ''}", file=sys.stderr, flush=True)


class _deadline:  # noqa: N801  # used as a word
    """Raise StepTimeoutError in the main thread after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._over)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *exc: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self._before)

    def _over(self, number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise StepTimeoutError(f"not done within {self._seconds:.0f} s")


def machine() -> dict[str, Any]:
    """Return what this machine and this checkout are."""
    commit = ""
    with suppress(OSError, subprocess.SubprocessError):
        asked = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT, timeout=10).stdout.strip()
    return {
        "commit": commit or "unknown",
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "uid": os.getuid(),
        "devices": sorted(path.name for path in Path("/dev").glob("nvidia*")),
    }


def choose_gpu(run: Run, wanted: str) -> str:
    """Find the GPU to work on, asked in a process of its own; return why there is none, or nothing."""
    with Crew(run.folder("choose")) as crew:
        child = crew.python("choose", "bench.hardware.choose", wanted)
        try:
            chosen = child.hear(60.0)
        except ChildError as error:
            return str(error)
    run.gpu, run.only_read = chosen["gpu"], chosen["why"]
    run.found["lengths"] = asdict(run.lengths)
    return ""

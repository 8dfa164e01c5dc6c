"""The command: `python -m bench.hardware`, or `make hardware`. docs/hardware.md says what its tables mean."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench.hardware import needs
from bench.hardware.context import SHORTEST_WINDOW, Lengths, Run
from bench.hardware.plan import STEPS, choose_gpu, perform
from bench.hardware.report import write

_NOT_READY = 2
_STEP_FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps. Exit status 0: all ran, whatever they found; 1: one could not be run; 2: something is missing here."""
    asked = parser().parse_args(argv)
    lacking = needs.missing()
    if lacking:
        sys.stderr.writelines(f"hardware: {line}\n" for line in lacking)
        return _NOT_READY
    signal.signal(signal.SIGTERM, _ended)
    lengths = _lengths(asked)
    began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    with tempfile.TemporaryDirectory(prefix="hw-") as scratch:
        run = Run(id=f"{asked.name}-{began}", output=asked.output, scratch=Path(scratch), lengths=lengths)
        refused = choose_gpu(run, asked.gpu)
        if refused:
            print(f"hardware: {refused}", file=sys.stderr)
            return _NOT_READY
        asked.output.mkdir(parents=True, exist_ok=True)
        steps = [step for step in STEPS if not asked.only or step.name in asked.only or step.always]
        try:
            failed = perform(run, steps, within=asked.within)
        finally:
            write(run)  # of a run that is interrupted, what it has
    print(f"{asked.output}/report.md")
    return _STEP_FAILED if failed else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.hardware", description="What is true on this machine's GPU.")
    made.add_argument("--output", type=Path, default=Path("build/hardware"), help="where everything is written to")
    made.add_argument("--name", default="hardware", help="the first part of the run's id (default: hardware)")
    made.add_argument("--gpu", default="", metavar="UUID", help="which GPU (default: the first that CUDA can use)")
    made.add_argument("--quick", action="store_true", help="about four minutes, too short to correct anything by")
    made.add_argument("--length", type=float, metavar="SECONDS", help="how long a scenario lasts (default: 24)")
    made.add_argument("--within", type=float, default=450.0, metavar="SECONDS", help="leave steps out after so long")
    made.add_argument(
        "--only", action="append", choices=[step.name for step in STEPS], help="run this step; may be repeated"
    )
    made.add_argument("--shortest", action="store_true", help=argparse.SUPPRESS)  # for tests on fakes
    return made


def _lengths(asked: argparse.Namespace) -> Lengths:
    chosen = Lengths.shortest() if asked.shortest else Lengths.quick() if asked.quick else Lengths()
    if asked.length is None:
        return chosen
    return replace(chosen, scenario=asked.length, window=max(SHORTEST_WINDOW, min(20.0, 0.4 * asked.length)))


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by the way that ends every child."""
    del frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[2])
    sys.exit(main())

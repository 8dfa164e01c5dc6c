"""What is true on a machine with an NVIDIA GPU, and whether the judge says so: `python -m bench.hardware`, docs/hardware.md.

It reads the driver, lets tenants whose demand is known contend for the GPU, lets the exporter judge them, and lays its
verdicts beside what the tenants measured themselves. No setting of the GPU is changed, and every process ends with the run.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path


def _our_tests() -> None:
    """Let `tests.fakes` be this checkout's: `tests` is a folder and no package here, and an installed one would hide it.

    Python prefers a package anywhere on its path to a folder at the front of it, and machines full of packages have one.
    """
    found = importlib.util.find_spec("tests")
    if found is not None and found.origin is not None:
        ours = types.ModuleType("tests")
        ours.__path__ = [str(Path(__file__).parents[2] / "tests")]
        sys.modules["tests"] = ours


_our_tests()

"""Runs the exporter as its command does and, at its end, writes down how it treated the driver.

The fake driver counts inside the process that loaded it, so nobody else can ask. Whatever the tests do to an exporter,
no second thread may have been inside the driver, and everything that the driver handed out must have been given back.

    python -m tests.e2e.launch REPORT exporter --once
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

from exporter.app import run

_COUNTERS = ("concurrent_calls", "in_flight", "live_samples", "live_event_sets", "live_inits")


def counters() -> dict[str, int]:
    """Read the fake driver's own counters; empty when this process has not loaded it."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return {}
    for name in _COUNTERS:
        getattr(library, f"fake_nvml_{name}").restype = ctypes.c_int if name == "in_flight" else ctypes.c_long
    return {name: int(getattr(library, f"fake_nvml_{name}")()) for name in _COUNTERS}


def main() -> int:
    """Run the command line behind the report's path."""
    report, *argv = sys.argv[1:]
    status = run(argv, os.environ, sys.stdout, sys.stderr)
    Path(report).write_text(json.dumps(counters()), encoding="ascii")
    return status


if __name__ == "__main__":
    sys.exit(main())

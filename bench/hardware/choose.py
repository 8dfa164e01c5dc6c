"""Which GPU to work on: `python -m bench.hardware.choose [UUID]` answers one line of JSON.

One outside MIG mode, and with nobody on it, unless it was asked for by name: whoever else runs there takes part of every
figure.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from exporter.errors import SourceError
from exporter.sources.nvml.driver import open_library


def main(argv: list[str]) -> int:
    """Say which."""
    wanted = argv[0] if argv else ""
    try:
        lib = open_library().lib
    except SourceError as error:
        return _say(error=str(error))
    handles = (lib.nvmlDeviceGetHandleByIndex(index) for index in range(lib.nvmlDeviceGetCount()))
    rows = [_row(lib, handle, named=lib.nvmlDeviceGetUUID(handle) == wanted) for handle in handles]
    lib.nvmlShutdown()
    fit = [row for row in rows if not row["why"] and wanted in {"", row["gpu"]}]
    if fit:
        return _say(**fit[0])
    told = "; ".join(f"{row['gpu']}: {row['why'] or 'not asked for'}" for row in rows)
    return _say(error=f"no GPU to work on: {told or 'the driver counts none'}")


def _row(lib: Any, handle: Any, *, named: bool) -> dict[str, str]:
    uuid = lib.nvmlDeviceGetUUID(handle)
    try:
        mig = bool(lib.nvmlDeviceGetMigMode(handle)[0])
    except lib.NVMLError:
        mig = False  # a board without MIG
    try:
        busy = len(lib.nvmlDeviceGetComputeRunningProcesses(handle))
    except lib.NVMLError:
        busy = 0  # a driver that does not list them
    why = "it is in MIG mode, which this kit does not contend for" if mig else ""
    return {"gpu": uuid, "why": why or (f"{busy} processes compute on it" if busy and not named else "")}


def _say(**message: str) -> int:
    print(json.dumps(message), flush=True)
    return int("error" in message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

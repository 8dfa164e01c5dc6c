"""Which GPU to work on: `python -m bench.hardware.choose [UUID]` answers one line of JSON.

Rather one that tenants can contend for: outside MIG mode, and with nobody on it unless it was asked for by name.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

from bench.hardware.cuda import LIBRARY
from exporter.errors import SourceError
from exporter.sources.nvml.driver import open_library


def main(argv: list[str]) -> int:
    """Say which, and why tenants cannot contend for it where they cannot: then it is read all the same."""
    wanted = argv[0] if argv else ""
    try:
        lib = open_library().lib
    except SourceError as error:
        return _say(error=str(error))
    handles = (lib.nvmlDeviceGetHandleByIndex(index) for index in range(lib.nvmlDeviceGetCount()))
    rows = [_row(lib, handle, named=lib.nvmlDeviceGetUUID(handle) == wanted) for handle in handles]
    lib.nvmlShutdown()
    fit = sorted((row for row in rows if wanted in {"", row["gpu"]}), key=lambda row: bool(row["why"]))
    if fit:
        return _say(**fit[0])
    offered = ", ".join(row["gpu"] for row in rows)
    return _say(error=f"no GPU {wanted or 'here'}; the driver counts {offered or 'none'}")


def _row(lib: Any, handle: Any, *, named: bool) -> dict[str, str]:
    uuid = lib.nvmlDeviceGetUUID(handle)
    return {"gpu": uuid, "why": _cuda() or _mig(lib, handle) or ("" if named else _busy(lib, handle))}


def _cuda() -> str:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as error:
        return f"without CUDA's driver library there are no tenants: {error}"
    return ""


def _mig(lib: Any, handle: Any) -> str:
    try:
        enabled = bool(lib.nvmlDeviceGetMigMode(handle)[0])
    except lib.NVMLError:
        return ""  # a board without MIG
    return "the GPU is in MIG mode: it is read, and nobody contends for it" if enabled else ""


def _busy(lib: Any, handle: Any) -> str:
    try:
        count = len(lib.nvmlDeviceGetComputeRunningProcesses(handle))
    except lib.NVMLError:
        return ""  # a driver that does not list them
    return f"{count} processes compute on the GPU, and would be in every figure" if count else ""


def _say(**message: str) -> int:
    print(json.dumps(message), flush=True)
    return int("error" in message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the driver says while tenants run, ten times a second, as it says it: lines of JSON into a file.

    python -m bench.hardware.watch UUID FILE LIFETIME gpm|plain

Says one line when it has begun, and ends with standard input. The exporter's own source is not used: this is what its
judgement is compared with. With `gpm` it takes two samples a second of GPM, which nobody else should read meanwhile.
"""

from __future__ import annotations

import json
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.hardware.probe import field_value
from exporter.sources.nvml.calls import FUNCTION_NOT_FOUND, NOT_FOUND, SUCCESS
from exporter.sources.nvml.driver import open_library

PERIOD: Final = 0.1

_LOOK_BACK: Final = 1_000_000
_FIELDS_EVERY: Final = 1.0
_GPM_EVERY: Final = 0.5

_TIME_FIELDS: Final = (74, 76, 77, 78, 79, 81, 269, 270, 271)
"""The counters whose unit is in question."""

GPM: Final = ((1, 2, 3, 5, 10), (170, 171, 172, 173, 174))
"""Metrics asked of GPM: graphics, SMs, occupancy, tensor, DRAM; and of context switches, which no source explains: cycles
elapsed, cycles active, requests, cycles per request, part active (nvml.h, since 12.575)."""


class Watch:
    """Reads one whole GPU. Refused calls are their return codes. `gpm` None: GPM is left to others."""

    def __init__(self, lib: Any, uuid: str, gpm: Gpm | None) -> None:
        self._lib, self._handle, self._gpm = lib, lib.nvmlDeviceGetHandleByUUID(uuid), gpm
        self._fields_at = self._gpm_at = float("-inf")

    def line(self, now: float, wall: float) -> dict[str, Any]:
        """Read once; `now` is monotonic seconds, `wall` Unix seconds."""
        lib, ask = self._lib, self._ask
        found = {
            "at": now,
            "wall": wall,
            "samples": self._shares(wall),
            "pids": ask(lambda h: [[p.pid, p.usedGpuMemory] for p in lib.nvmlDeviceGetComputeRunningProcesses(h)]),
            "clients": ask(
                lambda h: [[p.pid, p.usedGpuMemory] for p in lib.nvmlDeviceGetMPSComputeRunningProcesses(h)]
            ),
            "utilisation": ask(lambda h: lib.nvmlDeviceGetUtilizationRates(h).gpu),
            "clock": ask(lambda h: lib.nvmlDeviceGetClockInfo(h, lib.NVML_CLOCK_SM)),
            "reasons": ask(lib.nvmlDeviceGetCurrentClocksEventReasons),
            "power": ask(lib.nvmlDeviceGetPowerUsage),
        }
        if now - self._fields_at >= _FIELDS_EVERY:
            self._fields_at = now
            found["fields"] = {str(number): field_value(lib, self._handle, number) for number in _TIME_FIELDS}
        if self._gpm is not None and now - self._gpm_at >= _GPM_EVERY:
            self._gpm_at = now
            found["gpm"] = self._gpm.read(self._handle)
        return found

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        return answer(self._lib, lambda: question(self._handle))

    def _shares(self, wall: float) -> Any:
        since = int(wall * 1e6) - _LOOK_BACK
        told = self._ask(lambda h: self._lib.nvmlDeviceGetProcessUtilization(h, since))
        if not isinstance(told, dict):
            return [[sample.pid, sample.timeStamp, sample.smUtil, sample.memUtil] for sample in told]
        # Nobody was active: pynvml raises NVMLError(0) for a size of 0, the driver says NOT_FOUND.
        return [] if told["code"] in {SUCCESS, NOT_FOUND} else told


class Gpm:
    """Differences of two samples of GPM. A board or a driver without it is a refusal in each line and no failure."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self._samples = [answer(lib, lib.nvmlGpmSampleAlloc) for _ in range(2)]
        self._taken = 0

    def close(self) -> None:
        """Free the samples."""
        for sample in self._samples:
            if not isinstance(sample, dict):
                answer(self._lib, partial(self._lib.nvmlGpmSampleFree, sample))

    def read(self, handle: Any) -> Any:
        """Take a sample; return each metric since the one before, None after the first."""
        older, newer = self._samples
        if isinstance(newer, dict):
            return newer
        refused = answer(self._lib, lambda: self._lib.nvmlGpmSampleGet(handle, newer))
        if isinstance(refused, dict):
            return refused
        self._samples.reverse()
        self._taken += 1
        if self._taken == 1:
            return None
        # In two requests: a driver that does not know the newer metrics may refuse the whole of one.
        found: dict[str, Any] = {}
        for metrics in GPM:
            told = answer(self._lib, partial(self._difference, older, newer, metrics))
            found |= {str(metric): told for metric in metrics} if "code" in told else told
        return found

    def _difference(self, older: Any, newer: Any, metrics: Sequence[int]) -> dict[str, Any]:
        request = self._lib.c_nvmlGpmMetricsGet_t()
        request.version, request.numMetrics = self._lib.NVML_GPM_METRICS_GET_VERSION, len(metrics)
        request.sample1, request.sample2 = older, newer
        for row, metric in zip(request.metrics, metrics, strict=False):
            row.metricId = metric
        self._lib.nvmlGpmMetricsGet(request)
        rows = (request.metrics[number] for number in range(len(metrics)))
        return {str(row.metricId): {"code": row.nvmlReturn} if row.nvmlReturn else _number(row.value) for row in rows}


def answer(lib: Any, question: Callable[[], Any]) -> Any:
    """Return an answer, or the return code of the refusal as `{"code": n}`."""
    try:
        return question()
    except lib.NVMLError as error:
        return {"code": error.value}
    except lib.NVMLLibraryMismatchError:
        return {"code": FUNCTION_NOT_FOUND}


def _number(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124  # NaN is not itself


def main(argv: list[str]) -> int:
    """Watch until standard input closes."""
    uuid, path, lifetime, mode = argv
    signal.alarm(int(lifetime))
    lib = open_library().lib
    gpm = Gpm(lib) if mode == "gpm" else None
    watch = Watch(lib, uuid, gpm)
    with Path(path).open("w", encoding="ascii") as file:
        print(json.dumps({"ready": True}), flush=True)
        while not select.select([sys.stdin], [], [], PERIOD)[0]:
            file.write(json.dumps(watch.line(time.monotonic(), time.time())) + "\n")
            file.flush()
    if gpm is not None:
        gpm.close()
    lib.nvmlShutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

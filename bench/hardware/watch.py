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
from pathlib import Path
from typing import Any, Final

from bench.hardware.probe import FIELDS, field_value
from exporter.sources.nvml.driver import open_library

PERIOD: Final = 0.1

_LOOK_BACK: Final = 1_000_000
_FIELDS_EVERY: Final = 1.0
_GPM_EVERY: Final = 0.5

_TIME_FIELDS: Final = (74, 76, 77, 78, 79, 81, 269, 270, 271)
"""The counters whose unit is in question."""

GPM: Final = {
    1: "graphics",
    2: "sm",
    3: "occupancy",
    5: "tensor",
    10: "dram",
    170: "switch cycles elapsed",
    171: "switch cycles active",
    172: "switch requests",
    173: "switch cycles per request",
    174: "switch active",
}
"""Metrics asked of GPM; 170 and further are of context switches, which sources do not explain (nvml.h, 12.575)."""


class Watch:
    """Reads one whole GPU. Refused calls are their return codes."""

    def __init__(self, lib: Any, uuid: str, *, gpm: bool) -> None:
        self._lib, self._handle = lib, lib.nvmlDeviceGetHandleByUUID(uuid)
        self._fields_at = self._gpm_at = float("-inf")
        self._samples = [lib.nvmlGpmSampleAlloc() for _ in range(2)] if gpm else []
        self._before = False

    def close(self) -> None:
        """Give samples and library back."""
        for sample in self._samples:
            self._lib.nvmlGpmSampleFree(sample)
        self._lib.nvmlShutdown()

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
        if self._samples and now - self._gpm_at >= _GPM_EVERY:
            self._gpm_at = now
            found["gpm"] = self._gpm()
        return found

    def _ask(self, question: Any) -> Any:
        try:
            return question(self._handle)
        except self._lib.NVMLError as error:
            return {"code": error.value}
        except self._lib.NVMLLibraryMismatchError:
            return {"code": 13}

    def _shares(self, wall: float) -> Any:
        since = int(wall * 1e6) - _LOOK_BACK
        answer = self._ask(lambda h: self._lib.nvmlDeviceGetProcessUtilization(h, since))
        if isinstance(answer, dict):
            return answer
        return [[sample.pid, sample.timeStamp, sample.smUtil, sample.memUtil] for sample in answer]

    def _gpm(self) -> Any:
        older, newer = self._samples
        refused = self._ask(lambda h: self._lib.nvmlGpmSampleGet(h, newer))
        if isinstance(refused, dict):
            return refused
        self._samples.reverse()
        if not self._before:
            self._before = True
            return None
        return self._ask(lambda _: self._difference(older, newer))

    def _difference(self, older: Any, newer: Any) -> dict[str, Any]:
        request = self._lib.c_nvmlGpmMetricsGet_t()
        request.version, request.numMetrics = self._lib.NVML_GPM_METRICS_GET_VERSION, len(GPM)
        request.sample1, request.sample2 = older, newer
        for row, metric in zip(request.metrics, GPM, strict=False):
            row.metricId = metric
        self._lib.nvmlGpmMetricsGet(request)
        rows = (request.metrics[number] for number in range(len(GPM)))
        return {str(row.metricId): {"code": row.nvmlReturn} if row.nvmlReturn else _number(row.value) for row in rows}


def _number(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124  # NaN is not itself


def main(argv: list[str]) -> int:
    """Watch until standard input closes."""
    uuid, path, lifetime, mode = argv
    signal.alarm(int(lifetime))
    watch = Watch(open_library().lib, uuid, gpm=mode == "gpm")
    with Path(path).open("w", encoding="ascii") as file:
        print(json.dumps({"ready": True, "fields": len(FIELDS)}), flush=True)
        while not select.select([sys.stdin], [], [], PERIOD)[0]:
            file.write(json.dumps(watch.line(time.monotonic(), time.time())) + "\n")
            file.flush()
    watch.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Every call that the driver's source makes, with its return codes and what it costs; and some that it does not make.

    python -m bench.hardware.probe SECONDS

The source's own session is run on a `pynvml` that is wrapped: each function of the library is timed and its return code
kept, so that the table is of what the exporter really asks, on this driver and this board. Answers one line of JSON.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.errors import SourceError
from exporter.sources.nvml.calls import FUNCTION_NOT_FOUND
from exporter.sources.nvml.driver import open_library
from exporter.sources.nvml.session import Session

_EVERY: Final = 0.12
"""Seconds between two readings; GPM's samples must be more than 0.1 apart."""

_SPARE_SECONDS: Final = 60
"""Beyond what was asked for, until the alarm."""

_FORGET_EVERY: Final = 20
"""Readings between two times that refused calls are asked again, so that a refusal is timed more than once."""

FIELDS: Final = {
    74: "power violation time",
    76: "sync boost violation time",
    77: "board limit violation time",
    78: "low utilisation violation time",
    79: "reliability violation time",
    81: "total app clocks violation time",
    82: "memory temperature",
    83: "total energy",
    94: "PCIe replays",
    142: "remapped rows, correctable",
    143: "remapped rows, uncorrectable",
    144: "remapping pending",
    145: "remapping failed",
    185: "average power",
    186: "instant power",
    190: "current power limit",
    230: "recovery action",
    269: "software thermal slowdown time",
    270: "hardware thermal slowdown time",
    271: "hardware power brake time",
}
"""Field values that the source does not read, by NVML_FI_DEV_* (nvml.h)."""


@dataclass
class Row:
    """One call, over all times that it was made."""

    times: list[float] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    said: str = ""

    def summary(self, name: str) -> dict[str, Any]:
        """What the report shows: microseconds."""
        ordered = sorted(self.times)
        return {
            "call": name,
            "calls": len(ordered),
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "p50_us": round(_quantile(ordered, 0.5) * 1e6, 1),
            "p99_us": round(_quantile(ordered, 0.99) * 1e6, 1),
            "max_us": round(ordered[-1] * 1e6, 1),
            "answer": self.said,
        }


class Timed:
    """The module `pynvml` with every `nvml…` function timed; everything else is the module's own."""

    def __init__(self, lib: Any, clock: Callable[[], float] = time.perf_counter) -> None:
        self._lib, self._clock = lib, clock
        self.rows: dict[str, Row] = {}
        self._wrapped: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._lib, name)
        if not name.startswith("nvml") or isinstance(found, type) or not callable(found):
            return found
        # The source remembers refusals by the function itself, so that one name is one object.
        return self._wrapped.setdefault(name, self._timed(name, found))

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            # Small arguments tell two questions of one call apart (which clock, which kind of error).
            words = ", ".join(str(value) for value in arguments[1:] if isinstance(value, int) and abs(value) < 1 << 20)
            row = self.rows.setdefault(f"{name}({words})" if words else name, Row())
            before = self._clock()
            try:
                answer = function(*arguments)
            except self._lib.NVMLError as error:
                row.times.append(self._clock() - before)
                row.codes[error.value] += 1
                raise
            except self._lib.NVMLLibraryMismatchError:
                row.times.append(self._clock() - before)
                row.codes[FUNCTION_NOT_FOUND] += 1
                raise
            row.times.append(self._clock() - before)
            row.codes[0] += 1
            row.said = _short(answer)
            return answer

        return call


def _short(answer: Any) -> str:
    if isinstance(answer, int | float | str):
        return str(answer)[:60]
    if isinstance(answer, bytes):
        return answer.decode("utf-8", "replace")[:60]
    if isinstance(answer, list | tuple):
        inner = ", ".join(_short(item) for item in answer[:4])
        return f"{len(answer)}: {inner}"[:60] if answer else "none"
    if hasattr(answer, "_fields_"):
        pairs = (f"{name}={getattr(answer, name)}" for name, *_ in answer._fields_ if name != "version")
        return " ".join(pair for pair in pairs if "0x" not in pair)[:80]
    return ""


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def measure(seconds: float) -> dict[str, Any]:
    """Run the source for so long. Raises SourceError when the driver cannot be opened."""
    calls = open_library()
    calls.lib = Timed(calls.lib)
    session, wholes, until = Session(calls, time.time, None), Row(), time.monotonic() + seconds
    memory_refused = readings = 0
    while time.monotonic() < until or readings < 3:
        before = time.perf_counter()
        reading = session.read(time.monotonic())
        wholes.times.append(time.perf_counter() - before)
        readings += 1
        memory_refused += any(not isinstance(use.memory_used_bytes, float) for use in reading.devices.values())
        if readings % _FORGET_EVERY == 0:
            calls.forget()
        time.sleep(_EVERY)
    extras = _extras(calls.lib)
    session.close()
    rows = calls.lib.rows
    return {
        "readings": readings,
        "memory_refused": memory_refused,
        "whole": wholes.summary("one whole reading"),
        "calls": [rows[name].summary(name) for name in sorted(rows) if rows[name].times],
        "extras": extras,
    }


def _extras(lib: Any) -> list[dict[str, Any]]:
    """Ask the first GPU what the source does not ask: field values by their numbers, one call each."""
    handle = lib.nvmlDeviceGetHandleByIndex(0)
    return [{"field": number, "name": name, **field_value(lib, handle, number)} for number, name in FIELDS.items()]


def field_value(lib: Any, handle: Any, number: int) -> dict[str, Any]:
    """Read one field value: its own return code, and the number by its type (nvmlValueType_t of nvml.h)."""
    before = time.perf_counter()
    try:
        answer = lib.nvmlDeviceGetFieldValues(handle, [number])[0]
    except lib.NVMLError as error:
        return {"code": error.value, "us": round((time.perf_counter() - before) * 1e6, 1)}
    took = round((time.perf_counter() - before) * 1e6, 1)
    if answer.nvmlReturn:
        return {"code": answer.nvmlReturn, "us": took}
    names = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    value = getattr(answer.value, names[answer.valueType]) if answer.valueType < len(names) else None
    return {"code": 0, "us": took, "type": answer.valueType, "value": value}


def main(argv: list[str]) -> int:
    """Measure and say."""
    seconds = float(argv[0])
    signal.alarm(int(seconds) + _SPARE_SECONDS)
    try:
        print(json.dumps(measure(seconds)), flush=True)
    except SourceError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What `watch` wrote, and figures of it: pure but for reading the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """Return the whole lines of a watch's file; none when there is no file yet."""
    if not path.exists():
        return []
    text = path.read_text(encoding="ascii")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def within(lines: Iterable[Line], begin: float, end: float) -> list[Line]:
    """Return the lines of a stretch of monotonic time."""
    return [line for line in lines if begin <= line["at"] <= end]


def pids(line: Line) -> set[int]:
    """Return the pids on the device; empty when the driver refused to list them."""
    rows = [row for name in ("pids", "clients") for row in line.get(name, ()) if isinstance(row, list)]
    return {int(row[0]) for row in rows}


def refusal(lines: Sequence[Line], name: str) -> int | None:
    """Return the return code of a call that was refused in the last line."""
    answer = lines[-1].get(name) if lines else None
    return int(answer["code"]) if isinstance(answer, dict) and "code" in answer else None


def share(lines: Sequence[Line], pid: int) -> float | None:
    """Return a process's mean share as its newest samples say it, line by line, 0 where it has none."""
    told = [line["samples"] for line in lines if isinstance(line["samples"], list)]
    if not told:
        return None
    newest = (max((row for row in rows if row[0] == pid), key=lambda row: row[1], default=None) for rows in told)
    return float(sum(row[2] / 100 for row in newest if row) / len(told))


def _sampled(lines: Sequence[Line]) -> set[int]:
    return {row[0] for line in lines if isinstance(line["samples"], list) for row in line["samples"]}


def sample_periods(lines: Sequence[Line]) -> list[float]:
    """Return the seconds between the distinct time stamps of each process's samples."""
    stamps: dict[int, set[int]] = {}
    for line in lines:
        for row in line["samples"] if isinstance(line["samples"], list) else ():
            stamps.setdefault(row[0], set()).add(row[1])
    return sorted(
        (later - earlier) / 1e6
        for found in stamps.values()
        for earlier, later in zip(sorted(found), sorted(found)[1:], strict=False)
    )


def sample_ages(lines: Sequence[Line]) -> list[float]:
    """Return how old the newest sample was at each reading, in seconds."""
    ages = (
        line["wall"] - max(row[1] for row in line["samples"]) / 1e6
        for line in lines
        if isinstance(line["samples"], list) and line["samples"]
    )
    return sorted(ages)


def numbers(lines: Sequence[Line], name: str) -> list[float]:
    """Return a reading's values, sorted, without the refusals."""
    return sorted(float(line[name]) for line in lines if isinstance(line.get(name), int | float))


def gpm(lines: Sequence[Line], metric: int) -> list[float]:
    """Return a GPM metric's values, sorted."""
    rows = (line["gpm"].get(str(metric)) for line in lines if isinstance(line.get("gpm"), dict))
    return sorted(float(value) for value in rows if isinstance(value, int | float))


def counters(lines: Sequence[Line]) -> dict[str, tuple[float, float]]:
    """Return of each field value that is a counter: how much it grew, and in how many seconds."""
    told = [line for line in lines if "fields" in line]
    if len(told) < 2:
        return {}
    first, last = told[0], told[-1]
    return {
        number: (last["fields"][number]["value"] - row["value"], last["at"] - first["at"])
        for number, row in first["fields"].items()
        if isinstance(row.get("value"), int) and isinstance(last["fields"][number].get("value"), int)
    }


def reason_part(lines: Sequence[Line], bit: int) -> float | None:
    """Return the part of the readings in which a clock event reason was set."""
    told = [line["reasons"] for line in lines if isinstance(line["reasons"], int)]
    return sum(bool(reasons & bit) for reasons in told) / len(told) if told else None


def quantile(ordered: Sequence[float], part: float) -> float | None:
    """Return the value below which that part of the sorted values lies."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def mean(values: Sequence[float]) -> float | None:
    """Return the mean."""
    return sum(values) / len(values) if values else None


REASONS: Final = {
    "idle": 0x1,
    "applications_clocks": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
"""nvmlClocksEventReason* of nvml.h."""


def figures(lines: Sequence[Line]) -> dict[str, Any]:
    """Return what the open points are answered from."""
    clocks, powers = numbers(lines, "clock"), numbers(lines, "power")
    periods, ages = sample_periods(lines), sample_ages(lines)
    return {
        "lines": len(lines),
        "samples_refused": refusal(lines, "samples"),
        "sampled_unlisted": sorted(_sampled(lines) - {pid for line in lines for pid in pids(line)}),
        "sample_period_p50": quantile(periods, 0.5),
        "sample_period_p90": quantile(periods, 0.9),
        "sample_age_p50": quantile(ages, 0.5),
        "utilisation": mean(numbers(lines, "utilisation")),
        "clock_min": quantile(clocks, 0.0),
        "clock_p50": quantile(clocks, 0.5),
        "clock_max": quantile(clocks, 1.0),
        "power_p50_w": None if not powers else (quantile(powers, 0.5) or 0.0) / 1000,
        "reasons": {name: reason_part(lines, bit) for name, bit in REASONS.items()},
        "counters": counters(lines),
    }

"""`nvidia-smi` beside NVML, field by field: the same driver asked by NVIDIA's own program."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.hardware.children import environment

_TIMEOUT: Final = 30.0
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in a query, where it stands in a snapshot's GPU, ours in its unit, and how far they may differ.

    Live readings move between two readings; `within` is in the field's unit.
    """

    query: str
    path: tuple[str, ...]
    scale: float = 1.0
    within: float = 0.0


FIELDS: Final = (
    Field("driver_version", ("driver",)),
    Field("name", ("gpu", "model")),
    Field("memory.total", ("device", "use", "memory_total_bytes"), _MIB, 1.0),
    Field("memory.used", ("device", "use", "memory_used_bytes"), _MIB, 64.0),
    Field("memory.free", ("device", "use", "memory_free_bytes"), _MIB, 64.0),
    Field("utilization.gpu", ("device", "use", "utilisation"), 0.01, 20.0),
    Field("clocks.sm", ("gpu", "use", "sm_clock_hertz"), 1e6, 300.0),
    Field("clocks.max.sm", ("gpu", "use", "sm_clock_max_hertz"), 1e6),
    Field("power.draw", ("gpu", "use", "power_watts"), 1.0, 60.0),
    Field("enforced.power.limit", ("gpu", "use", "power_limit_watts"), 1.0, 0.5),
    Field("temperature.gpu", ("gpu", "use", "temperature_celsius"), 1.0, 5.0),
    Field("ecc.errors.corrected.volatile.total", ("device", "use", "ecc_corrected")),
    Field("ecc.errors.uncorrected.volatile.total", ("device", "use", "ecc_uncorrected")),
    Field("mig.mode.current", ("gpu", "mig_current")),
    Field("compute_mode", ("gpu", "exclusive_process")),
    Field("persistence_mode", ()),
    Field("clocks_event_reasons.active", ()),
    Field("vbios_version", ()),
)
"""Fields without a path are only written down."""


def ask(gpu: str) -> dict[str, str]:
    """Return what nvidia-smi answers of a GPU, by field. Raises OSError and subprocess errors; a refused field is left out."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise FileNotFoundError("nvidia-smi is not installed")
    whole = _query(program, gpu, [field.query for field in FIELDS])
    if whole is not None:
        return whole
    # One field that this version does not know refuses the whole query: ask one by one.
    found: dict[str, str] = {}
    for field in FIELDS:
        found |= _query(program, gpu, [field.query]) or {}
    return found


def _query(program: str, gpu: str, names: list[str]) -> dict[str, str] | None:
    command = [program, f"--id={gpu}", f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False, env=environment())
    rows = list(csv.reader(io.StringIO(done.stdout), skipinitialspace=True))
    if done.returncode or not rows or len(rows[0]) != len(names):
        return None
    return dict(zip(names, rows[0], strict=True))


def compare(said: Mapping[str, str], snapshot: Mapping[str, Any], gpu: str) -> list[dict[str, Any]]:
    """Lay what nvidia-smi said beside a snapshot of the exporter."""
    found = {
        "driver": snapshot["driver"],
        "gpu": next(row for row in snapshot["gpus"] if row["uuid"] == gpu),
        "device": next((row for row in snapshot["devices"] if row["uuid"] == gpu), {}),
    }
    return [_row(field, said.get(field.query), _at(found, field.path)) for field in FIELDS]


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if path else None


def _row(field: Field, theirs: str | None, ours: Any) -> dict[str, Any]:
    if isinstance(ours, Mapping):
        ours = f"missing: {ours.get('missing')}"
    elif isinstance(ours, bool):
        ours = _word(field, on=ours)
    elif isinstance(ours, int | float):
        ours = round(ours / field.scale, 2)
    return {"field": field.query, "nvidia_smi": theirs, "slicewatch": ours, "agrees": _agrees(field, theirs, ours)}


def _word(field: Field, *, on: bool) -> str:
    if field.query == "compute_mode":
        return "Exclusive_Process" if on else "Default"
    return "Enabled" if on else "Disabled"


def _agrees(field: Field, theirs: str | None, ours: Any) -> bool | None:
    """Whether both say the same; None where there is nothing to compare."""
    if theirs is None or ours is None:
        return None
    absent = theirs.strip("[] ").lower() in {"n/a", "not supported"}
    if isinstance(ours, str):
        return absent if ours.startswith("missing") else theirs == ours
    try:
        return abs(float(theirs) - float(ours)) <= field.within
    except ValueError:
        return False

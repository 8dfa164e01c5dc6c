"""Values on a page that are there and not to be believed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from exporter.dcgm.fields import ENGINE, POWER, POWER_LIMIT, PROFILED, UTILISATION, XID_WINDOW

if TYPE_CHECKING:
    from exporter.dcgm.page import DeviceRow

TRUNCATED, NO_SAMPLES, ENGINE_ZERO = "page_truncated", "no_samples", "engine_zero_while_busy"

_RATIO, _BUSY, _DRAW = 0.2, 0.5, 0.6
"""Another ratio, the utilisation, the board's power over its limit: from here on a device is at work."""


class Suspect(NamedTuple):
    """A check that tripped, and on what."""

    check: str
    parent: str | None = None
    gpu_instance: int | None = None
    field: str | None = None


def suspicious(devices: Sequence[DeviceRow]) -> Iterator[Suspect]:
    """What devices' own values say against each other."""
    by_gpu: dict[str, list[DeviceRow]] = defaultdict(list)
    for device in devices:
        by_gpu[device.parent].append(device)
    for uuid, rows in by_gpu.items():
        instances = [row for row in rows if row.gpu_instance is not None]
        whole = next((row for row in rows if row.gpu_instance is None), None)
        for row in rows:
            if row.values.get(ENGINE) == 0.0 and (_at_work(row) or (row is whole and not instances and _draws(row))):
                yield Suspect(ENGINE_ZERO, uuid, row.gpu_instance)
        if whole is not None and instances and _draws(whole) and _all_zero(instances):
            yield Suspect(ENGINE_ZERO, uuid)
        if _events_everywhere(instances):
            yield Suspect("window_events_on_all_instances", uuid)


def _at_work(row: DeviceRow) -> bool:
    """The engine's 0 is stuck, as after weeks without a look at it (NVIDIA/dcgm-exporter#662)."""
    values = row.values
    return any(values.get(key, 0.0) >= _RATIO for key in PROFILED) or values.get(UTILISATION, 0.0) >= _BUSY


def _draws(whole: DeviceRow) -> bool:
    limit = whole.values.get(POWER_LIMIT, 0.0)
    return limit > 0 and whole.values.get(POWER, 0.0) >= _DRAW * limit


def _all_zero(instances: Iterable[DeviceRow]) -> bool:
    return all(row.values.get(ENGINE) == 0.0 for row in instances)


def _events_everywhere(instances: Sequence[DeviceRow]) -> bool:
    """Under MIG these counts are looked up by the GPU: each instance shows them all (dcgm-exporter, expcollector)."""
    counts = [
        frozenset((w.label, w.value) for w in row.windows if w.field == XID_WINDOW and w.value) for row in instances
    ]
    return len(counts) > 1 and bool(counts[0]) and all(each == counts[0] for each in counts)

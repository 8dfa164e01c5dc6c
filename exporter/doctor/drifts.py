"""Where things have come apart on this node, by name, with whom each drift is about and what to run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from exporter import driftwords
from exporter.doctor.report import Row, Table
from exporter.drift import Drift
from exporter.metrics import SourceHealth
from exporter.model import Snapshot

_NEEDED = ("nvml", "podresources", "kubernetes", "cgroup")
"""Sources that drifts are read off."""

_SHOWN = 20
"""Drifts that are shown; the worst come first."""


def drifts(found: Sequence[Drift], snapshot: Snapshot, health: Sequence[SourceHealth]) -> Table:
    """Tell every drift, the worst first; one that many have is told as often. Without a source not all can be seen."""
    rows = [Row(f"D{each.number} {each.name}", str(each.severity), _words(each, snapshot)) for each in found[:_SHOWN]]
    after = [f"… and {len(found) - _SHOWN} more, at /snapshot"] if len(found) > _SHOWN else []
    unseen = [name for name in _NEEDED if not any(each.name == name and each.up for each in health)]
    if unseen:
        after.append(f"drifts    not all can be seen without {', '.join(unseen)}")
    elif not found:
        after = ["drifts    none: what is held, promised, enforced and attached agree"]
    return Table(("DRIFT", "SEVERITY", "WHOSE / WHAT / NEXT"), tuple(rows), tuple(after))


def _words(drift: Drift, snapshot: Snapshot) -> str:
    gpu, place = _place(drift.where, snapshot)
    whose = driftwords.whose(drift)
    about = f"{whose}{' on ' if whose and place else ''}{place}" or f"node {snapshot.node}"
    return f"{about}: {driftwords.sentence(drift)}\nnext  {driftwords.step(drift, snapshot.node, gpu)}"


def _place(where: str, snapshot: Snapshot) -> tuple[str, str]:
    """The GPU's UUID, and a device in a few words."""
    device = next((each for each in snapshot.devices if each.uuid == where), None)
    if device is None:
        return where, where
    return device.gpu, f"GPU {device.index}" if device.kind == "gpu" else f"{device.profile} {device.index}"

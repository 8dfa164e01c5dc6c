"""A page of the captures and its answer, in the words of the captures' README."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from exporter.dcgm.page import Counts, DeviceRow, Page

ROOT = Path(os.environ.get("CAPTURES", Path(__file__).parents[2].parent / "shared" / "captures")) / "dcgm"


def names() -> list[str]:
    """Names of the pages; empty where the folder is absent."""
    return sorted(path.name.removesuffix(".expect.json") for path in ROOT.glob("*.expect.json"))


def cases() -> list[Any]:
    """Parameters for a table of tests: one a page, or one that skips and says why."""
    return names() or [pytest.param("", marks=pytest.mark.skip(reason=f"no captures at {ROOT}"), id="absent")]


def body(name: str) -> str:
    """A page as it was served."""
    packed = ROOT / f"{name}.prom.gz"
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (ROOT / f"{name}.prom").read_bytes()
    return raw.decode()


def expected(name: str) -> dict[str, Any]:
    """The answer of a page."""
    answer: dict[str, Any] = json.loads((ROOT / f"{name}.expect.json").read_text())
    return answer


def told(page: Page) -> dict[str, Any]:
    """A page as its answer is written."""
    return {
        "devices": [_device(row) for row in page.devices],
        "counts": {name: getattr(page.counts, name) for name in Counts.__slots__},
        "bad_lines": [each.line for each in page.bad],
        "suspects": sorted(
            (
                {
                    "check": each.check,
                    "parent_uuid": each.parent,
                    "gpu_instance_id": each.gpu_instance,
                    **({} if each.field is None else {"field": each.field}),
                }
                for each in page.suspects
            ),
            key=str,
        ),
    }


def _device(row: DeviceRow) -> dict[str, Any]:
    found: dict[str, Any] = {
        "parent_uuid": row.parent,
        "gpu_instance_id": row.gpu_instance,
        "profile_label": row.profile_label,
        "model_label": row.model_label,
        "values": dict(row.values),
        "owner_hints": sorted((_hint(each) for each in row.hints), key=str),
    }
    if row.windows:
        found["by_label"] = [
            {"field": w.field, "labels": dict([w.label]), "window_seconds": w.window_seconds, "value": w.value}
            for w in row.windows
        ]
    return found


def _hint(hint: Any) -> dict[str, Any]:
    words = ("namespace", "pod", "container", "pod_uid", "vgpu", "hpc_job")
    found: dict[str, Any] = {word: getattr(hint, word) for word in words if getattr(hint, word)}
    if hint.dra:
        found["dra"] = dict(hint.dra)
    if hint.values:
        found["values"] = dict(hint.values)
    return found

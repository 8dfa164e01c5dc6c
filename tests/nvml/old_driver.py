"""A program of its own, because a process has one driver library for its life: reads a node and prints the reading."""

from __future__ import annotations

import ctypes
import json
import sys
from dataclasses import asdict

from exporter.model import Missing
from exporter.sources.nvml import NvmlDriver


def _plain(value: object) -> object:
    if isinstance(value, Missing):
        return f"missing: {value.reason}"
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


def main(library: str) -> None:
    """Read the node behind `library` twice."""
    ctypes.CDLL(library)
    driver = NvmlDriver()
    driver.read(1.0)
    reading = driver.read(2.0)
    driver.close()
    out = {
        "inventory": asdict(reading.inventory, dict_factory=_fields),
        "gpus": {uuid: asdict(use, dict_factory=_fields) for uuid, use in reading.gpus.items()},
        "devices": {uuid: asdict(use, dict_factory=_fields) for uuid, use in reading.devices.items()},
        "events": len(reading.events),
        "gpm": _plain(reading.gpm),
    }
    json.dump(out, sys.stdout, default=_plain)


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # asdict turns a Missing, a dataclass too, into its fields: the reason alone.
    found = dict(pairs)
    return {"missing": str(found["reason"])} if set(found) == {"reason"} else found


if __name__ == "__main__":
    main(sys.argv[1])

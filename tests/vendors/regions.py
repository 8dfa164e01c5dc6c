"""Regions of HAMi's hook, written as HAMi-core lays them out."""

from __future__ import annotations

import struct
from pathlib import Path

from exporter.sources.hami_region import MAGIC, SIZE


def region(
    limits: dict[str, tuple[int, int]],
    *,
    magic: int = MAGIC,
    version: tuple[int, int] = (1, 2),
    count: int | None = None,
    size: int = SIZE,
) -> bytes:
    """The bytes of a region with limits (bytes, percent) by device UUID."""
    body = bytearray(size)
    struct.pack_into("<iII", body, 0, magic, *version)
    struct.pack_into("<Q", body, 56, len(limits) if count is None else count)
    for number, (uuid, (memory, share)) in enumerate(limits.items()):
        name = uuid.encode()
        body[64 + 96 * number : 64 + 96 * number + len(name)] = name
        struct.pack_into("<Q", body, 1600 + 8 * number, memory)
        struct.pack_into("<Q", body, 1728 + 8 * number, share)
    return bytes(body)


def put(root: Path, uid: str, container: str, body: bytes, name: str = "a.cache") -> Path:
    """Write a region where the device plugin has the hook write it."""
    directory = root / f"{uid}_{container}"
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_bytes(body)
    return path

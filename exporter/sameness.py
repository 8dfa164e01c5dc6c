"""One object for as long as nothing changes: what the join and the page take over is known by identity. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def kept(before: V | None, now: V) -> V:
    """Return what was there before where it equals what is there now."""
    return before if before is not None and before == now else now


def each_kept(before: Mapping[K, V], now: Mapping[K, V]) -> dict[K, V]:
    """Return every value of now, as the object of before where the two are equal."""
    return {key: kept(before.get(key), value) for key, value in now.items()}

"""One thing that is read from outside, with its bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that is read: who writes it, its bounds in words, the modules that read it, and the tests of the bounds."""

    name: str
    written_by: str
    size: str
    time: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


def size(count: int) -> str:
    """A number of bytes in the largest unit that it is a whole number of."""
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >> bits and not count % (1 << bits):
            return f"{count >> bits} {unit}"
    return f"{count:,} bytes"

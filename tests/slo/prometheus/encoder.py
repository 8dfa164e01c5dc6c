"""An encoder of XOR chunks, written from the format's description with one bit at a time: the decoder's oracle."""

from __future__ import annotations

import struct
from collections.abc import Sequence

ALL = 2**64 - 1


def bits_of(value: float) -> int:
    """Return a double's 64 bits."""
    return int(struct.unpack(">Q", struct.pack(">d", value))[0])


def double(bits: int) -> float:
    """Return the double of 64 bits."""
    return float(struct.unpack(">d", struct.pack(">Q", bits))[0])


def chunk(times: Sequence[int], values: Sequence[int]) -> bytes:
    """Return a chunk of samples: times in Unix ms, values as their 64 bits."""
    text = f"{len(times):016b}"
    leading = trailing = None
    delta = 0
    for place, (time, value) in enumerate(zip(times, values, strict=True)):
        if place == 0:
            text += _varint(((time << 1) ^ (time >> 63)) & ALL) + f"{value:064b}"
            continue
        step = time - times[place - 1]
        text += _varint(step & ALL) if place == 1 else _change(step - delta)
        delta = step
        xor = value ^ values[place - 1]
        if not xor:
            text += "0"
            continue
        shown = f"{xor:064b}"
        left = min(31, len(shown) - len(shown.lstrip("0")))
        right = len(shown) - len(shown.rstrip("0"))
        if leading is not None and trailing is not None and left >= leading and right >= trailing:
            text += "10" + shown[leading : 64 - trailing]
        else:
            leading, trailing = left, right
            window = shown[left : 64 - right]
            text += f"11{left:05b}{len(window) % 64:06b}{window}"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def _varint(number: int) -> str:
    groups = ""
    while number > 127:
        groups += f"1{number & 127:07b}"
        number >>= 7
    return groups + f"{number:08b}"


def _change(change: int) -> str:
    if not change:
        return "0"
    for prefix, size in (("10", 14), ("110", 17), ("1110", 20)):
        if -(2 ** (size - 1)) + 1 <= change <= 2 ** (size - 1):
            return prefix + f"{change & (2**size - 1):0{size}b}"
    return f"1111{change & ALL:064b}"

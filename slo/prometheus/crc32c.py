"""CRC32C (Castagnoli), with which a streamed remote read protects its frames: in numpy, many frames at a time.

A CRC is linear over XOR. So each eight bytes have a remainder of their own from four tables, and remainders of
neighbours are joined in pairs: the left one moves on by the length of the right one, which is a linear map of 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Remainders = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78  # reflected
_ONES = 0xFFFFFFFF
_BLOCK = 8
_REGISTER = 4
_HALF = 16
_LOW = np.uint32(0xFFFF)


def crc32c(texts: Sequence[bytes]) -> list[int]:
    """Return the CRC32C of each text. Texts of about one length are summed together: numpy is dear for a short one."""
    classes: dict[int, list[int]] = {}
    for place, text in enumerate(texts):
        blocks = -(-len(text) // _BLOCK)
        step = 1 << max(0, blocks.bit_length() - 3)  # at most a quarter of a row is filling
        classes.setdefault(-(-blocks // step) * step if len(text) >= _REGISTER else 0, []).append(place)
    found = [0] * len(texts)
    for blocks, places in classes.items():
        sums = (
            _sums([texts[place] for place in places], blocks) if blocks else [_serial(texts[place]) for place in places]
        )
        for place, summed in zip(places, sums, strict=True):
            found[place] = summed
    return found


def _sums(texts: list[bytes], blocks: int) -> list[int]:
    """The sums of texts of at least the register's length and at most so many blocks."""
    # Bytes of zero in front change nothing, but the register starts as ones: those are XORed into the first four bytes.
    padded = [
        part
        for text in texts
        for part in (
            bytes(blocks * _BLOCK - len(text)),
            (int.from_bytes(text[:_REGISTER], "little") ^ _ONES).to_bytes(_REGISTER, "little"),
            text[_REGISTER:],
        )
    ]
    halves = np.frombuffer(b"".join(padded), dtype="<u2").reshape(len(texts), blocks, _BLOCK // 2)
    sums: Remainders = np.zeros((len(texts), blocks), dtype=np.uint32)
    for place, table in enumerate(_block_tables()):
        sums ^= table[halves[:, :, place]]
    length = _BLOCK
    while sums.shape[1] > 1:
        if sums.shape[1] % 2:
            sums = np.concatenate((np.zeros((len(texts), 1), dtype=np.uint32), sums), axis=1)
        sums = _moved(sums[:, 0::2], length) ^ sums[:, 1::2]
        length *= 2
    return [int(each) ^ _ONES for each in sums[:, 0].tolist()]


def _serial(text: bytes) -> int:
    found = _ONES
    for byte in text:
        found = _after(found ^ byte, 1)
    return found ^ _ONES


def _after(register: int, length: int) -> int:
    """The register after that many bytes of zero."""
    for _ in range(8 * length):
        register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
    return register


@cache
def _block_tables() -> tuple[Remainders, ...]:
    """For each two bytes of a block: what they leave in the register at the block's end."""
    return tuple(_table([_after(1 << bit, _BLOCK - 2 * place) for bit in range(_HALF)]) for place in range(_BLOCK // 2))


def _moved(sums: Remainders, length: int) -> Remainders:
    low, high = _tables(length)
    found: Remainders = low[sums & _LOW] ^ high[sums >> np.uint32(_HALF)]
    return found


@cache
def _tables(length: int) -> tuple[Remainders, Remainders]:
    """The map of a register over `length` bytes of zero, a power of two and at least a block, as tables of its halves."""
    single = np.array([1 << bit for bit in range(2 * _HALF)], dtype=np.uint32)
    if length == _BLOCK:
        images = [_after(int(bit), _BLOCK) for bit in single]
    else:
        half = length // 2
        images = [int(image) for image in _moved(_moved(single, half), half)]
    return _table(images[:_HALF]), _table(images[_HALF:])


def _table(images: list[int]) -> Remainders:
    """A linear map of sixteen bits, from the images of each, for every value that they can have."""
    table = np.zeros(1, dtype=np.uint32)
    for image in images:
        table = np.concatenate((table, table ^ np.uint32(image)))
    return table

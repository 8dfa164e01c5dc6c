"""Prometheus's XOR chunks, thousands of them at once: all advance by one sample at a time, so that numpy does the work.

A chunk (prometheus/tsdb/chunkenc/xor.go) holds a count of samples (two bytes, big-endian) and then a stream of bits:

* the first time as a zigzag varint of milliseconds, the first value as 64 bits;
* the second time as a varint of its distance, every later one as the change of that distance: `0` none, `10`, `110` and
  `1110` in 14, 17 and 20 bits, `1111` in 64, where a value above half of its range is negative;
* every later value as its XOR with the one before: `0` none, `10` the bits in the same window as before, `11` after five
  bits that count leading zeros and six that count the window (0 means 64).

A byte string is read at any bit through an overlapping view of big-endian words, one at each byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

AT_ONCE: Final = 16384
"""Chunks of a batch: what one step touches stays in the processor's cache."""

_WORD = 64
_BYTE = 8
_COUNT_BYTES = 2
_LONGEST_VARINT = 10
_PAD = bytes(32)
"""Behind the last chunk, so that a word may be read at its last bit."""

_U = np.uint64
# By the first four bits of a time: how many of them are the prefix, and how many bits follow it.
_PREFIX = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4] * 2, dtype=_U)
_SIZE = np.array([0] * 8 + [14] * 4 + [17] * 2 + [20, 64], dtype=_U)


class CorruptChunkError(ValueError):
    """A chunk does not hold the samples that it says."""


def decode(chunks: Sequence[bytes]) -> tuple[Ints, Ints, Floats]:
    """Return samples per chunk, and all their times (Unix ms) and values, in the order of `chunks`.

    Raises CorruptChunkError.
    """
    counts = np.array([int.from_bytes(chunk[:_COUNT_BYTES], "big") for chunk in chunks], dtype=np.int64)
    total = int(counts.sum())
    times, values = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.float64)
    place = 0
    for first in range(0, len(chunks), AT_ONCE):
        batch = counts[first : first + AT_ONCE]
        size = int(batch.sum())
        here = slice(place, place + size)
        _decode(chunks[first : first + AT_ONCE], batch, times[here], values[here].view(_U))
        place += size
    return counts, times, values


def _decode(chunks: Sequence[bytes], counts: Ints, times: Ints, values: Words) -> None:
    """Decode one batch into `times` and the bits of `values`."""
    lengths = np.array([len(chunk) for chunk in chunks], dtype=np.int64)
    order = np.argsort(-counts, kind="stable")
    order = order[: np.count_nonzero(counts)]
    if not len(order):
        return
    starts = (np.cumsum(lengths) - lengths)[order]
    ends = (starts + lengths[order]) * _BYTE
    bits = Bits(b"".join((*chunks, _PAD)))
    try:
        stopped = _steps(bits, starts, counts[order], (np.cumsum(counts) - counts)[order], times, values)
    except IndexError as error:
        raise CorruptChunkError("a chunk runs past its end") from error
    if (stopped > ends.astype(_U)).any():
        raise CorruptChunkError("a chunk runs past its end")


class Bits:
    """A byte string that is read in 64-bit words at any bit."""

    def __init__(self, text: bytes) -> None:
        self._bytes = np.frombuffer(text, dtype=np.uint8)
        self._words = np.ndarray(shape=(len(text) - _BYTE,), dtype=">u8", buffer=text, strides=(1,))

    def at(self, bit: Words) -> Words:
        """Return the 64 bits from each place on. Raises IndexError."""
        byte = (bit >> _U(3)).astype(np.int64)
        shift = bit & _U(7)
        high: Words = self._words[byte].astype(_U) << shift
        high |= self._bytes[byte + _BYTE].astype(_U) >> (_U(_BYTE) - shift)
        return high

    def varint(self, bit: Words) -> tuple[Words, Words]:
        """Return the varints at places on whole or broken bytes, and the places behind them. Raises IndexError."""
        found = np.zeros(len(bit), dtype=_U)
        more = np.ones(len(bit), dtype=bool)
        for step in range(_LONGEST_VARINT):
            byte = self.at(bit) >> _U(_WORD - _BYTE)
            found |= np.where(more, (byte & _U(0x7F)) << _U(7 * step), _U(0))
            bit = bit + np.where(more, _U(_BYTE), _U(0))
            more &= byte >= 0x80  # noqa: PLR2004  # a varint goes on while its highest bit is set
            if not more.any():
                return found, bit
        raise CorruptChunkError("a number in a chunk does not end")


def _steps(bits: Bits, starts: Ints, counts: Ints, to: Ints, times: Ints, values: Words) -> Words:
    """Advance all chunks, the longest first in every array; return the places where they stopped."""
    at = ((starts + _COUNT_BYTES) * _BYTE).astype(_U)
    zigzag, at = bits.varint(at)
    time = (zigzag >> _U(1)).view(np.int64) ^ -(zigzag & _U(1)).view(np.int64)
    value = bits.at(at)
    at += _U(_WORD)
    times[to], values[to] = time, value
    delta = np.zeros(len(at), dtype=np.int64)
    leading, window = np.zeros(len(at), dtype=_U), np.zeros(len(at), dtype=_U)
    # How many chunks have a sample of this number: all have the first, fewer and fewer the later ones.
    alive = len(counts) - np.searchsorted(counts[::-1], np.arange(int(counts[0])), side="right")
    for number in range(1, int(counts[0])):
        some = slice(0, int(alive[number]))
        if number == 1:
            change, at[some] = bits.varint(at[some])
            delta[some] = change.view(np.int64)
        else:
            _advance(bits, at[some], delta[some])
        time[some] += delta[some]
        _alter(bits, at[some], value[some], leading[some], window[some])
        here = to[some] + number
        times[here], values[here] = time[some], value[some]
    return at


def _advance(bits: Bits, at: Words, delta: Ints) -> None:
    """Read the change of the distance between times, and move on; all in place."""
    word = bits.at(at)
    changed = np.flatnonzero(word >> _U(_WORD - 1))
    if len(changed) < len(at):
        at += _U(1)
        if not len(changed):
            return
        word, moved = word[changed], at[changed] - _U(1)
    else:
        moved = at
    first = (word >> _U(_WORD - 4)).astype(np.int64)
    prefix, size = _PREFIX[first], _SIZE[first]
    moved = moved + prefix
    if int(first.max()) == 15:  # noqa: PLR2004  # 1111: all 64 bits, which one word has no room for behind the prefix
        long = size == _WORD
        change = (word << prefix) >> (_U(_WORD) - size)
        change[long] = bits.at(moved[long])
    else:
        change = (word << prefix) >> (_U(_WORD) - size)
    negative = (size < _WORD) & (change > (_U(1) << (size - _U(1))))
    signed = change.view(np.int64) - np.where(negative, _U(1) << size, _U(0)).view(np.int64)
    delta[changed] += signed
    at[changed] = moved + size


def _alter(bits: Bits, at: Words, value: Words, leading: Words, window: Words) -> None:
    """Read what changed in the values, and move on; all in place."""
    word = bits.at(at)
    changed = np.flatnonzero(word >> _U(_WORD - 1))
    at += _U(1)
    if not len(changed):
        return
    word, moved = word[changed], at[changed] + _U(1)
    opened = np.flatnonzero((word >> _U(_WORD - 2)) & _U(1))
    if len(opened):
        told = word[opened]
        size = (told >> _U(_WORD - 13)) & _U(63)
        leading[changed[opened]] = (told >> _U(_WORD - 7)) & _U(31)
        window[changed[opened]] = np.where(size == 0, _U(_WORD), size)
        moved[opened] += _U(11)
    size = window[changed]
    trailing = _U(_WORD) - leading[changed] - size
    # A window that was never opened, or that sticks out, is of a broken chunk: shifts by 64 and more give 0 here, so
    # what follows is wrong but harmless, and the place in the end tells.
    value[changed] ^= (bits.at(moved) >> (_U(_WORD) - size)) << trailing
    at[changed] = moved + size

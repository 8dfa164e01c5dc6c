"""The stream that a remote read answers: frames, and in each some chunks of some series.

A frame is its length as a varint, the CRC32C of what follows (four bytes, big-endian), and a ChunkedReadResponse
(prometheus/storage/remote/chunked.go, prompb/remote.proto). It is not compressed. A series with many chunks goes on in
the next frame, under the same labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from slo.prometheus.crc32c import crc32c
from slo.prometheus.protobuf import WireError, fields, read_varint

XOR: Final = 1
"""Chunk.Encoding; the others are native histograms, which no counter of the contract is."""
_LABEL = 0x0A  # field 1, bytes
_USUAL = re.compile(
    rb"\x12[\x80-\xff]?[\x00-\x7f]"  # a chunk, of fewer than 16 KiB
    rb"\x08[\x80-\xff]{5}[\x00-\x7f]\x10[\x80-\xff]{5}[\x00-\x7f]"  # from and to, in this half of the century
    rb"\x18\x01\x22([\x80-\xff]?[\x00-\x7f])"  # of XOR encoding, and how long its data is
)
"""How nearly every chunk begins: one match for it is ten times as fast as reading its fields."""
_CRC = 4
_LENGTH = 10
_LARGEST = 1 << 28
_AT_ONCE = 1 << 20
"""Bytes whose frames are checked together."""


@dataclass(slots=True)
class Batch:
    """Chunks as they came: the bytes of their series' labels, how many chunks follow under those, and the chunks."""

    owners: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)


def frames(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the messages of a stream. Raises WireError for one that is cut off, too long, or damaged."""
    held, enough = bytearray(), _AT_ONCE
    for part in parts:
        held += part
        if len(held) >= enough:
            yield from _whole(held)
            enough = max(_AT_ONCE, 2 * len(held))  # what is left of a large frame is not looked at for every part
    yield from _whole(held)
    if held:
        raise WireError("the last frame is cut off")


def _whole(held: bytearray) -> list[bytes]:
    """Take the whole frames that are there, and return their messages."""
    text, at = bytes(held), 0
    messages, sums = [], []
    while (found := _frame(text, at)) is not None:
        start, end = found
        messages.append(text[start:end])
        sums.append(int.from_bytes(text[start - _CRC : start], "big"))
        at = end
    if crc32c(messages) != sums:
        raise WireError("a frame is damaged")
    del held[:at]
    return messages


def _frame(text: bytes, at: int) -> tuple[int, int] | None:
    """The places where the message at a place begins and ends; None when it is not whole yet."""
    try:
        length, start = read_varint(text, at)
    except WireError:
        if len(text) - at < _LENGTH:
            return None
        raise
    if length > _LARGEST:
        raise WireError(f"a frame of {length} bytes")
    end = start + _CRC + length
    return None if end > len(text) else (start + _CRC, end)


def read(message: bytes, into: Batch) -> None:
    """Add the XOR chunks of a ChunkedReadResponse. Raises WireError."""
    for number, start, end in fields(message, 0, len(message)):
        if number == 1:
            _series(message, start, end, into)


def _series(message: bytes, at: int, end: int, into: Batch) -> None:
    """One ChunkedSeries: its labels, and then its chunks."""
    begin = at
    while at < end and message[at] == _LABEL:
        length, at = read_varint(message, at + 1)
        at += length
    before = len(into.chunks)
    into.owners.append(message[begin:at])
    while found := _USUAL.match(message, at, end):
        start, size = found.end(), message[found.start(1)]
        if size > 0x7F:  # noqa: PLR2004  # a varint of two bytes
            size = size & 0x7F | message[start - 1] << 7
        at = start + size
        into.chunks.append(message[start:at])
    for number, start, to in fields(message, at, end) if at != end else ():
        if number == 2:  # noqa: PLR2004  # chunks
            chunk = _chunk(message, start, to)
            if chunk:
                into.chunks.append(chunk)
        elif number == 1:
            raise WireError("labels behind the chunks of a series")
    into.sizes.append(len(into.chunks) - before)


def _chunk(message: bytes, at: int, end: int) -> bytes:
    """The data of one Chunk when it is of XOR encoding, else nothing."""
    encoding, data = 0, b""
    for number, start, to in fields(message, at, end):
        if number == 3:  # noqa: PLR2004  # type
            encoding = start
        elif number == 4:  # noqa: PLR2004  # data
            data = message[start:to]
    return data if encoding == XOR else b""


def labels(written: bytes) -> dict[str, str]:
    """Return the labels of a series: `written` is its fields 1 as they stood. Raises WireError."""
    found = {}
    for _, at, end in fields(written, 0, len(written)):
        name = value = ""
        for number, start, to in fields(written, at, end):
            text = written[start:to].decode(errors="replace")
            name, value = (text, value) if number == 1 else (name, text)
        found[name] = value
    return found

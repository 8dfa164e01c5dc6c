"""The little of Protocol Buffers that remote read needs: written by hand, so that a request needs no generated code.

Messages: prometheus/prompb/remote.proto and types.proto. Compression: google/snappy's format_description.txt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from slo.spec import Matcher, Op

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_OPS: Final = {Op.EQUAL: 0, Op.NOT_EQUAL: 1, Op.MATCHES: 2, Op.NOT_MATCHES: 3}
_STREAMED_XOR_CHUNKS = 1
_LITERAL_60_BYTES_AND_MORE = 63 << 2  # its length less one stands in the four bytes that follow


class WireError(ValueError):
    """Bytes that are no message."""


def read_request(metric: str, matchers: Sequence[Matcher], first: int, last: int) -> bytes:
    """Return a ReadRequest for samples of first ≤ t ≤ last (Unix ms), as streamed XOR chunks, in snappy's block format."""
    asked = (Matcher("__name__", Op.EQUAL, metric), *matchers)
    query = _number(1, first) + _number(2, last) + b"".join(_field(3, _matcher(each)) for each in asked)
    return snappy(_field(1, query) + _number(2, _STREAMED_XOR_CHUNKS))


def snappy(text: bytes) -> bytes:
    """Return a snappy block that holds the text uncompressed: one literal."""
    return varint(len(text)) + bytes([_LITERAL_60_BYTES_AND_MORE]) + (len(text) - 1).to_bytes(4, "little") + text


def varint(number: int) -> bytes:
    """Return a number as a varint; a negative one as its 64 bits."""
    number &= 2**64 - 1
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004  # seven bits a byte
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def read_varint(text: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a place and the place behind it. Raises WireError."""
    number = shift = 0
    try:
        while True:
            byte = text[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  # the last byte has its highest bit clear
                return number, at
            shift += 7
            if shift > 63:  # noqa: PLR2004  # ten bytes are the most
                raise WireError("a number does not end")
    except IndexError as error:
        raise WireError("a message ends in a number") from error


def fields(text: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield a message's fields: number, and a varint's value and 0, or the places where its bytes begin and end.

    Raises WireError.
    """
    while at < end:
        tag, at = read_varint(text, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = read_varint(text, at)
            yield number, value, 0
            continue
        if kind == _BYTES:
            length, at = read_varint(text, at)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise WireError(f"a field of the unknown kind {kind}")
        if at + length > end:
            raise WireError("a field is longer than its message")
        yield number, at, at + length
        at += length
    if at != end:
        raise WireError("a message is longer than it says")


def _matcher(matcher: Matcher) -> bytes:
    return _number(1, _OPS[matcher.op]) + _field(2, matcher.label.encode()) + _field(3, matcher.value.encode())


def _number(field: int, value: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(value)


def _field(field: int, value: bytes) -> bytes:
    return varint(field << 3 | _BYTES) + varint(len(value)) + value

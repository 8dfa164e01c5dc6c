"""The wire of remote read: frames, their checksums, and the messages in them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.prometheus.crc32c import crc32c
from slo.prometheus.frames import Batch, frames, labels, read
from slo.prometheus.protobuf import WireError, read_varint, snappy, varint


def serial(text: bytes) -> int:
    """CRC32C one bit at a time."""
    found = 0xFFFFFFFF
    for byte in text:
        found ^= byte
        for _ in range(8):
            found = (found >> 1) ^ (0x82F63B78 if found & 1 else 0)
    return found ^ 0xFFFFFFFF


def field(number: int, value: bytes | int) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def label(name: str, value: str) -> bytes:
    """One label of a series, as a field of it."""
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def chunk(data: bytes, encoding: int = 1, first: int = 1_700_000_000_000, last: int = 1_700_000_060_000) -> bytes:
    """One chunk of a series, as a field of it."""
    return field(2, field(1, first) + field(2, last) + field(3, encoding) + field(4, data))


def frame(message: bytes) -> bytes:
    """A message with its length and checksum."""
    return varint(len(message)) + serial(message).to_bytes(4, "big") + message


def series(message: bytes) -> Batch:
    """The chunks of a message."""
    found = Batch()
    read(message, found)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_checksums_that_rfc_3720_gives(text: bytes, expected: int):
    assert crc32c([text]) == [expected]


@given(st.lists(st.one_of(st.binary(max_size=12), st.binary(max_size=300)), max_size=8))
def test_checksums_are_those_of_one_bit_at_a_time(texts: list[bytes]):
    assert crc32c(texts) == [serial(text) for text in texts]


@given(st.integers(-(2**63), 2**64 - 1))
def test_a_varint_is_read_as_it_was_written(number: int):
    assert read_varint(b"x" + varint(number) + b"y", 1) == (number % 2**64, 1 + len(varint(number)))


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_frames_come_out_whole_wherever_the_stream_is_parted(messages: list[bytes], data: st.DataObject):
    stream = b"".join(map(frame, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[left:right] for left, right in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(frames(parts)) == messages


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_stream_that_is_cut_off_or_damaged_is_refused(message: bytes, data: st.DataObject):
    stream = frame(message)
    with pytest.raises(WireError):
        list(frames([stream[: data.draw(st.integers(1, len(stream) - 1))]]))
    damaged = bytearray(stream)
    damaged[data.draw(st.integers(1, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(WireError):
        list(frames([bytes(damaged)]))


def test_an_error_page_behind_the_frames_is_refused():
    with pytest.raises(WireError):
        list(frames([frame(b"one"), b"query timed out in query execution\n"]))


def test_a_series_has_its_labels_and_its_chunks():
    named = label("__name__", "m") + label("pod", 'a"é') + label("empty", "")
    found = series(field(1, named + chunk(b"one") + chunk(b"x" * 300)) + field(1, named + chunk(b"two")) + field(2, 0))
    assert found.chunks == [b"one", b"x" * 300, b"two"]
    assert found.sizes == [2, 1]
    assert [labels(owner) for owner in found.owners] == [{"__name__": "m", "pod": 'a"é', "empty": ""}] * 2


def test_chunks_of_native_histograms_are_left_out():
    found = series(field(1, label("a", "b") + chunk(b"h", 2) + chunk(b"x") + chunk(b"f", 3) + chunk(b"y")))
    assert found.chunks == [b"x", b"y"]


def test_a_chunk_is_read_whatever_its_times_are_and_however_long_it_is():
    unusual = chunk(b"long ago", first=5, last=2**40) + chunk(b"", first=-3) + chunk(b"z" * 20_000)
    swapped = field(2, field(4, b"swapped") + field(3, 1) + field(9, 7) + varint(10 << 3 | 1) + bytes(8))
    found = series(field(1, label("a", "b") + unusual + swapped + chunk(b"usual")))
    assert found.chunks == [b"long ago", b"z" * 20_000, b"swapped", b"usual"]


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_refused(message: bytes):
    with contextlib.suppress(WireError):
        series(message)


@pytest.mark.parametrize("message", [b"\x0a\x05abc", b"\x0a", b"\x80", b"\xff" * 11, b"\x0b", b"\x0a\x02\x0a\x09"])
def test_a_message_that_is_longer_than_its_bytes_is_refused(message: bytes):
    with pytest.raises(WireError):
        series(message)


def test_labels_behind_chunks_are_refused():
    with pytest.raises(WireError, match="labels behind"):
        series(field(1, chunk(b"x") + label("a", "b")))


def test_a_snappy_block_says_its_length_and_is_one_literal():
    block = snappy(b"a" * 70)
    assert block == b"\x46" + b"\xfc\x45\0\0\0" + b"a" * 70

"""XOR chunks: what an encoder of its own, and a real Prometheus, put in comes out, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.prometheus.gorilla import CorruptChunkError, decode
from slo.samples import STALE_BITS
from tests.slo.prometheus.encoder import bits_of, chunk

START = 1_700_000_000_000
CAPTURED = json.loads((Path(__file__).parent / "captured_chunk.json").read_text())

values = st.one_of(
    st.sampled_from([bits_of(0.0), bits_of(30.0), bits_of(60.5), bits_of(float("inf")), STALE_BITS]),
    st.floats().map(bits_of),
    st.integers(0, 2**64 - 1),
)
steps = st.one_of(st.just(30_000), st.integers(1, 70_000), st.integers(-(2**21), 2**21), st.integers(-(2**40), 2**40))


@st.composite
def samples(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """A chunk's times and values' bits; times may run backwards, which the format allows."""
    found = draw(st.lists(st.tuples(steps, values), max_size=30))
    times, at = [], draw(st.integers(-(2**45), 2**45))
    for step, _ in found:
        at += step
        times.append(at)
    return times, [value for _, value in found]


@given(st.lists(samples(), max_size=12))
def test_what_was_encoded_is_decoded_bit_for_bit(many: list[tuple[list[int], list[int]]]):
    counts, times, got = decode([chunk(*each) for each in many])
    assert counts.tolist() == [len(each[0]) for each in many]
    assert times.tolist() == [time for each in many for time in each[0]]
    assert got.view(np.uint64).tolist() == [value for each in many for value in each[1]]


@pytest.mark.parametrize(
    "change", [2**13, -(2**13) + 1, 2**13 + 1, -(2**13), 2**16, 2**16 + 1, 2**19, 2**19 + 1, -(2**19), 2**62]
)
def test_changes_of_the_distance_at_the_edges_of_their_sizes(change: int):
    times = [0, 1, 2 + change]
    assert decode([chunk(times, [0, 0, 0])])[1].tolist() == times


def test_batches_meet_without_a_seam(monkeypatch: pytest.MonkeyPatch):
    many = [chunk([START + place, START + place + 5], [place, place + 1]) for place in range(10)]
    whole = decode(many)
    monkeypatch.setattr("slo.prometheus.gorilla.AT_ONCE", 3)
    for left, right in zip(whole, decode(many), strict=True):
        assert left.view(np.uint64).tolist() == right.view(np.uint64).tolist()


def test_no_chunk_and_a_chunk_of_nothing_have_no_samples():
    assert [len(each) for each in decode([])] == [0, 0, 0]
    assert decode([b"\0\0", b"\0\0"])[0].tolist() == [0, 0]


def test_a_chunk_of_a_real_prometheus_holds_what_its_query_api_says():
    counts, times, got = decode([bytes.fromhex(each) for each in CAPTURED["chunks"]])
    assert counts.tolist() == CAPTURED["counts"]
    assert times.tolist() == [round(float(time) * 1000) for time, _ in CAPTURED["values"]]
    assert got.tolist() == [float(value) for _, value in CAPTURED["values"]]


@pytest.mark.parametrize("cut", range(3, 60))
def test_a_chunk_that_is_cut_off_is_refused(cut: int):
    made = chunk(
        [START + 30_000 * place + place % 3 for place in range(20)], [bits_of(place / 7) for place in range(20)]
    )
    with pytest.raises(CorruptChunkError):
        decode([made[:cut]])
    with pytest.raises(CorruptChunkError):
        decode([made[:cut], made])


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_decoded_or_refused(many: list[bytes]):
    try:
        counts, times, got = decode(many)
    except CorruptChunkError:
        return
    assert len(times) == len(got) == int(counts.sum())

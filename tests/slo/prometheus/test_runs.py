"""Runs to samples: sorted, without duplicates, whatever order they came in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.prometheus.paging import LEAST, paged
from slo.prometheus.refusals import TooMuchError
from slo.prometheus.runs import Labels, Run, Series
from slo.samples import SCHEMA


def series() -> Series:
    return Series(Labels(lambda written: dict(json.loads(written))))


def name(number: int) -> bytes:
    return json.dumps({"n": str(number)}).encode()


runs = st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 20), max_size=6)), max_size=12)


@given(st.lists(runs, max_size=4), st.integers(-1, 20), st.integers(0, 21))
def test_samples_are_what_a_dictionary_would_hold(pages: list[list[tuple[int, list[int]]]], after: int, until: int):
    into, number = series(), 0
    expected: dict[tuple[str, int], float] = {}
    for page in pages:
        times, values, owners = [], [], []
        for owner, stamps in page:
            owners.append(into.place(name(owner)))
            for stamp in stamps:
                number += 1
                times.append(stamp)
                values.append(float(number))
                if after < stamp <= until:
                    expected[str(owner), stamp] = float(number)
        counts = np.array([len(stamps) for _, stamps in page], dtype=np.int64)
        run = Run(np.array(owners, dtype=np.int64), counts, np.array(times, dtype=np.int64), np.array(values))
        into.runs.append(run.within(after, until))
    found = into.samples()
    assert found.frame.schema == SCHEMA
    rows = [(found.series[place]["n"], time, value) for place, time, value in found.frame.iter_rows()]
    assert {(who, time): value for who, time, value in rows} == expected
    assert len(rows) == len(expected)
    assert found.frame.sort("series", "t").equals(found.frame)


def test_equal_labels_written_in_two_ways_are_one_series():
    into = series()
    assert into.place(b'{"a":"1","b":"2"}') == into.place(b'{"b":"2", "a":"1"}') == 0
    assert into.place(b'{"a":"1"}') == 1
    assert into.samples().series == ({"a": "1", "b": "2"}, {"a": "1"})


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(LEAST, 10**9), st.integers(LEAST, 10**9))
def test_pages_cover_the_range_once_and_shrink_until_there_is_room(after: int, length: int, size: int, room: int):
    asked: list[tuple[int, int]] = []

    def ask(left: int, right: int) -> None:
        if right - left > room:
            raise TooMuchError("too much", 422)
        asked.append((left, right))

    last = paged(ask, after, after + length, max(size, length // 1000))
    assert [left for left, _ in asked] == [after, *(right for _, right in asked)][: len(asked)]
    assert not length or asked[-1][1] == after + length
    assert last <= max(size, length // 1000)


def test_a_page_of_a_minute_that_is_too_much_is_an_error():
    def ask(left: int, right: int) -> None:
        raise TooMuchError("too much", 422)

    with pytest.raises(TooMuchError):
        paged(ask, 0, 10**9, 10**8)

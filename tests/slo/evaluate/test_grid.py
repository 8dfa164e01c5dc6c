"""Samples on minutes: what an instant query at each of them would find."""

from __future__ import annotations

import math
import struct

import numpy as np
import polars as pl

from slo.entity import Entity
from slo.grid import counters, facts, on_minutes
from slo.samples import SCHEMA, STALE_BITS, Samples, together

FIRST = 1_700_000_040 // 60 * 60
STALE = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def row(*points: tuple[float, float], minutes: int = 8) -> list[float | None]:
    """The values at each minute of one series; seconds are counted from the first minute."""
    times = np.array([round((FIRST + at) * 1000) for at, _ in points], dtype=np.int64)
    values = np.array([value for _, value in points], dtype=np.float64)
    found = on_minutes(np.zeros(len(points), dtype=np.int64), times, values, 1, FIRST, minutes)
    return [None if math.isnan(value) else value for value in found[0].tolist()]


def test_a_minute_has_the_newest_sample_at_or_before_it():
    assert row((-20, 1), (40, 2), (60, 3), (61, 4), minutes=3) == [1, 3, 4]


def test_a_sample_is_good_for_less_than_five_minutes():
    assert row((0.001, 7)) == [None, 7, 7, 7, 7, 7, None, None]
    assert row((0, 7)) == [7, 7, 7, 7, 7, None, None, None]


def test_a_sample_from_before_the_first_minute_still_counts():
    assert row((-299.999, 7), minutes=2) == [7, None]
    assert row((-300, 7), minutes=2) == [None, None]


def test_from_a_staleness_marker_on_there_is_no_value():
    assert row((0, 1), (90, STALE), (200, 2), minutes=5) == [1, 1, None, None, 2]


def test_a_marker_and_a_new_sample_in_one_minute_are_taken_in_their_order():
    assert row((0, 1), (70, STALE), (80, 2), minutes=3) == [1, 1, 2]
    assert row((0, 1), (70, 2), (80, STALE), minutes=3) == [1, 1, None]


def series(labels: dict[str, str], *points: tuple[float, float]) -> tuple[dict[str, str], list[tuple[float, float]]]:
    return labels, list(points)


def samples(*found: tuple[dict[str, str], list[tuple[float, float]]]) -> Samples:
    rows = [(n, round((FIRST + at) * 1000), value) for n, (_, points) in enumerate(found) for at, value in points]
    return Samples(tuple(labels for labels, _ in found), pl.DataFrame(rows, schema=SCHEMA, orient="row"))


ONE = {"gpu": "G", "device": "G", "namespace": "ml", "pod": "p", "container": "c", "cluster": "eu"}


def test_counters_are_put_by_partition_and_outcome_and_others_are_left_out():
    found = counters(
        samples(
            series({**ONE, "guarantee": "compute", "outcome": "broken"}, (0, 3), (60, 9)),
            series({**ONE, "guarantee": "memory", "outcome": "kept"}, (0, 50)),
            series({**ONE, "guarantee": "compute", "outcome": "strange"}, (0, 50)),
            series({**ONE, "guarantee": "compute", "outcome": "kept", "instance": "a"}, (0, 5)),
            series({**ONE, "guarantee": "compute", "outcome": "kept", "instance": "b"}, (0, 7)),
        ),
        "compute",
        ("cluster",),
        FIRST,
        FIRST + 60,
    )
    assert found.entities == (Entity(("eu",), "G", "G", "ml", "p", "c"),)
    assert found.values[0, :, 1].tolist() == [3, 9]
    assert found.values[0, :, 0].tolist() == [7, 7]
    assert np.isnan(found.values[0, :, 2:]).all()


def test_without_a_series_there_is_no_partition():
    found = counters(samples(), "compute", (), FIRST, FIRST + 60)
    assert (found.entities, found.values.shape) == ((), (0, 2, 4))


def test_the_newest_info_tells_who_it_is():
    info = samples(
        series({**ONE, "node": "new"}, (60, 1)),
        series({**ONE, "node": "old"}, (0, 1)),
    )
    promise = samples(
        series({**ONE, "dimension": "compute", "class": "isolated"}, (60, 1)),
        series({**ONE, "dimension": "memory", "class": "declared"}, (60, 1)),
    )
    (known,) = facts(info, promise, ()).values()
    assert known.node == "new"
    assert (known.klass("compute"), known.klass("memory"), known.klass("other")) == ("isolated", "declared", "none")


def test_answers_are_put_together_without_mixing_their_series():
    first, second = samples(series({"a": "1"}, (0, 1))), samples(series({"a": "2"}, (0, 2)))
    whole = together([first, second])
    assert [labels["a"] for labels in whole.series] == ["1", "2"]
    assert whole.frame["series"].to_list() == [0, 1]
    assert whole.frame["v"].to_list() == [1, 2]

"""The query API's JSON: cut as bytes or parsed, the samples are the same; what is no whole answer is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.prometheus import query_api
from slo.prometheus.query_api import MATRIX, VECTOR, AnswerError, Shape, envelope, labels, read
from slo.prometheus.runs import Labels, Series

names = st.one_of(
    st.sampled_from(["metric", "value", "values", "__name__", "pod"]), st.text("abc_", min_size=1, max_size=4)
)
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            '{"metric":{',
            '},"values":[[',
            '"]]}',
            '"],["',
            '},"value":[',
            '{"metric":{"a":"b"},"values":[[1,"2"]]},',
            "\\",
            '\\"',
            "é\n\x00",
        ]
    ),
)
numbers = st.one_of(
    st.sampled_from(["NaN", "+Inf", "-Inf", "0", "1e-320", "0.30000000000000004", "-0"]),
    st.floats().map(go := lambda v: repr(v).replace("inf", "Inf").replace("nan", "NaN")),
)
times = st.integers(0, 2 * 10**12)


def written(kind: str, result: Any, **more: Any) -> bytes:
    """An answer as Go writes it: no blank, and no escape where none is needed."""
    data = {"status": "success", "data": {"resultType": kind, "result": result}, **more}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def taken(body: bytes, shape: Shape) -> list[tuple[dict[str, str], list[tuple[int, int]]]]:
    """Each series' labels, and its times and values' bits."""
    into = Series(Labels(labels))
    run = read(body, shape, into)
    into.runs.append(run)
    found = into.samples()
    rows: list[tuple[dict[str, str], list[tuple[int, int]]]] = [(dict(each), []) for each in found.series]
    bits = found.frame["v"].to_numpy().view(np.uint64)
    for (place, time, _), value in zip(found.frame.iter_rows(), bits, strict=True):
        rows[place][1].append((time, int(value)))
    return rows


def expected(value: str) -> int:
    """The bits of a value."""
    return int(np.array([float(value)]).view(np.uint64)[0])


@given(
    st.dictionaries(
        st.lists(st.tuples(names, texts), unique_by=lambda pair: pair[0]).map(tuple),
        st.dictionaries(times, numbers, min_size=1, max_size=4),
        max_size=4,
    )
)
def test_a_matrix_cut_as_bytes_is_the_matrix_parsed(data: dict[tuple[tuple[str, str], ...], dict[int, str]]):
    result: list[dict[str, Any]] = [
        {"metric": dict(pairs), "values": [[time / 1000, samples[time]] for time in sorted(samples)]}
        for pairs, samples in data.items()
    ]
    unique = {json.dumps(each["metric"], sort_keys=True): each for each in result}
    result = list(unique.values())
    body = written("matrix", result)
    want = [
        (each["metric"], [(round(time * 1000), expected(value)) for time, value in each["values"]]) for each in result
    ]
    found = taken(body, MATRIX)
    assert found == want
    # The same answer with a blank in front of each value goes to the JSON parser.
    assert taken(json.dumps(json.loads(body)).encode(), MATRIX) == want


@given(st.lists(st.tuples(texts, numbers), max_size=5, unique_by=lambda pair: pair[0]))
def test_a_vector_cut_as_bytes_is_the_vector_parsed(data: list[tuple[str, str]]):
    result = [{"metric": {"pod": text}, "value": [1700000000.25, value]} for text, value in data]
    want = [({"pod": text}, [(1700000000250, expected(value))]) for text, value in data]
    assert taken(written("vector", result), VECTOR) == want
    assert taken(json.dumps(json.loads(written("vector", result))).encode(), VECTOR) == want


def test_a_usual_answer_is_cut_and_not_parsed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(query_api, "_parsed", lambda *_: pytest.fail("it was parsed"))
    result = [{"metric": {"a": "b"}, "values": [[1, "2"], [2, "3"]]}, {"metric": {}, "values": [[1, "2"]]}]
    assert len(taken(written("matrix", result), MATRIX)) == 2
    assert taken(written("matrix", []), MATRIX) == []
    # VictoriaMetrics puts isPartial in front and statistics behind.
    body = b'{"status":"success","isPartial":false,"data":{"resultType":"vector","result":[]},"stats":{"seriesFetched":"0"}}'
    assert taken(body, VECTOR) == []


def test_native_histograms_are_left_out():
    result = [
        {"metric": {"a": "h"}, "histograms": [[1, {"count": "2"}]]},
        {"metric": {"a": "both"}, "values": [[1, "2"]], "histograms": [[2, {"count": "2", "buckets": [[0, "1"]]}]]},
    ]
    assert taken(written("matrix", result), MATRIX) == [({"a": "both"}, [(1000, expected("2"))])]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not the query API's JSON"),
        (b"<html>", "not the query API's JSON"),
        (b"null", "not the query API's JSON"),
        (b'{"status":"success"}', "not the query API's JSON"),
        (b"[" * 100_000, "not the query API's JSON"),
        (
            b'{"status":"error","errorType":"timeout","error":"query timed\\nout \\u001b[31m"}',
            r"error: query timed out \\x1b\[31m",
        ),
        (written("vector", [{"metric": {}, "value": [1, "2"]}]), "a vector, not with a matrix"),
        (written("matrix", [{"metric": {"a": "b"}, "values": [[1, "x"]]}]), "no numbers"),
        (written("matrix", [{"metric": {"a": "b"}, "values": [[1, ""]]}]), "no numbers"),
        (written("matrix", [{"metric": {"a": "b"}, "values": [["NaN", "1"]]}]), "no numbers"),
        (written("matrix", [{"metric": {"a": 5}, "values": [[1, "1"]]}]), "no text"),
        (written("matrix", [{"metric": {"a": "b"}, "values": [[1, "1"]]}])[:-20], "not the query API's JSON"),
        (written("matrix", [{"metric": {"a": "b"}, "values": [[1, "1"]]}])[:-1], "not the query API's JSON"),
        (written("matrix", [{"metric": {"a": "b"}, "values": [[1, "1"]]}] * 2)[:-60], "not the query API's JSON"),
        (written("matrix", [7]), "no list of series"),
        (written("matrix", [], warnings=["No StoreAPIs matched"]), "may not be whole: No StoreAPIs matched"),
        (written("matrix", [], isPartial=True), "may not be whole: isPartial"),
    ],
)
def test_what_is_no_whole_answer_is_refused(body: bytes, said: str):
    with pytest.raises(AnswerError, match=said):
        taken(body, MATRIX)


def test_a_remark_about_the_query_is_no_warning():
    assert envelope(written("vector", [], warnings=["PromQL info: metric might not be a counter"])) == ("vector", [])
    assert envelope(written("vector", [], infos=["PromQL info: metric might not be a counter"])) == ("vector", [])

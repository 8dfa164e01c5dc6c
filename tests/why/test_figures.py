"""Columns add up as shown, and names cannot touch the terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.why.figures import clean, percent_parts, point_parts, rough_span, second_parts, span, spans, whole_parts

PARTS = st.lists(st.floats(0, 1e7), min_size=1, max_size=8)


def seconds(text: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", text))


@given(PARTS)
def test_columns_add_up_to_the_total_that_is_shown(parts: list[float]) -> None:
    assert sum(whole_parts(parts, 100)) == (100 if sum(parts) > 0 else 0)
    shown, total = second_parts(parts)
    assert sum(round(float(text.replace(",", "")) * 10) for text in shown) == round(float(total.replace(",", "")) * 10)
    assert sum(seconds(text) for text in spans(parts)) == seconds(span(sum(parts)))


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=5))
def test_points_add_up_to_their_total(parts: list[float]) -> None:
    shown, total = point_parts(parts)
    assert sum(round(float(text) * 10) for text in shown) == round(float(total) * 10)


def test_thirds_become_34_33_33() -> None:
    assert percent_parts([1, 1, 1]) == ["34%", "33%", "33%"]


@pytest.mark.parametrize(
    ("length", "exact", "rough"),
    [
        (0, "0s", "0s"),
        (59.6, "1m 00s", "1m"),
        (45, "45s", "45s"),
        (1080, "18m 00s", "18m"),
        (10812, "3h 00m 12s", "3h 00m"),
        (187200, "52h 00m 00s", "2d 4h"),
    ],
)
def test_spans_read_as_a_person_says_them(length: float, exact: str, rough: str) -> None:
    assert (span(length), rough_span(length)) == (exact, rough)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("llm-chat-0", "llm-chat-0"),
        ("[red]x[/]", "[red]x[/]"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc", r"a\nb\tc"),
        ("a\x9bb", r"a\x9bb"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb", r"a\u200bb"),
        ("x" * 400, "x" * 319 + "…"),
    ],
)
def test_a_name_is_shown_without_what_a_terminal_would_act_on(name: str, shown: str) -> None:
    assert clean(name) == shown

"""The report and the open points, from what runs found: pure."""

from __future__ import annotations

from typing import Any

import pytest

from bench.hardware import judging, openpoints, report
from tests.docs.reading import ROOT


def watch(**more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "samples_refused": None,
        "sampled_unlisted": [],
        "sample_period_p50": 0.17,
        "sample_period_p90": 0.2,
        "sample_age_p50": 0.1,
        "clock_min": 1980.0,
        "power_p50_w": 300.0,
        "reasons": {"sw_power_cap": 0.0, "idle": None},
        "counters": {},
    }
    return base | more


def row(tenant: str, true_share: float, said: str = "kept", expected: str = "kept", **more: Any) -> dict[str, Any]:
    base = {
        "scenario": "crowd",
        "tenant": tenant,
        "holds": True,
        "promised": 0.5,
        "true_share": true_share,
        "sampled_share": true_share,
        "entitled": 0.5,
        "near": False,
        "expected": {"outcome": expected, "cause": "", "neighbour": ""},
        "said": {"outcome": said, "delivered": true_share, "entitled": 0.5, "evidence": "queueing"},
        "others": [],
    }
    return base | more


def contention(scenario: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    one = {"scenario": scenario, "rows": list(rows), "doubts": {}, "listed": True, "same_pids": True, "watch": watch()}
    return {"run": "test-1", "environment": {"uid": 0}, "steps": [], "contention": [one | more]}


def answer(found: dict[str, Any], question: str) -> tuple[str, str]:
    (told,) = (each for each in openpoints.answers(found) if each["question"] == question)
    return told["state"], told["answer"]


@pytest.mark.parametrize(
    ("one", "three", "state", "words"),
    [
        (0.25, 0.75, "settled on this board", "by process: "),
        (0.5, 0.5, "settled on this board", "not by process"),
        (0.4, 0.6, "recorded, to be read by a person", "1.50 to 1"),
        (0.0, 0.6, "not settled here", "did not end well"),
    ],
)
def test_whose_turns_they_are_is_told_by_three_against_one(one: float, three: float, state: str, words: str) -> None:
    found = contention("crowd", row("one", one), row("three", three))
    told = answer(found, "do turns go by process or by pod")
    assert told[0] == state
    assert words in told[1]


@pytest.mark.parametrize(
    ("grown", "seconds", "part", "state", "words"),
    [
        (8_000_000_000, 10.0, 1.0, "settled on this board", "nanoseconds"),
        (9_900_000, 10.0, 1.0, "settled on this board", "microseconds"),
        (9_900_000, 10.0, 0.3, "not settled here", "reason set 0.3 of the time"),
        (0, 10.0, 0.0, "not settled here", "nothing held the clocks down"),
    ],
)
def test_the_unit_of_a_counter_is_told_by_how_fast_it_can_grow(
    grown: int, seconds: float, part: float, state: str, words: str
) -> None:
    found = contention("crowd", watch=watch(counters={"74": (grown, seconds)}, reasons={"sw_power_cap": part}))
    told = answer(found, "the unit of the throttle time counters")
    assert told[0] == state
    assert words in told[1]


def test_a_question_whose_step_is_not_there_says_so_and_the_others_are_answered() -> None:
    told = openpoints.answers({"environment": {"uid": 1000}, "contention": []})
    assert len(told) == len(openpoints.POINTS)
    assert {row["state"] for row in told} == {"not settled here", "recorded, to be read by a person"}


def test_every_open_point_is_in_the_document() -> None:
    text = (ROOT / "docs" / "hardware.md").read_text()
    assert [point.question for point in openpoints.POINTS if point.question not in text] == []


def test_pids_of_samples_that_are_not_listed_are_told() -> None:
    found = contention("equals", watch=watch(sampled_unlisted=[4711]), same_pids=False)
    told = answer(found, "whose pids the driver lists")
    assert told == (
        "settled on this board",
        "of another pid namespace; samples are of pids that are not listed: [4711]",
    )


def test_verdicts_are_counted_as_right_wrong_blind_or_near() -> None:
    rows = [
        row("a", 0.5),
        row("b", 0.5, said="broken"),
        row("c", 0.46, said="broken", near=True),
        row("d", 0.5, said="blind"),
        row("e", 0.5, said="blind", expected="blind"),
        row("f", 0.5) | {"said": None},
        row("g", 0.5) | {"holds": False},
    ]
    assert report.score(contention("crowd", *rows)) == {"right": 2, "wrong": 2, "near": 1, "blind": 1}


def test_a_page_of_markdown_has_a_table_for_what_is_there_and_none_for_what_is_not() -> None:
    other = {"guarantee": "memory", "expected": {"outcome": "kept", "cause": ""}, "said": {"outcome": "broken"}}
    found = contention("crowd", row("one", 0.25, others=[other]), doubts={"ratio_above_one": 2.0})
    found["steps"] = [{"step": "calls", "seconds": 1.0, "status": "failed", "why": "two\nlines | and a bar"}]
    text = report.markdown(found)
    assert "## Calls" not in text
    assert "| calls | 1.0 | failed | two / lines \\| and a bar |" in text
    assert "| crowd | one | memory | kept | broken |" in text
    assert "| crowd | ratio_above_one 2 |" in text
    width = {
        line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("| crowd | one | 0.5")
    }
    assert width == {13}


def test_doubts_are_read_from_a_page() -> None:
    page = (
        'slicewatch_untrusted_readings_total{check="sample_stale"} 3.0\n'
        'slicewatch_untrusted_readings_total{check="ratio_above_one"} 0.0\n'
        'slicewatch_orphans{kind="host_process"} 1.0\n'
    )
    assert judging.doubts(page) == {"sample_stale": 3.0, "host_process": 1.0}

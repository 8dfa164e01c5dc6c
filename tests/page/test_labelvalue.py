"""Whatever a tenant, a recording or a broken source writes into a label: the page stays readable, bounded and unambiguous."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import catalogue as c
from exporter.exposition import Rendered, Writer, family
from exporter.labelvalue import MAX_BYTES, bounded

ANY = st.text(st.characters(exclude_categories=()), max_size=40)
"""Surrogates, controls and all."""
LONG = st.builds(lambda head, count, tail: head * count + tail, ANY, st.integers(1, 200), ANY)
VALUES = st.one_of(ANY, LONG)

NASTY = (
    "",
    "\0",
    "a\0b",
    "\r",
    "a\r\nb",
    "\n# EOF\n",
    '"} 1\nforged_metric{pod="',
    "\\",
    '\\"',
    "\\n",
    "\x1b[2J",
    "\u2028\u2029\x85\x0b\x0c",
    "\ufeff",
    "\U0010ffff",
    "\ud800",
    "\udcff\udcfe",
    "e\u0301",
    "{__name__=~'.+'}",
    "x" * 100_000,
    "\u00e9" * 200,
    "\U0001f600" * 100,
    "$(reboot)",
    "<script>alert(1)</script>",
)


def page_of(values: list[str]) -> Rendered:
    """A page on which every value is a pod's name, a workload's and a neighbour's."""
    keys = [c.PartitionKey("GPU-1", "GPU-1", "team", value, "main") for value in values]
    infos = [
        c.PartitionInfoKey(*key, "node", "uid", "Job", value, value, "mps", "1", "")
        for key, value in zip(keys, values, strict=True)
    ]
    lost = [(c.NeighbourKey(*keys[0], "compute", "team", value), 1.5) for value in values]
    return Writer().render(
        [
            family(c.PARTITION_INFO, [(info, 1.0) for info in infos]),
            family(c.PROMISED_COMPUTE, [(key, 0.25) for key in keys]),
            family(c.LOST_TO_NEIGHBOUR, lost),
        ]
    )


@settings(deadline=None)
@given(VALUES)
def test_a_label_is_bounded_and_of_characters_that_can_be_written(value: str) -> None:
    written = bounded(value)
    assert len(written.encode()) <= MAX_BYTES  # encode() raises for a surrogate
    assert "\0" not in written
    assert bounded(written) == written


@settings(deadline=None)
@given(VALUES, VALUES)
def test_two_texts_never_become_one(one: str, other: str) -> None:
    assert (bounded(one) == bounded(other)) is (one == other)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=MAX_BYTES // 4))
def test_what_is_short_and_readable_stays_as_it_is(value: str) -> None:
    assert bounded(value) == value


def test_the_longest_name_that_kubernetes_accepts_is_not_cut() -> None:
    longest = f"{'a' * 253}/{'b' * 63}"
    assert bounded(longest) == longest
    assert bounded(longest + "c" * 4).startswith("a" * 253)


def test_names_that_differ_only_behind_the_cut_stay_two_series() -> None:
    page = page_of(["x" * 5000 + "1", "x" * 5000 + "2"])
    assert page.series == 6


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4, unique=True))
def test_the_client_library_reads_any_page_and_finds_as_many_series(values: list[str]) -> None:
    page = page_of(values)
    for families in (parse_text(page.text.decode()), parse_openmetrics(page.openmetrics.decode())):
        samples = [sample for found in families for sample in found.samples]
        assert len(samples) == page.series == 3 * len(values)
        assert all(len(label.encode()) <= MAX_BYTES for sample in samples for label in sample.labels.values())


@pytest.mark.real
def test_promtool_and_prometheuss_own_parser_take_every_nasty_value(tmp_path: Path) -> None:
    page = page_of(list(NASTY))
    assert page.series == 3 * len(NASTY)
    promtool("check", "metrics", stdin=page.text)
    # The parser of a scrape: every sample needs a time of its own here.
    lines = [line if line.startswith(b"#") else line + b" 1700000000" for line in page.openmetrics.split(b"\n")[:-1]]
    (tmp_path / "page").write_bytes(b"\n".join(lines) + b"\n")
    said = promtool("tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "page"), str(tmp_path / "blocks"))
    assert said.splitlines()[-1].split()[-2] == str(page.series)


def promtool(*arguments: str, stdin: bytes = b"") -> str:
    if shutil.which("promtool") is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing: apt-get install prometheus")
        pytest.skip("promtool is missing: apt-get install prometheus")
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()

"""Every live row of the table, played: what is served, what is blind and why, what is never lost, and that it recovers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tests.e2e.scrape import Scrape
from tests.faults import measured
from tests.faults.breaking import BREAKS
from tests.faults.node import MIG, SHARED, TENANTS, WHOLE, Node, whole
from tests.faults.rows_live import LIVE
from tests.faults.table import FAMILIES, Blind, Group, Row

KINDS = {"mig": MIG, "whole": WHOLE, "shared": SHARED}
BLIND, LOST = "gpu_partition_blind_seconds_total", "gpu_partition_lost_seconds_total"
LOOKED_AT = 4
"""Ticks over which seconds are counted."""

Seconds = Mapping[tuple[str, str, str], float]
"""By device, guarantee, and reason or cause."""


def seconds(page: Scrape, metric: str, word: str) -> Seconds:
    found: dict[tuple[str, str, str], float] = {}
    for labels, value in page.samples.get(metric, {}).items():
        known = dict(labels)
        key = (known["device"], known["guarantee"], known[word])
        found[key] = found.get(key, 0.0) + value
    return found


def grown(before: Seconds, after: Seconds) -> Seconds:
    rounded = {key: round(value - before.get(key, 0.0), 6) for key, value in after.items()}
    return {key: value for key, value in rounded.items() if value}


def expected(rows: Iterable[Blind], passed: float) -> Seconds:
    """Seconds that partitions of these kinds spend so; of the shared board there are two, and no memory is promised."""
    return {
        (KINDS[kind], guarantee, row.reason): passed * (len(TENANTS) if kind == "shared" else 1)
        for row in rows
        for kind in row.kinds
        for guarantee in row.guarantees
        if (kind, guarantee) != ("shared", "memory")
    }


def complete(page: Scrape, before: Scrape) -> set[Group]:
    """Groups of which every series is there that was there before."""
    return {
        group
        for group, names in FAMILIES.items()
        if all(page.samples.get(name, {}).keys() >= before.samples[name].keys() for name in names)
    }


def recovered(page: Scrape, last: Scrape) -> bool:
    """All is as before: nothing is missing, and nothing was blind or lost in this tick."""
    still = whole(page) and not grown(seconds(last, BLIND, "reason"), seconds(page, BLIND, "reason"))
    return still and not grown(seconds(last, LOST, "cause"), seconds(page, LOST, "cause"))


def test_every_live_row_can_be_brought_about_and_nothing_else_can():
    assert [row.fault for row in LIVE] == list(dict.fromkeys(row.fault for row in LIVE))
    assert {row.fault for row in LIVE} == BREAKS.keys()


@pytest.mark.parametrize("row", LIVE, ids=lambda row: f"{row.part}: {row.fault}")
def test_what_a_fault_hides_is_blind_with_its_reason_and_everything_else_goes_on(node: Node, row: Row):
    live = row.live
    assert live is not None
    node.until(whole, "a good page")
    before = node.run(25)  # the windows of shared compute are full
    with BREAKS[row.fault](node):
        first = node.run(live.after)
        page = node.run(LOOKED_AT)
        assert page.down() == live.down
        assert complete(page, before) == set(Group) - live.gone
        passed = LOOKED_AT * node.step
        blind = grown(seconds(first, BLIND, "reason"), seconds(page, BLIND, "reason"))
        assert blind == expected(live.blind, passed)
        assert grown(seconds(first, LOST, "cause"), seconds(page, LOST, "cause")) == expected(live.broken, passed)
    took, last = 0, page
    while not recovered(page := node.run(), last):
        took, last = took + 1, page
        assert took <= live.recovers, page.essence
    assert page.words("gpu_partition_info") == before.words("gpu_partition_info")
    assert node.books.faults == []
    measured.note(row, took + 1, "ticks")

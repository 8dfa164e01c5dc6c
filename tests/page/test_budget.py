"""The limit of a page: what stands back when it is met, that it is whole partitions, and that it is said."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import budget
from exporter.catalogue import METRICS, Kind, PartitionKey
from exporter.ledger import Account, Ledger
from exporter.model import Partition
from exporter.snapshot_json import snapshot_json
from exporter.verdict import Guarantee, Outcome
from tests.judge.made import device, partition, snapshot
from tests.scenarios.stage import Stage

PAGES = sorted((Path(__file__).parents[1] / "scenarios" / "pages").glob("*.prom"))
HOLDER = re.compile(
    r'^(\w+)\{gpu="([^"]*)",device="([^"]*)",namespace="([^"]*)",pod="([^"]*)",container="([^"]*)".*$', re.MULTILINE
)


def series(page: str) -> Iterator[str]:
    return (line for line in page.splitlines() if line and not line.startswith("#"))


def holders(page: str) -> Counter[PartitionKey]:
    """How many series each partition has on a page."""
    return Counter(PartitionKey(*found.groups()[1:]) for found in HOLDER.finditer(page))


def aged(seconds: int, rows: int = 0, *, gone: int | None = None) -> Account:
    outcomes = {(Guarantee.AVAILABILITY, outcome): 0 for outcome in Outcome}
    outcomes[Guarantee.AVAILABILITY, Outcome.KEPT] = seconds
    named = {(Guarantee.MEMORY, ("team", f"pod-{number}")): 1 for number in range(rows)}
    return Account(pod_uid="", outcomes=outcomes, to_neighbour=named, gone_at=gone)


def ledger(**accounts: Account) -> tuple[list[Partition], Ledger]:
    """Partitions of these names, and their accounts."""
    made = [partition(pod, device()) for pod in accounts]
    return made, Ledger(accounts={each.key: accounts[each.key.pod] for each in made})


def pods(hidden: frozenset[PartitionKey]) -> set[str]:
    return {key.pod for key in hidden}


def test_a_page_with_room_hides_nobody() -> None:
    made, book = ledger(a=aged(10), b=aged(20))
    assert budget.over(snapshot(*made), book, budget.DEFAULT) == frozenset()


def test_the_youngest_stand_back_and_the_departed_before_them() -> None:
    made, book = ledger(old=aged(30, 200), middle=aged(20, 200), young=aged(10, 200), gone=aged(90, 200, gone=1))
    assert pods(budget.over(snapshot(*made), book, 1300)) == {"gone"}
    assert pods(budget.over(snapshot(*made), book, 1080)) == {"gone", "young"}
    assert pods(budget.over(snapshot(*made), book, 800)) == {"gone", "young", "middle"}
    assert pods(budget.over(snapshot(*made), book, 400)) == {"gone", "young", "middle", "old"}


def test_a_small_newcomer_does_not_slip_past_a_large_one() -> None:
    made, book = ledger(old=aged(30), large=aged(20, 900), small=aged(10))
    assert pods(budget.over(snapshot(*made), book, 1000)) == {"large", "small"}


def test_equal_ages_are_told_apart_by_name_and_not_by_chance() -> None:
    made, book = ledger(b=aged(0, 300), a=aged(0, 300), c=aged(0, 300))
    assert pods(budget.over(snapshot(*made), book, 1000)) == {"b", "c"}


def test_the_gauges_of_a_partition_are_as_many_as_the_catalogue_has() -> None:
    holder = PartitionKey._fields
    gauges = [m for m in METRICS if m.kind is Kind.GAUGE and m.label_names[: len(holder)] == holder]
    assert len(gauges) + 1 == budget._GAUGES  # a promise of compute and one of memory


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_page_has_more_than_is_reckoned_with(page: Path) -> None:
    text = page.read_text()
    devices, gpus = (len(re.findall(rf"^gpu_device_{name}\{{", text, re.MULTILINE)) for name in ("info", "power_watts"))
    others = sum(1 for line in series(text) if not HOLDER.match(line))
    xids = len(re.findall(r"^gpu_device_xid_errors_total\{", text, re.MULTILINE))
    assert others <= budget._OWN + budget._DEVICE * devices + budget._GPU * gpus + xids
    assert holders(text)


def test_who_is_hidden_is_hidden_wholly_and_everybody_else_is_shown_wholly(caplog: pytest.LogCaptureFixture) -> None:
    limit = 800
    with caplog.at_level(logging.INFO, "slicewatch.collect"):
        full, limited = Stage("demo"), Stage("demo", series_limit=limit)
        whole = page = ""
        hidden: list[set[PartitionKey]] = []
        for _ in range(12):
            whole = full.play(full.hands.now + 1).rendered.text.decode()
            page = limited.play(limited.hands.now + 1).rendered.text.decode()
            assert len(list(series(page))) <= limit
            shown = holders(page)
            assert shown == {key: count for key, count in holders(whole).items() if key in shown}
            hidden.append(set(holders(whole)) - set(shown))
    full.close()
    limited.close()
    assert 0 < len(hidden[0]) < len(holders(whole))
    # Counters become more, so that more may have to stand back; nobody comes and goes.
    assert all(before <= after for before, after in itertools.pairwise(hidden))
    assert f'slicewatch_orphans{{kind="over_series_limit"}} {float(len(hidden[-1]))}' in page
    assert "over_series_limit" not in whole
    assert [record.getMessage() for record in caplog.records] == ["the page is full"]
    document = json.loads(snapshot_json(limited.tick.result, limited.tick.health, 0.0))
    assert document["orphans"]["over_series_limit"] == len(hidden[-1])
    assert {PartitionKey(*(each[name] for name in PartitionKey._fields)) for each in document["partitions"]} == set(
        holders(whole)
    )

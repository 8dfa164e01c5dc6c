"""`slo check` on a store that is made up, and on a real Prometheus: what it says, and how it ends."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from slo.asking import connect_to
from slo.check import cli
from slo.embedded.store import ParquetHistory
from slo.samples import Samples, together
from slo.spec import Matcher
from tests.slo.parity.histories import COUNTER, INFO, PROMISE, START, Series, fleet, openmetrics
from tests.slo.servers import prometheus
from toolkit.errors import ConfigError, UnreachableError

MINUTES = 240
END = START + MINUTES * 60
IDENTITY = {"gpu": "GPU-1", "device": "GPU-1", "namespace": "ml", "pod": "train-0", "container": "main"}


def story(bad: int, klass: str = "isolated") -> list[Series]:
    """One partition, scraped every 30 s, whose last `bad` minutes are broken."""
    kept = Series(
        {"__name__": "gpu_partition_guarantee_seconds_total", **IDENTITY, "guarantee": "compute", "outcome": "kept"}
    )
    others = [Series({**kept.labels, "outcome": outcome}) for outcome in ("broken", "idle", "blind")]
    info = Series({"__name__": "gpu_partition_info", **IDENTITY, "node": "n1", "sharing": "mig"})
    promise = Series({"__name__": "gpu_partition_promise_info", **IDENTITY, "dimension": "compute", "class": klass})
    broken_from = END - bad * 60
    for at in range(START + 30, END + 1, 30):
        kept.points.append((at, float(min(at, broken_from) - START)))
        for one in others:
            one.points.append((at, float(max(0, at - broken_from)) if one.labels["outcome"] == "broken" else 0.0))
        for one in (info, promise):
            one.points.append((at, 1.0))
    return [kept, *others, info, promise]


class Store:
    """A store of made-up series."""

    name = "http://prometheus:9090"

    def __init__(self, found: list[Series]) -> None:
        self._found = found

    def read(self, metric: str, matchers: Sequence[Matcher], start: float, end: float) -> Samples:
        mine = [
            one
            for one in self._found
            if one.labels["__name__"] == metric and all(each.holds(one.labels.get(each.label, "")) for each in matchers)
        ]
        rows = [
            (number, round(at * 1000), value)
            for number, one in enumerate(mine)
            for at, value in one.points
            if start < at <= end
        ]
        frame = pl.DataFrame(rows, schema={"series": pl.UInt32, "t": pl.Int64, "v": pl.Float64}, orient="row")
        return Samples(tuple(one.labels for one in mine), frame)


def check(found: list[Series], *flags: str) -> tuple[int, str]:
    out = io.StringIO()
    argv = ["--prometheus=http://p", f"--at={END}", "--since=1d", *flags]
    return cli.main(argv, {}, out, connected=lambda _flags: Store(found)), out.getvalue()


def test_what_is_kept_is_said_in_the_first_line_and_ends_with_0():
    status, said = check(story(0))
    assert status == 0
    assert said.splitlines()[0] == "Kept: no budget is spent and no alert fires."


def test_what_is_not_kept_is_said_with_who_it_is_and_ends_with_1():
    status, said = check(story(20))
    assert status == 1
    first, second, *rest = said.splitlines()
    assert first == "Not kept: 1 page fires; the budget of compute/enforced is spent."
    assert second.endswith("history reaches back 4 hours")
    assert any("GPUPartitionPromiseBurn" in line and "ml/train-0" in line for line in rest)
    assert any(line.startswith("ml/train-0") and "compute" in line for line in rest)


@pytest.mark.parametrize(("asked", "status"), [("page", 1), ("ticket", 1), ("budget", 1), ("any", 1)])
def test_what_fails_can_be_chosen(asked: str, status: int):
    assert check(story(20), f"--fail-on={asked}")[0] == status


def test_a_spent_budget_alone_fails_what_asks_for_it():
    soft = story(8, klass="isolated")
    assert check(soft, "--fail-on=budget")[0] == 1
    assert check(soft, "--fail-on=page")[0] == 0


def test_json_says_the_same():
    status, said = check(story(20), "--json")
    found = json.loads(said)
    (row,) = [one for one in found["objectives"] if (one["slo"], one["objective"]) == ("compute", "enforced")]
    assert status == 1
    assert found["kept"] is False
    assert (row["bad"], row["good"]) == (20, MINUTES - 20)
    assert row["compliance"] == pytest.approx(1 - 20 / MINUTES)
    assert found["partitions"] == 1


def test_nothing_to_judge_is_no_success():
    with pytest.raises(UnreachableError, match="no counters of partitions"):
        check([])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--since=10s", "--prometheus=http://p"], "--since: "),
        (["--at=yesterday", "--prometheus=http://p"], "--at: "),
        ([], "--prometheus is missing"),
    ],
)
def test_wrong_usage_is_refused(flags: list[str], expected: str):
    with pytest.raises(ConfigError, match=expected):
        cli.main(flags, {}, io.StringIO())


def test_a_prometheus_that_is_not_there_is_told_in_one_line():
    with pytest.raises(UnreachableError) as caught:
        cli.main(["--prometheus=http://127.0.0.1:9", "--since=1h"], {}, io.StringIO())
    assert "127.0.0.1:9" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.real
def test_a_real_prometheus_says_what_the_store_says(tmp_path: Path):
    history = [one for one in fleet(6, MINUTES, 3) if one.points]
    asked = [f"--at={END}", "--since=1d", "--json"]
    made_up, real = io.StringIO(), io.StringIO()
    cli.main(["--prometheus=http://p", *asked], {}, made_up, connected=lambda _flags: Store(history))
    with prometheus(tmp_path, openmetrics=openmetrics(history)) as server:
        cli.main([f"--prometheus={server.url}", *asked], {}, real)
    first, second = json.loads(made_up.getvalue()), json.loads(real.getvalue())
    assert first.pop("source") != second.pop("source")
    assert first == second
    assert first["partitions"] == 6


def test_the_site_is_the_one_that_was_named():
    asked: list[argparse.Namespace] = []

    def connected(flags: argparse.Namespace) -> Store:
        asked.append(flags)
        return Store(story(0))

    argv = ["--prometheus=http://host:1/prefix", "--prometheus.tenant=gpu", f"--at={END}", "--since=1d"]
    cli.main(argv, {}, io.StringIO(), connected=connected)
    assert (asked[0].prometheus, asked[0].tenant) == ("http://host:1/prefix", "gpu")
    assert connect_to(asked[0]).name == "http://host:1/prefix"


def test_the_first_minute_of_the_window_counts():
    out = io.StringIO()
    argv = ["--prometheus=http://p", f"--at={END}", "--since=3h", "--json"]
    cli.main(argv, {}, out, connected=lambda _flags: Store(story(0)))
    (row,) = [one for one in json.loads(out.getvalue())["objectives"] if one["objective"] == "enforced" and one["good"]]
    assert row["good"] == 180


def test_the_history_of_slo_run_says_what_the_store_says(tmp_path: Path):
    store = Store(story(20))
    kept = ParquetHistory(tmp_path / "h", 86400)
    for at in range(START + 60, END + 1, 60):
        parts = [store.read(name, (), at - 1, at) for name in (COUNTER, INFO, PROMISE)]
        kept.append(at, together(parts))
    asked = [f"--at={END}", "--since=1d", "--json"]
    made_up, real = io.StringIO(), io.StringIO()
    cli.main(["--prometheus=http://p", *asked], {}, made_up, connected=lambda _flags: store)
    cli.main([f"--history={tmp_path / 'h'}", *asked], {}, real)  # beside the process that writes
    kept.close()
    first, second = json.loads(made_up.getvalue()), json.loads(real.getvalue())
    assert second["source"] == str(tmp_path / "h")
    assert [one["bad"] for one in first["objectives"]] == [one["bad"] for one in second["objectives"]]
    assert first["firing"] == second["firing"]
    with pytest.raises(ConfigError, match="two sources"):
        cli.main([f"--history={tmp_path / 'h'}", "--prometheus=http://p"], {}, real)


def robbed(bad: int) -> list[Series]:
    """The story, with the causes of the loss."""
    found = story(bad)
    broken_from = END - bad * 60
    mine = {**IDENTITY, "guarantee": "compute"}
    causes = [
        (Series({"__name__": "gpu_partition_lost_seconds_total", **mine, "cause": "neighbour"}), 0.7),
        (Series({"__name__": "gpu_partition_lost_seconds_total", **mine, "cause": "clocks"}), 0.1),
        (
            Series(
                {
                    "__name__": "gpu_partition_lost_to_neighbour_seconds_total",
                    **mine,
                    "neighbour_namespace": "ads",
                    "neighbour_pod": "hog-0",
                }
            ),
            0.7,
        ),
    ]
    for series, part in causes:
        series.points += [(at, part * (at - broken_from)) for at in range(broken_from + 30, END + 1, 30)]
    return [*found, *(series for series, _ in causes)]


def test_the_worst_off_are_told_with_what_they_lost_it_to():
    _, said = check(robbed(20))
    (line,) = [line for line in said.splitlines() if line.startswith("ml/train-0") and "compute" in line]
    assert line.rstrip().endswith("neighbour ads/hog-0 88%")
    _, said = check(robbed(20), "--json")
    (worst,) = json.loads(said)["worst"]
    assert (worst["pod"], worst["bad"], worst["lost_to"]["cause"], worst["lost_to"]["neighbour"]) == (
        "train-0",
        20,
        "neighbour",
        "ads/hog-0",
    )
    assert worst["lost_to"]["part"] == pytest.approx(0.875)

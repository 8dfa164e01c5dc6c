"""From a week of counters in a Prometheus to verdicts: how fast, by which route, and beside what others do.

    python -m bench.slo_history [--partitions 1000] [--days 7] [--quick]

A real Prometheus holds blocks that the bench makes (which takes minutes; its compactor is off, so that it does not work
meanwhile), a VictoriaMetrics the last day of the same. Rows are samples of the counters; ours reads the partitions' infos and
promises as well, which are half as many again. Others are measured on one namespace's last day, because one of them keeps a
dictionary for each row, and multiplied up. The times are wall time of one process, the server's work included. In the
end one minute of a fleet of 70,000 series is read and judged as `slo run` does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import machine
from bench.program import free_port, running
from bench.slo_data import BEGIN, SCRAPE, SPAN, Fleet, blocks, lines
from bench.slo_peers import Rate, by_pandas, by_promtool, by_query
from bench.slo_rules import SPEC
from bench.table import aligned
from exporter.catalogue import GUARANTEE_SECONDS
from slo.check.judgement import judge
from slo.prometheus import PrometheusStore, Route, connect
from slo.run.judge import Judges
from slo.run.prometheus_feed import PrometheusFeed
from slo.spec import Matcher, Op
from toolkit.site import Site

DAY, HOUR = 86400, 3600
GOAL = 20.0
TICK_SERIES = 70_000
NAMESPACE = "team-0"
_OUTCOMES = 4
_DEADLINE = 600.0


def main(argv: Sequence[str]) -> int:
    """Measure and print. The exit status is 0 whether or not the goal is met: it is for a quiet machine."""
    parser = argparse.ArgumentParser(prog="python -m bench.slo_history", description="Measure reading history.")
    parser.add_argument("--partitions", type=int, default=1000, help="partitions (1000)")
    parser.add_argument("--days", type=int, default=7, help="days of history (7)")
    parser.add_argument("--quick", action="store_true", help="200 partitions, one day, a tick of 7,000 series")
    asked = parser.parse_args(argv)
    partitions, days = (200, 1) if asked.quick else (asked.partitions, asked.days)
    end = BEGIN + days * DAY
    with tempfile.TemporaryDirectory(prefix="slicewatch-bench-") as folder:
        place = Path(folder)
        _say(f"making {partitions * _OUTCOMES * days * DAY // SCRAPE:,} samples of counters")
        blocks(Fleet(partitions), BEGIN, end, _made(place / "week") / "data")
        with prometheus(place / "week") as url:
            rows = week(url, partitions, end)
        rows.insert(3, victoria(place / "victoria", partitions))
        ticked = tick(place / "tick", TICK_SERIES // (10 if asked.quick else 1))
    note = "A quick run: not for quoting.\n\n" if asked.quick else ""
    print(f"{note}{machine.line()}\n\n{rows_table(rows, partitions, days)}\n{ticked}", end="")
    return 0


def week(url: str, partitions: int, end: int) -> list[tuple[str, Rate]]:
    """Measure every way to a week's verdicts."""
    found = []
    for route in (Route.REMOTE_READ, Route.QUERY):
        _say(f"slicewatch by {route}")
        found.append((f"slicewatch, {route}", ours(open_store(url, route), BEGIN, end)))
    _say("prometheus-api-client and pandas")
    found.append(("prometheus-api-client + pandas", by_pandas(url, NAMESPACE, SPEC, end - DAY, end)))
    own = few(open_store(url, Route.REMOTE_READ), end - DAY, end)
    if abs(own - found[-1][1].bad) > own // 100:  # its first minute has none before it
        print(f"pandas found {found[-1][1].bad} bad slices where slicewatch found {own}", file=sys.stderr)
    _say("promtool query range")
    found.append(("promtool query range, as text", by_promtool(url, NAMESPACE, SPEC, end - DAY, end, SCRAPE)))
    _say("a query for each partition and window")
    pods = [f"train-{number}-0" for number in range(0, partitions, max(1, partitions // 20))]
    each = by_query(open_store(url, Route.QUERY), pods, SPEC, end)
    found.append(
        (f"one minute by slo-generator's way, {each * 1000:.0f} ms a partition", Rate(0, 0.0, each * partitions))
    )
    return found


def ours(store: PrometheusStore, start: int, end: int) -> Rate:
    """Read the counters day by day; then read all again and judge, as `slo check` does."""
    begun = time.perf_counter()
    rows = sum(
        len(store.read(GUARANTEE_SECONDS.name, (), at, min(at + DAY, end)).frame) for at in range(start, end, DAY)
    )
    fetched = time.perf_counter() - begun
    begun = time.perf_counter()
    judged = judge(store, [SPEC], start, end)
    judged.need()
    return Rate(rows, fetched, time.perf_counter() - begun)


def few(store: PrometheusStore, start: int, end: int) -> int:
    """Return the bad slices of one namespace: what others must find as well."""
    spec = replace(SPEC, select=(Matcher("namespace", Op.EQUAL, NAMESPACE),))
    (evaluation,) = judge(store, [spec], start, end).evaluations
    return sum(budget.bad for budget in evaluation.partitions.values())


def victoria(folder: Path, partitions: int) -> tuple[str, Rate]:
    """Measure VictoriaMetrics's export on a day of the same data."""
    _say("slicewatch from VictoriaMetrics")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["victoria-metrics", f"-storageDataPath={folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}"]
    command += ["-retentionPeriod=100y", "-loggerLevel=WARN", "-search.latencyOffset=0s"]
    fleet = Fleet(partitions)
    with running("victoria-metrics", command, port, {}, _made(folder) / "log"):
        for first in range(BEGIN, BEGIN + DAY, SPAN):
            spans = fleet.span(first)
            body = "".join(
                text for named, times, found in spans for text in lines(named, list(map(str, times.tolist())), found)
            )
            _post(f"{url}/api/v1/import/prometheus", body.encode())
        urllib.request.urlopen(f"{url}/internal/force_flush").close()  # noqa: S310  # our own server
        store = open_store(url, None)
        return f"slicewatch, {store.route}, a day from VictoriaMetrics", ours(store, BEGIN, BEGIN + DAY)


def tick(folder: Path, series: int) -> str:
    """Measure a live minute: what `slo run` does for each."""
    _say(f"a minute of {series:,} series")
    partitions, minute = series // _OUTCOMES, 60
    blocks(Fleet(partitions), BEGIN, BEGIN + 10 * minute, _made(folder) / "data")
    with prometheus(folder) as url:
        store = open_store(url, None)
        feed = PrometheusFeed(store, Judges([SPEC]))
        at = BEGIN + 6 * minute
        first = timed(lambda: feed.minute(at))
        later = min(timed(partial(feed.minute, at + number * minute)) for number in (1, 2, 3))
        read = min(timed(lambda: store.read_at(GUARANTEE_SECONDS.name, (), at)) for _ in range(3))
    rows = [
        ("the first minute, which reads two and learns all labels", f"{first:.2f} s"),
        ("each later one, infos and promises included", f"{later:.2f} s"),
        ("- of which the counters are fetched and read", f"{read:.2f} s"),
    ]
    return aligned((f"{series:,} series of {partitions:,} partitions, live", "time"), rows)


def rows_table(rows: Sequence[tuple[str, Rate]], partitions: int, days: int) -> str:
    """Return the figures as a table; ratios to prometheus-api-client with pandas."""
    whole = partitions * _OUTCOMES * days * DAY // SCRAPE
    peer = next(rate for name, rate in rows if "pandas" in name)
    assert peer.judged is not None  # noqa: S101  # it is what the others are compared with
    base = whole / peer.rows * peer.judged
    body = []
    for name, rate in rows:
        fetch = f"{rate.rows / rate.fetched / 1e6:.2f}" if rate.rows else "–"
        factor = whole / rate.rows if rate.rows else 1.0
        verdicts = None if rate.judged is None else rate.judged * factor
        told = (
            ("–", f"over {base / (rate.fetched * factor):.1f}")
            if verdicts is None
            else (f"{verdicts:.1f}", f"{base / verdicts:.1f}" if rate.rows else "–")
        )
        body.append((name, f"{rate.rows:,}", fetch, *told))
    head = (
        f"{partitions:,} partitions, {days} d", "rows measured", "fetch, M rows/s", "s to all verdicts", "times pandas"
    )  # fmt: skip
    ratio = base / next(rate.judged for name, rate in rows if Route.REMOTE_READ in name and rate.judged)
    met = "met" if ratio >= GOAL else "NOT met"
    return (
        aligned(head, body)
        + f"\n{met}: at least {GOAL:g} times as fast end to end as prometheus-api-client with pandas; measured {ratio:.0f}\n"
    )


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Run a Prometheus on the folder's data; its compactor leaves the blocks as they are."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        "--storage.tsdb.min-block-duration=2h",
        "--storage.tsdb.max-block-duration=2h",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with running("prometheus", command, port, {}, folder / "log"):
        url = f"http://127.0.0.1:{port}"
        while not _ready(url):
            time.sleep(0.2)
        yield url


def open_store(url: str, route: Route | None) -> PrometheusStore:
    """Return a store that is patient."""
    return connect(Site(url), deadline=_DEADLINE, route=route)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:  # noqa: S310  # our own server
            return bool(answer.status == 200)
    except OSError:
        return False


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body)  # noqa: S310  # our own server
    urllib.request.urlopen(request).close()  # noqa: S310


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _say(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Real stores: every route returns the same samples, to the bit where the store keeps them, and ends of series too."""

from __future__ import annotations

import math
import random
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from slo.prometheus import PrometheusStore, Route, connect
from slo.samples import STALE_BITS, Samples
from slo.spec import Matcher, Op
from tests.slo.prometheus.bad_server import Asked, Reply, serving
from tests.slo.servers import Prometheus, get, prometheus, until, victoria_metrics
from toolkit.errors import UnreachableError
from toolkit.site import site

pytestmark = pytest.mark.real
BASE = 1_700_000_000
HOURS = 30
METRIC = "x_seconds_total"
EXTERNAL = {"global": {"external_labels": {"cluster": "eu", "replica": "a"}}}
NAMES = ["plain", 'quo"te', "back\\slash", '{"metric":{', '"]]},', "é", "with\nline"]
Known = dict[tuple[tuple[str, str], ...], list[tuple[int, int]]]
"""By labels: times in Unix ms and values' bits."""


NORMAL_NAN = 0x7FF8000000000001
"""Go's NaN, which the query API writes as a word."""


def bits(value: float) -> int:
    return NORMAL_NAN if math.isnan(value) else int(np.array([value]).view(np.uint64)[0])


def history() -> dict[str, list[tuple[int, float]]]:
    """Samples by pod: counters, gauges of any value, gaps, one sample only, and times that jitter."""
    random.seed(4)
    found: dict[str, list[tuple[int, float]]] = {}
    for place, pod in enumerate(NAMES):
        at, value, samples = BASE * 1000 + place * 137, 0.0, []
        for number in range(HOURS * 120):
            value += random.choice((30.0, 30.0, 0.0, random.random()))  # noqa: S311  # samples, not secrets
            if not 1000 < number < 1400 * (place % 3):
                samples.append((at, value if number % 501 else math.inf))
            at += 30_000 + (random.randrange(-40, 40) if place % 2 else 0)  # noqa: S311
        found[pod] = samples
    found["NaN"] = [(BASE * 1000, math.nan), (BASE * 1000 + 60_000, -math.inf)]
    return found


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def openmetrics(data: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    lines = ["# TYPE x_seconds gauge"]
    for pod, samples in data.items():
        name = f'x_seconds_total{{job="a",pod="{escaped(pod)}"}}'
        lines += [
            f"{name} {value!r} {at // 1000}.{at % 1000:03d}".replace("inf", "+Inf").replace("-+", "-")
            for at, value in samples
        ]
    return "\n".join([*lines, "# EOF\n"]).replace("# TYPE x_seconds gauge", "# TYPE x_seconds_total unknown")


def known(samples: Samples) -> Known:
    """What was read, for comparing."""
    found: Known = {tuple(sorted(labels.items())): [] for labels in samples.series}
    assert len(found) == len(samples.series)
    names = list(found)
    rows = zip(samples.frame.iter_rows(), samples.frame["v"].to_numpy().view(np.uint64), strict=True)
    for (place, at, value), stored in rows:
        found[names[place]].append((at, STALE_BITS if stored == STALE_BITS else bits(value)))
    return {labels: rows for labels, rows in found.items() if rows}


def within(data: Mapping[str, Sequence[tuple[int, float]]], after: float, end: float, **more: str) -> Known:
    """What should be read."""
    return {
        tuple(sorted({"__name__": METRIC, "job": "a", "pod": pod, **more}.items())): rows
        for pod, samples in data.items()
        if (rows := [(at, bits(value)) for at, value in samples if after * 1000 < at <= end * 1000])
    }


@contextmanager
def open_store(server: Prometheus, route: Route | None = None) -> Iterator[PrometheusStore]:
    found = connect(site(server.url), deadline=30, route=route)
    yield found
    found.close()


@pytest.fixture(scope="module")
def data() -> dict[str, list[tuple[int, float]]]:
    return history()


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory, data: dict[str, list[tuple[int, float]]]) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("blocks"), EXTERNAL, openmetrics=openmetrics(data)) as server:
        yield server


@pytest.fixture(scope="module")
def victoria(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, list[tuple[int, float]]]
) -> Iterator[Prometheus]:
    with victoria_metrics(tmp_path_factory.mktemp("victoria")) as server:
        lines = [
            f'{METRIC}{{job="a",pod="{escaped(pod)}"}} {value!r} {at}'
            for pod, samples in data.items()
            for at, value in samples
        ]
        page = "\n".join(lines).encode()
        request = urllib.request.Request(f"{server.url}/api/v1/import/prometheus", data=page)  # noqa: S310  # our own server
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310
        get(f"{server.url}/internal/force_flush")
        until(lambda: bool(server.query(METRIC, BASE + 60)), "the samples are found")
        yield server


@pytest.mark.parametrize("route", [None, Route.REMOTE_READ, Route.QUERY])
@pytest.mark.parametrize(
    ("after", "end"),
    [
        (BASE - 1, BASE + HOURS * 3600 + 99),
        (BASE, BASE + 30),
        (BASE + 0.137, BASE + 30.137),
        (BASE + 7201.5, BASE + 90_000),
    ],
)
def test_prometheus_gives_every_sample_of_the_range_to_the_bit(
    blocks: Prometheus, data: dict[str, list[tuple[int, float]]], route: Route | None, after: float, end: float
):
    with open_store(blocks, route) as store:
        assert known(store.read(METRIC, (), after, end)) == within(data, after, end, cluster="eu", replica="a")
        assert store.route is (route or Route.REMOTE_READ)
        assert store.name == blocks.url


@pytest.mark.parametrize("route", [Route.REMOTE_READ, Route.QUERY])
@pytest.mark.parametrize(
    "matchers",
    [
        [Matcher("pod", Op.EQUAL, 'quo"te')],
        [Matcher("pod", Op.MATCHES, "p.*|with\nline|{.*")],
        [Matcher("pod", Op.NOT_EQUAL, "back\\slash"), Matcher("job", Op.NOT_MATCHES, "b|c")],
        [Matcher("cluster", Op.EQUAL, "eu"), Matcher("pod", Op.EQUAL, "é")],
        [Matcher("cluster", Op.EQUAL, "us")],
    ],
    ids=str,
)
def test_matchers_select_what_they_say(
    blocks: Prometheus, data: dict[str, list[tuple[int, float]]], route: Route, matchers: list[Matcher]
):
    whole = within(data, BASE, BASE + 600, cluster="eu", replica="a")
    wanted = {
        labels: rows
        for labels, rows in whole.items()
        if all(each.holds(dict(labels).get(each.label, "")) for each in matchers)
    }
    with open_store(blocks, route) as store:
        assert known(store.read(METRIC, matchers, BASE, BASE + 600)) == wanted


@pytest.mark.parametrize("route", list(Route))
def test_a_metric_that_nobody_has_is_no_samples(blocks: Prometheus, victoria: Prometheus, route: Route):
    with open_store(victoria if route is Route.EXPORT else blocks, route) as store:
        assert store.read("nobody", (), BASE, BASE + 600).frame.is_empty()
        assert store.read(METRIC, (), BASE + 600, BASE + 600).frame.is_empty()


@pytest.mark.parametrize("route", [None, Route.EXPORT, Route.QUERY])
def test_victoria_metrics_gives_every_sample_of_the_range(
    victoria: Prometheus, data: dict[str, list[tuple[int, float]]], route: Route | None
):
    after, end = BASE + 7201.5, BASE + 100_000
    with open_store(victoria, route) as store:
        found = known(store.read(METRIC, (), after, end))
        assert store.route is (route or Route.EXPORT)
    wanted = within(data, after, end)
    assert {labels: [at for at, _ in rows] for labels, rows in found.items()} == {
        labels: [at for at, _ in rows] for labels, rows in wanted.items()
    }
    for labels, rows in wanted.items():
        got, put = (
            np.array([value for _, value in each], dtype=np.uint64).view(np.float64) for each in (found[labels], rows)
        )
        np.testing.assert_allclose(got, put, rtol=1e-11, atol=0)  # its blocks keep one exponent


def test_both_routes_of_victoria_metrics_agree_to_the_bit(victoria: Prometheus):
    with open_store(victoria, Route.EXPORT) as left, open_store(victoria, Route.QUERY) as right:
        ends = (BASE + 59.9, BASE + 100_000.137)
        assert known(left.read(METRIC, (), *ends)) == known(right.read(METRIC, (), *ends))


def test_the_newest_samples_are_those_of_the_last_five_minutes(blocks: Prometheus, victoria: Prometheus):
    at = BASE + HOURS * 3600 + 200
    for server, labels in ((blocks, {"cluster": "eu", "replica": "a"}), (victoria, {})):
        with open_store(server) as store:
            found = store.read_at(METRIC, [Matcher("pod", Op.EQUAL, "plain")], at)
            assert [dict(each) for each in found.series] == [{"__name__": METRIC, "job": "a", "pod": "plain", **labels}]
            ((place, time_, value),) = found.frame.rows()
            assert (place, time_) == (0, at * 1000)
            assert value == pytest.approx(history()["plain"][-1][1], rel=1e-11)
            assert store.read_at(METRIC, (), at + 3600).frame.is_empty()


def test_an_expression_is_answered_with_rows(blocks: Prometheus):
    with open_store(blocks) as store:
        (row,) = store.query(f'topk(1, {METRIC}{{pod="NaN"}})', BASE + 61)
        assert row.labels["pod"] == "NaN"
        assert row.value == -math.inf
        assert [row.value for row in store.query("1 + 1", BASE)] == [2.0]
        with pytest.raises(UnreachableError, match=r"answers 400 Bad Request: .*parse error"):
            store.query("sum(", BASE)


def test_more_than_a_server_has_room_for_is_read_in_smaller_pages(
    tmp_path: Path, data: dict[str, list[tuple[int, float]]]
):
    running = prometheus(tmp_path, openmetrics=openmetrics(data), flags=["--query.max-samples=9000"])
    with running as server, open_store(server, Route.QUERY) as store:
        ends = (BASE - 1, BASE + HOURS * 3600 + 99)
        assert known(store.read(METRIC, (), *ends)) == within(data, *ends)


@contextmanager
def scraped(text: list[str]) -> Iterator[str]:
    """A target with this page, until the list is empty: then it fails."""

    def answer(asked: Asked) -> Reply:
        return Reply(body=text[0].encode(), kind="text/plain; version=0.0.4") if text else Reply(503)

    with serving(answer) as target:
        yield target.url.removeprefix("http://")


def scraping(target: str) -> dict[str, object]:
    job = {
        "job_name": "a",
        "scrape_interval": "200ms",
        "scrape_timeout": "200ms",
        "static_configs": [{"targets": [target]}],
    }
    return {"global": {}, "scrape_configs": [job]}


def test_live_samples_and_the_end_of_a_series_are_read_from_prometheus_s_head(tmp_path: Path):
    page = ['x_total{pod="a"} 1.5\nx_total{pod="b"} NaN\n']
    with scraped(page) as target, prometheus(tmp_path, scraping(target)) as server, open_store(server) as store:
        until(lambda: len(server.query("x_total")) == 2, "the target is scraped")
        page[0] = 'x_total{pod="a"} 2.5\n'
        until(lambda: len(server.query("x_total")) == 1, "b is gone")
        page.clear()
        until(lambda: not server.query("x_total"), "a is gone")
        now = time.time()
        assert store.route is Route.REMOTE_READ
        streamed = {
            dict(labels)["pod"]: rows for labels, rows in known(store.read("x_total", (), now - 60, now)).items()
        }
        with open_store(server, Route.QUERY) as other:
            asked = {
                dict(labels)["pod"]: rows for labels, rows in known(other.read("x_total", (), now - 60, now)).items()
            }
    for pod, first in (("a", 1.5), ("b", math.nan)):
        assert streamed[pod][-1][1] == STALE_BITS
        assert asked[pod] == streamed[pod][:-1]
        assert asked[pod][0][1] == bits(first)
    assert asked["a"][-1][1] == bits(2.5)


def test_the_end_of_a_series_is_read_from_victoria_metrics(tmp_path: Path):
    page = ['x_total{pod="a"} 1.5\n']
    with scraped(page) as target:
        config = tmp_path / "scrape.yml"
        config.write_text(
            f"scrape_configs:\n- {{job_name: a, scrape_interval: 1s, static_configs: [{{targets: ['{target}']}}]}}\n"
        )
        with victoria_metrics(tmp_path, [f"-promscrape.config={config}"]) as server, open_store(server) as store:
            until(lambda: bool(server.query("x_total")), "the target is scraped")
            page.clear()
            until(lambda: not server.query("x_total"), "a is gone")
            now = time.time()
            (rows,) = known(store.read("x_total", (), now - 60, now)).values()
            assert store.route is Route.EXPORT
    assert rows[-1][1] == STALE_BITS
    assert rows[0][1] == bits(1.5)

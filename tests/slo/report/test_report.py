"""A report of a period: figures that add up, in HTML and in Markdown, from a store and from a real Prometheus."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from slo import specfile
from slo.report import cli
from slo.report.figures import UNKNOWN, Report, figures
from slo.report.gathered import gather
from tests.slo.check.test_check import Store
from tests.slo.parity.histories import START, Series, openmetrics
from tests.slo.servers import prometheus
from toolkit.errors import ConfigError, UnreachableError

HOURS = 6
END = START + HOURS * 3600
BROKEN_FROM = START + 4 * 3600
NODE = {"node": "n1", "sharing": "time-slicing"}


def line(name: str, labels: dict[str, str], grow: list[tuple[int, int, float]]) -> Series:
    """A counter that grows by a rate from one time to another."""
    found = Series({"__name__": name, **labels})
    for at in range(START, END + 1, 60):
        found.points.append((at, sum(rate * max(0, min(at, until) - since) for since, until, rate in grow)))
    return found


def partition(pod: str, namespace: str, *, robbed: bool, gpu: str = "GPU-1") -> list[Series]:
    """Half of a GPU is promised. It is wanted always; the robbed one loses 60 % of it in the last two hours."""
    mine = {"gpu": gpu, "device": gpu, "namespace": namespace, "pod": pod, "container": "main"}
    guarantee = {**mine, "guarantee": "compute"}
    whole, bad, good = (START, END, 1.0), (BROKEN_FROM, END, 1.0), (START, BROKEN_FROM, 1.0)
    name = "gpu_partition_guarantee_seconds_total"
    spent = {"kept": [good] if robbed else [whole], "broken": [bad] if robbed else [], "idle": [], "blind": []}
    found = [line(name, {**guarantee, "outcome": each}, grow) for each, grow in spent.items()]
    found += [
        line("gpu_partition_share_seconds_total", {**mine, "kind": "promised"}, [(START, END, 0.5)]),
        line(
            "gpu_partition_share_seconds_total",
            {**mine, "kind": "delivered"},
            [(START, BROKEN_FROM, 0.5), (BROKEN_FROM, END, 0.2 if robbed else 0.5)],
        ),
        line(
            "gpu_partition_share_seconds_total",
            {**mine, "kind": "borrowed"},
            [] if robbed else [(BROKEN_FROM, END, 0.3)],
        ),
        Series({"__name__": "gpu_partition_info", **mine, **NODE}, [(at, 1.0) for at in range(START, END + 1, 60)]),
        Series(
            {"__name__": "gpu_partition_promise_info", **mine, "dimension": "compute", "class": "declared"},
            [(at, 1.0) for at in range(START, END + 1, 60)],
        ),
    ]
    if robbed:
        taker = {"neighbour_namespace": "ads", "neighbour_pod": "hog-0"}
        found += [
            line("gpu_partition_lost_seconds_total", {**guarantee, "cause": "neighbour"}, [(BROKEN_FROM, END, 0.6)]),
            line("gpu_partition_lost_to_neighbour_seconds_total", {**guarantee, **taker}, [(BROKEN_FROM, END, 0.6)]),
        ]
    return found


def world() -> list[Series]:
    states = {"delivered": [(START, BROKEN_FROM, 1.0), (BROKEN_FROM, END, 0.7)], "borrowed": [(BROKEN_FROM, END, 0.3)]}
    return [
        *partition("chat-0", "ml", robbed=True),
        *partition("hog-0", "ads", robbed=False),
        *(line("gpu_accounted_seconds_total", {"gpu": "GPU-1", "state": s}, grow) for s, grow in states.items()),
    ]


def reported(found: list[Series]) -> Report:
    return figures(gather(Store(found), specfile.shipped(), START, END))


def test_compliance_is_that_of_the_minutes():
    (row,) = [one for one in reported(world()).kept if (one.slo, one.objective) == ("compute", "shared")]
    assert (row.budget.bad, row.budget.good) == (120, 600)
    assert row.budget.remaining == pytest.approx(1 - 120 / (720 * 0.05))
    assert (row.pages, row.tickets) == (0, 2)  # a fast burn and a slow one


def test_a_budget_is_spent_by_its_causes_up_to_what_is_left():
    report = reported(world())
    (burn,) = [one for one in report.burns if one.slo == "compute"]
    (row,) = [one for one in report.kept if (one.slo, one.objective) == ("compute", "shared")]
    assert list(burn.spent) == ["neighbour"]
    assert row.budget.remaining is not None
    assert burn.spent["neighbour"][-1] == pytest.approx(1 - row.budget.remaining)
    before = [spent for end, spent in zip(burn.ends, burn.spent["neighbour"], strict=True) if end <= BROKEN_FROM]
    assert before
    assert not any(before)


def test_what_was_lost_without_a_cause_on_record_is_unknown():
    found = [one for one in world() if "lost" not in one.labels["__name__"]]
    (burn,) = [one for one in reported(found).burns if one.slo == "compute"]
    assert list(burn.spent) == [UNKNOWN]


def test_the_worst_have_names_and_takers():
    (worst,) = reported(world()).worst
    assert (worst.who.pod, worst.klass, str(worst.blame)) == ("chat-0", "declared", "neighbour ads/hog-0 100%")


def test_fairness_is_jains_index_with_the_least_beside_it():
    (row,) = reported(world()).fairness
    got = 1 - 0.6 * 7200 / (HOURS * 3600)
    assert (row.gpu, row.partitions, row.who) == ("GPU-1", 2, "ml/chat-0")
    assert row.least == pytest.approx(got)
    assert row.jain == pytest.approx((1 + got) ** 2 / (2 * (1 + got**2)))


def test_a_gpu_of_one_tenant_has_no_fairness():
    assert reported(partition("a", "ml", robbed=True)).fairness == ()


def test_bills_add_up_and_physical_hours_are_all_hours():
    report = reported(world())
    ads, ml = sorted(report.bills, key=lambda one: one.namespace)
    assert (ml.promised, ml.delivered, ml.borrowed) == pytest.approx((3.0, 2.4, 0.0))
    assert ml.broken == pytest.approx(0.5 * 0.6 * 2)
    assert ml.idle_held == pytest.approx(0.0)
    assert ml.delivered + ml.broken + ml.idle_held == pytest.approx(ml.promised)
    assert (ads.promised, ads.delivered, ads.borrowed, ads.broken) == pytest.approx((3.0, 3.0, 0.6, 0.0))
    assert sum(report.gpu_hours.values()) == pytest.approx(HOURS)


def write(found: list[Series], *flags: str) -> str:
    out = io.StringIO()
    argv = ["--prometheus=http://p", f"--at={END}", f"--since={HOURS}h", *flags]
    assert cli.main(argv, {}, out, connected=lambda _flags: Store(found), now=lambda: float(END)) == 0
    return out.getvalue()


class Reader(HTMLParser):
    """Text and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_html_stands_alone_and_says_the_figures():
    page = write(world(), "--rate=2.5", "--currency=€")
    reader = Reader()
    reader.feed(page)
    assert reader.tags.count("svg") == 2
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "ml/chat-0" in reader.words
    assert "€1.50" in reader.words
    assert not re.search(r"(?:href|src)=.https?:", page)
    assert page == write(world(), "--rate=2.5", "--currency=€")


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "a|b`c*d\n## e", '"><img src=x>'])
def test_names_of_tenants_are_no_markup(evil: str, tmp_path: Path):
    found = partition(evil, "ml", robbed=True)
    reader = Reader()
    page = write(found)
    reader.feed(page)
    assert not {"script", "img"} & set(reader.tags)
    write(found, f"--output={tmp_path / 'r.md'}")
    text = (tmp_path / "r.md").read_text()
    (row,) = [line for line in text.splitlines() if "declared" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 9
    assert "<script" not in text
    assert "\n## e" not in text


def test_markdown_has_its_plots_beside_it(tmp_path: Path):
    write(world(), f"--output={tmp_path / 'week.md'}")
    text = (tmp_path / "week.md").read_text()
    plots = re.findall(r"\]\(([^)]+\.svg)\)", text)
    assert plots == ["week-compute-shared.svg", "week-gpu-hours.svg"]
    for plot in plots:
        assert ET.parse(tmp_path / plot).getroot().tag.endswith("svg")  # noqa: S314  # our own file
    assert "| ml/chat-0 |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


@pytest.mark.real
def test_a_real_prometheus_gives_the_same_figures(tmp_path: Path):
    argv = [f"--at={END}", f"--since={HOURS}h"]
    out = io.StringIO()
    with prometheus(tmp_path, openmetrics=openmetrics(world())) as server:
        cli.main([f"--prometheus={server.url}", *argv], {}, out, now=lambda: float(END))
        assert out.getvalue().replace(server.url, "http://prometheus:9090") == write(world())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--format=markdown"], "--output is missing"),
        (["--rate=much"], '--rate: "much"; expected a number'),
        (["--rate=-1"], "--rate"),
        (["--output=/nowhere/at/all.html"], "/nowhere/at/all.html: cannot be written"),
    ],
)
def test_wrong_usage_is_refused(flags: list[str], said: str):
    with pytest.raises(ConfigError, match=re.escape(said)):
        write(world(), *flags)


def test_nothing_to_report_on_is_told():
    with pytest.raises(UnreachableError, match="no counters"):
        write([])

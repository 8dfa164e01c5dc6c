"""Without a Prometheus: pages, scrapes and the history in Parquet, against the library, real exporters and crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.catalogue import LOST_SECONDS, CauseKey
from exporter.exposition import Writer, family
from slo import specfile
from slo.embedded.page import WANTED, Pages
from slo.embedded.reader import ParquetReader, opened
from slo.embedded.scrape import Scraper, Target
from slo.embedded.store import ParquetHistory
from slo.embedded.targets import Places, Watched
from slo.run.exporters_feed import ExportersFeed
from slo.run.judge import COUNTER, Judges
from slo.samples import SCHEMA, Samples
from slo.spec import Matcher, Op
from tests.e2e.rig import ROOT, Exporter, environment
from toolkit.errors import ConfigError, UnreachableError
from toolkit.site import site

AT = 1_700_000_040 // 3600 * 3600
DAY = 86400.0


def as_rows(found: Samples) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(found.series[number].items())): value
        for number, value in found.frame.select("series", "v").iter_rows()
    }


@given(st.lists(st.tuples(st.text(max_size=12), st.floats(allow_nan=False, allow_infinity=False)), max_size=5))
def test_a_page_is_read_as_the_client_library_reads_it(rows: list[tuple[str, float]]):
    keys = {
        CauseKey("G", "D", "ns", text.encode("utf-8", "replace").decode(), "c", "compute", "x"): v for text, v in rows
    }
    page = Writer().render([family(LOST_SECONDS, [(key, abs(value)) for key, value in keys.items()])]).openmetrics
    expected = {
        tuple(sorted({**sample.labels, "__name__": sample.name, "instance": "i"}.items())): sample.value
        for one in text_string_to_metric_families(page.decode())
        for sample in one.samples
    }
    assert as_rows(Pages("p", {"instance": "i"}).read(page, AT)) == expected


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"", "no slicewatch exporter's page"),
        (b"<html>hello</html>", "no slicewatch exporter's page"),
        (b"# TYPE gpu_partition_info gauge\ngpu_partition_info{gpu=", "the page was cut off"),
        (b'gpu_partition_info{gpu="G"} one\n# EOF\n', "is no value of gpu_partition_info"),
    ],
)
def test_what_is_no_whole_page_is_told_in_a_line(page: bytes, said: str):
    with pytest.raises(UnreachableError, match=said) as caught:
        Pages("http://n1:9945", {}).read(page, AT)
    assert str(caught.value).startswith("http://n1:9945: ")


def test_a_name_of_a_tenant_cannot_make_a_sample():
    evil = 'x"} 1\ngpu_partition_info{gpu="forged"} 1'
    key = CauseKey("G", "D", "ns", evil, "c", "compute", "x")
    page = Writer().render([family(LOST_SECONDS, [(key, 1.0)])]).openmetrics
    (labels,) = Pages("p", {}).read(page, AT).series
    assert labels["pod"] == evil


def samples(at: int, **values: float) -> Samples:
    series = tuple({"__name__": COUNTER, "pod": pod} for pod in values)
    frame = pl.DataFrame(
        {"series": range(len(values)), "t": [at * 1000] * len(values), "v": list(values.values())}, schema=SCHEMA
    )
    return Samples(series, frame)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[ParquetHistory]:
    found = ParquetHistory(tmp_path / "h", DAY)
    yield found
    found.close()


def points(found: Samples) -> list[tuple[str, int, float]]:
    rows = found.frame.iter_rows()
    return sorted((found.series[number]["pod"], at // 1000 - AT, value) for number, at, value in rows)


def test_what_was_kept_is_read_back(history: ParquetHistory):
    for minute in range(3):
        history.append(AT + minute * 60, samples(AT + minute * 60, a=minute, b=-minute))
    assert points(history.read(COUNTER, (), AT, AT + 120)) == [
        ("a", 60, 1),
        ("a", 120, 2),
        ("b", 60, -1),
        ("b", 120, -2),
    ]
    assert points(history.read(COUNTER, (), AT + 60, AT + 120)) == [("a", 120, 2), ("b", 120, -2)]
    only = history.read(COUNTER, (Matcher("pod", Op.EQUAL, "b"),), AT - 1, AT)
    assert points(only) == [("b", 0, 0)]
    assert points(history.read_at(COUNTER, (), AT + 100)) == [("a", 60, 1), ("b", 60, -1)]
    assert points(history.read("other", (), AT - 1, AT + 999)) == []


def test_hours_are_put_together_and_read_the_same(history: ParquetHistory, tmp_path: Path):
    for minute in range(130):
        history.append(AT + minute * 60, samples(AT + minute * 60, a=minute))
    assert sorted(path.name for path in (tmp_path / "h/hours").iterdir()) == [f"{AT}.parquet", f"{AT + 3600}.parquet"]
    assert len(list((tmp_path / "h/minutes").iterdir())) == 10
    assert [at for _, at, _ in points(history.read(COUNTER, (), AT + 600, AT + 720))] == [660, 720]
    assert points(history.read(COUNTER, (), AT - 1, AT + 99999)) == [
        ("a", minute * 60, minute) for minute in range(130)
    ]


def test_what_a_crash_left_twice_is_read_once(history: ParquetHistory, tmp_path: Path):
    history.append(AT, samples(AT, a=0))
    saved = (tmp_path / f"h/minutes/{AT}.parquet").read_bytes()
    for minute in range(1, 61):
        history.append(AT + minute * 60, samples(AT + minute * 60, a=minute))
    (tmp_path / f"h/minutes/{AT}.parquet").write_bytes(saved)  # its minutes were not all gone yet
    (tmp_path / "h/minutes/77.new").write_bytes(b"half")
    assert points(history.read(COUNTER, (), AT - 1, AT + 60)) == [("a", 0, 0), ("a", 60, 1)]


def test_what_is_older_than_the_retention_goes(tmp_path: Path):
    history = ParquetHistory(tmp_path, 7200)
    for minute in range(0, 300, 10):
        history.append(AT + minute * 60, samples(AT + minute * 60, a=minute))
    assert points(history.read(COUNTER, (), AT - 1, AT + 99999))[0][1] >= 3600
    history.close()


def test_a_damaged_file_is_put_aside_and_the_rest_is_read(history: ParquetHistory, tmp_path: Path):
    history.append(AT, samples(AT, a=1))
    history.append(AT + 60, samples(AT + 60, a=2))
    (tmp_path / f"h/minutes/{AT}.parquet").write_bytes(b"nothing")
    assert points(history.read(COUNTER, (), AT - 1, AT + 60)) == [("a", 60, 2)]
    assert (tmp_path / f"h/minutes/{AT}.damaged").exists()


def test_a_command_reads_beside_the_writer(history: ParquetHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for minute in range(59):
        history.append(AT + minute * 60, samples(AT + minute * 60, a=minute))
    reader = opened(tmp_path / "h")
    listed = ParquetReader.files

    def files(self: ParquetReader) -> list[tuple[Path, int, int]]:
        found = listed(self)
        monkeypatch.undo()  # once: the hour is put together between the listing and the reading
        for minute in (59, 60):
            history.append(AT + minute * 60, samples(AT + minute * 60, a=minute))
        return found

    monkeypatch.setattr(ParquetReader, "files", files)
    assert [at for _, at, _ in points(reader.read(COUNTER, (), AT - 1, AT + 9999))] == [60 * n for n in range(61)]


def test_a_command_does_not_touch_a_damaged_file(history: ParquetHistory, tmp_path: Path):
    history.append(AT, samples(AT, a=1))
    damaged = tmp_path / f"h/minutes/{AT}.parquet"
    damaged.write_bytes(b"nothing")
    with pytest.raises(UnreachableError, match=f"^{damaged}: cannot be read: .*; move it away"):
        opened(tmp_path / "h").read(COUNTER, (), AT - 1, AT)
    assert damaged.read_bytes() == b"nothing"


def test_a_folder_without_history_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match=f"^{tmp_path}: no history is there"):
        opened(tmp_path)


def test_a_second_process_is_refused(history: ParquetHistory, tmp_path: Path):
    with pytest.raises(ConfigError, match="another process keeps its history there"):
        ParquetHistory(tmp_path / "h", DAY)
    assert history.name == str(tmp_path / "h")


def test_a_full_disk_is_told_and_damages_nothing(history: ParquetHistory, monkeypatch: pytest.MonkeyPatch):
    history.append(AT, samples(AT, a=1))

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnreachableError, match="No space left on device"):
        history.append(AT + 60, samples(AT + 60, a=2))
    monkeypatch.undo()
    assert points(history.read(COUNTER, (), AT - 1, AT + 99)) == [("a", 0, 1)]
    assert list(Path(history.name).glob("minutes/*.new")) == []


WRITER = """
import sys
from pathlib import Path
from tests.slo.embedded.test_embedded import AT, DAY, ParquetHistory, samples
history = ParquetHistory(Path(sys.argv[1]), DAY)
minute = int(sys.argv[2])
while True:
    history.append(AT + minute * 60, samples(AT + minute * 60, a=minute))
    print(minute, flush=True)
    minute += 1
"""


@pytest.mark.timeout(120)
def test_a_kill_at_any_moment_loses_nothing_that_was_kept(tmp_path: Path):
    last = -1
    for round_ in range(6):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(last + 1)]
        with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(20 + round_ * 13):
                last = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        last = int(rest[-1]) if rest else last
        history = ParquetHistory(tmp_path, DAY)
        found = [at // 60 for _, at, _ in points(history.read(COUNTER, (), AT - 1, AT + 10_000_000))]
        history.close()
        assert found[: last + 1] == list(range(last + 1))
        assert len(found) <= last + 2
        last = found[-1]
    assert last > 120


@contextmanager
def serving(body: bytes, wait: float = 0.0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            time.sleep(wait)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


GOOD = b'gpu_partition_info{gpu="G",pod="p"} 1.0\n# EOF\n'


def test_one_that_hangs_or_lies_costs_nobody_elses_minute():
    with serving(GOOD) as good, serving(GOOD, wait=3) as slow, serving(b"hello") as liar:
        urls = [good, slow, liar, "http://127.0.0.1:9"]
        scraper = Scraper([Target(site(url), {"cluster": "eu"}) for url in urls], deadline=1.0)
        begun = time.monotonic()
        found = scraper.round(AT)
        assert time.monotonic() - begun < 2.5
        scraper.close()
    assert [labels["instance"] for labels in found.series] == [good.removeprefix("http://")]
    assert found.series[0]["cluster"] == "eu"
    assert [bool(one.error) for one in scraper.health] == [False, True, True, True]


def test_when_nobody_answers_it_is_told_of_each():
    scraper = Scraper([Target(site("http://127.0.0.1:9"))], deadline=1.0)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        scraper.round(AT)
    scraper.close()


def test_exporters_are_named_in_a_file_that_may_change(tmp_path: Path):
    file = tmp_path / "targets.json"
    file.write_text('[{"targets": ["n1:9945", "https://n2:9945"], "labels": {"cluster": "eu", "__meta": "x"}}]')
    watched = Watched(Places(("http://n0:9945",), file))
    assert [one.site.url for one in watched.targets] == ["http://n0:9945", "http://n1:9945", "https://n2:9945"]
    assert watched.targets[1].labels == {"cluster": "eu"}
    assert watched.changed() is None
    file.write_text('[{"targets": ["n3:9945"]}]')
    assert [one.site.url for one in watched.changed() or ()] == ["http://n0:9945", "http://n3:9945"]
    file.write_text("[{")
    assert watched.changed() is None
    assert len(watched.targets) == 2


def test_a_file_of_exporters_with_faults_is_refused_with_their_places(tmp_path: Path):
    file = tmp_path / "targets.yaml"
    file.write_text("- targets: ['n1:9945']\n  lables: {a: b}\n- labels: {a-b: c}\n")
    with pytest.raises(ConfigError) as caught:
        Places((), file).targets()
    assert [line.removeprefix(str(file)).split(": ")[0] for line in caught.value.problems] == [":2:3", ":3:3", ":3:17"]


@pytest.mark.real
def test_a_real_exporter_is_scraped_and_judged(tmp_path: Path):
    argv = ["slicewatch", "exporter", "--source=simulator", "--simulator.scenario=mig-mixed", "--tick=200ms"]
    with Exporter(tmp_path, [*argv, "--web.listen-address=127.0.0.1:0"]) as exporter:
        exporter.ready()
        url = f"http://{exporter.address}"
        judges = Judges(specfile.shipped())
        history = ParquetHistory(tmp_path / "h", DAY)
        feed = ExportersFeed(Watched(Places((url,), None)), history, judges, wall=lambda: float(AT + 65))
        assert feed.minute(AT) > 0
        before = feed.minute(AT + 60)
        page = exporter.scrape()
        assert before == len(page.samples["gpu_partition_info"])
        kept = history.read("gpu_partition_info", (), AT, AT + 60)
        own = {frozenset(labels.items()) for labels in kept.series}
        assert own == {
            labels | {("__name__", "gpu_partition_info"), ("instance", exporter.address)}
            for labels in page.samples["gpu_partition_info"]
        }
        assert {labels["__name__"] for labels in history.read(COUNTER, (), AT, AT + 60).series} == {COUNTER}
        assert set(WANTED) >= {COUNTER}
        assert [row.up for row in feed.targets()] == [True]
        assert feed.minute(AT - 600) == 0  # long over
        history.close()

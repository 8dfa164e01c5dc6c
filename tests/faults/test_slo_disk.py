"""`slo run` and its disk: pages go out whatever becomes of the history and of the journal, and it says what it cannot keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slo import specfile
from slo.embedded.store import ParquetHistory
from slo.embedded.targets import Places, Watched
from slo.run.exporters_feed import ExportersFeed
from slo.run.judge import COUNTER, Judges
from slo.run.loop import Clock, Loop
from slo.run.status import Status
from tests.e2e.rig import ROOT, environment
from tests.slo.embedded.test_embedded import AT, DAY, points, samples, serving
from tests.slo.run.test_loop import Feed, Judge, Teller, answers
from toolkit.errors import UnreachableError

MINUTE = 60
PAGE = (
    b'gpu_partition_guarantee_seconds_total{gpu="G",device="G",namespace="n",pod="p",container="c",'
    b'guarantee="availability",outcome="kept"} 7.0\n# EOF\n'
)


def _full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    return monkeypatch.undo


def _taken_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """As a disk that can neither be written nor tidied: whatever is asked of the folder is an error."""
    minutes = folder / "minutes"
    minutes.rename(folder / "away")
    minutes.write_bytes(b"")

    def back() -> None:
        minutes.unlink()
        (folder / "away").rename(minutes)

    return back


@pytest.fixture
def exporter() -> Iterator[str]:
    with serving(PAGE) as url:
        yield url


@pytest.mark.parametrize(
    ("spoil", "said"), [(_full, "No space left on device"), (_taken_away, "Not a directory")], ids=["full", "gone"]
)
def test_minutes_that_cannot_be_kept_are_judged_all_the_same_and_it_is_said(
    exporter: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path, pytest.MonkeyPatch], Callable[[], None]],
    said: str,
):
    clock = [float(AT)]
    history = ParquetHistory(tmp_path / "h", DAY)
    feed = ExportersFeed(Watched(Places((exporter,), None)), history, Judges(specfile.shipped()), lambda: clock[0])

    def minute() -> int:
        clock[0] += MINUTE
        return feed.minute(int(clock[0]))

    assert minute() == 1
    restore = spoil(tmp_path / "h", monkeypatch)
    assert [minute() for _ in range(3)] == [1, 1, 1]
    assert feed.trouble == f"{tmp_path / 'h'}: cannot be written: {said}"
    assert sum("history is not kept" in record.message for record in caplog.records) == 1
    restore()
    assert minute() == 1
    assert feed.trouble == ""
    found = history.read(COUNTER, (), AT, AT + 10 * MINUTE)
    assert sorted(found.frame["t"].to_list()) == [(AT + MINUTE) * 1000, (AT + 5 * MINUTE) * 1000]
    history.close()


def test_a_damaged_minute_costs_its_hour_nothing_else_when_minutes_are_put_together(tmp_path: Path):
    history = ParquetHistory(tmp_path / "h", DAY)
    for minute in range(60):
        history.append(AT + minute * MINUTE, samples(AT + minute * MINUTE, a=minute))
    (tmp_path / "h/minutes" / f"{AT + 600}.parquet").write_bytes(b"nothing")
    history.append(AT + 3600, samples(AT + 3600, a=60))
    found = [at for _, at, _ in points(history.read(COUNTER, (), AT - 1, AT + 9999))]
    assert found == [minute * MINUTE for minute in range(61) if minute != 10]
    history.close()


def test_what_is_older_than_the_retention_goes_from_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    history = ParquetHistory(tmp_path / "h", 7200)
    history.append(AT + MINUTE, samples(AT + MINUTE, a=1))
    history.append(AT + 4 * 3600 - MINUTE, samples(AT + 4 * 3600 - MINUTE, a=2))
    restore = _full(tmp_path / "h", monkeypatch)
    with pytest.raises(UnreachableError):
        history._compact(AT + 4 * 3600)
    restore()
    assert [path.stem for path, _, _ in history.files()] == [str(AT + 4 * 3600 - MINUTE)]
    history.close()


def test_on_a_disk_that_is_really_full_what_was_kept_is_whole_and_both_say_so(tmp_path: Path):
    """On a file system of 300 KiB of its own, for which this process has to be allowed to mount."""
    script = (
        f"mount -t tmpfs -o size=300k tmpfs {tmp_path} && exec {sys.executable} -m tests.faults.full_disk {tmp_path}"
    )
    apart = ["unshare", "--mount", "sh", "-c"]
    if subprocess.run([*apart, f"mount -t tmpfs tmpfs {tmp_path}"], capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system of its own: it needs CAP_SYS_ADMIN")
    done = subprocess.run([*apart, script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "No space left on device" in told["error"]
    assert told["read"] >= told["kept"] > 0
    assert told["drafts"] == 0
    assert "database or disk is full" in told["trouble"]
    assert told["after"] is None


class Defective(Feed):
    """Meets a defect of ours, as often as it is told to."""

    left = 2

    def minute(self, at: int) -> int:
        if self.left:
            self.left -= 1
            raise ZeroDivisionError("a defect")
        return super().minute(at)


def test_a_defect_in_a_minute_ends_neither_the_loop_nor_anybodys_page(caplog: pytest.LogCaptureFixture):
    feed, teller, stop = Defective(), Teller(), threading.Event()
    wall = [float(AT + 5)]

    def wait(event: threading.Event, seconds: float) -> bool:
        wall[0] += max(seconds, 1.0)
        return event.is_set()

    def published(status: Status) -> None:
        if status.at:
            stop.set()

    Loop(feed, Judge(), teller, answers, Clock(lambda: wall[0], wait)).run(stop, remember=0, published=published)
    assert feed.minutes
    assert [hold for _, hold in teller.told] == [True, True, False]
    assert sum(bool(record.exc_info) for record in caplog.records) == 2


def test_a_defect_in_what_is_published_does_not_end_the_loop():
    feed, stop, wall = Feed(), threading.Event(), [float(AT + 5)]
    seen: list[int] = []

    def wait(event: threading.Event, seconds: float) -> bool:
        wall[0] += max(seconds, 1.0)
        return event.is_set()

    def published(status: Status) -> None:
        seen.append(status.at)
        if len(seen) == 1:
            raise json.JSONDecodeError("a defect", "", 0)
        stop.set()

    Loop(feed, Judge(), Teller(), answers, Clock(lambda: wall[0], wait)).run(stop, remember=0, published=published)
    assert seen == [AT, AT + MINUTE]

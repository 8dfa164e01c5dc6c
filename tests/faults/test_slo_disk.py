"""`slo run` and its disk: pages go out whatever becomes of the history and of the journal, and it says what it cannot keep."""

from __future__ import annotations

import json
import os
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
from tests.slo.embedded.test_embedded import AT, DAY, points, samples, serving
from tests.slo.run.test_loop import Feed, Judge, Teller, answers

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
    kept = feed.targets()[-1]
    assert (kept.url, kept.up) == (str(tmp_path / "h"), False)
    assert said in kept.error
    assert sum("history is not kept" in record.message for record in caplog.records) == 1
    restore()
    assert minute() == 1
    assert [row.up for row in feed.targets()] == [True, True]
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

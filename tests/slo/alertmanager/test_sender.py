"""A round: every peer told, whatever one of them does; the order of states; what the report says."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from slo.alertmanager import storm
from slo.alertmanager.journal import Journal
from slo.alertmanager.peer import peer
from slo.alertmanager.sender import Sender
from slo.alertmanager.settings import Settings
from slo.verdicts import AlertName
from tests.slo.alertmanager.bad_peer import BadPeer, bad_peer, refusing, say, silent
from tests.slo.alertmanager.made import ANSWER, T0, answers, firing, other, spec, told
from tests.slo.servers import free_port, until
from toolkit.errors import UnreachableError

QUICK = Settings(deadline=0.5, patience=3.0, backoff=0.05, backoff_most=0.1, watchdog=False)


@contextlib.contextmanager
def sender(*urls: str, settings: Settings = QUICK, journal: Journal | None = None) -> Iterator[Sender]:
    found = Sender([peer(url) for url in urls], journal or Journal.memory(), [spec()], settings)
    try:
        yield found
    finally:
        found.close()


def alerts(bad: BadPeer) -> list[dict[str, Any]]:
    return [alert for request in list(bad.requests) for alert in request.alerts]


def test_a_new_alert_goes_at_once_and_again_each_minute_with_its_end_moved():
    with bad_peer(say("200 OK")) as good, sender(good.url) as mine:
        report = mine.sync([firing()], T0, answers=answers)
        assert (report.sent, report.failed, report.active, report.peers[0].up) == (1, 0, 1, True)
        assert mine.sync([firing()], T0 + 20, answers=answers).sent == 0
        assert mine.sync([firing()], T0 + 59, answers=answers).sent == 1
        first, second = alerts(good)
        assert first["startsAt"] == second["startsAt"] == "2023-11-14T22:13:20.000Z"
        assert first["endsAt"][:19] == "2023-11-14T22:17:20"
        assert second["endsAt"][:19] == "2023-11-14T22:18:19"
        assert first["labels"]["pod"] == "train-7"


def test_an_end_and_a_new_beginning_do_not_wait_for_the_minute():
    with bad_peer(say("200 OK")) as good, sender(good.url) as mine:
        for at, fires in ((0, True), (5, False), (10, False), (15, True)):
            mine.sync([firing(since=T0 + at)] if fires else [], T0 + at, answers=answers)
        assert [alert["endsAt"][14:19] for alert in alerts(good)] == ["17:20", "13:25", "17:35"]
        assert alerts(good)[-1]["startsAt"][14:19] == "13:35"


def test_a_peer_that_is_given_time_costs_a_round_none_and_one_that_is_well_no_work():
    settings = Settings(deadline=1.0, patience=20.0, backoff=0.3, backoff_most=60.0, watchdog=False)
    with bad_peer(say("503 Unavailable")) as bad, sender(bad.url, settings=settings) as mine:
        for at in range(3):
            mine.sync([firing()], T0 + at, answers=answers)
            time.sleep(0.4)
        start = time.monotonic()
        assert mine.sync([firing()], T0 + 60, answers=answers).failed == 1
        assert time.monotonic() - start < 0.3
        bad.act = say("200 OK")
        until(lambda: mine.sync([firing()], T0 + 61, answers=answers).failed == 0, "it is well again")
        start = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - start < 0.25


def test_an_alert_that_ends_is_resolved_and_said_again_for_a_quarter_of_an_hour():
    with bad_peer(say("200 OK")) as good, sender(good.url) as mine:
        mine.sync([firing()], T0, answers=answers)
        reports = [mine.sync([], T0 + 60 * minute, answers=answers) for minute in range(1, 20)]
        assert (reports[0].active, reports[0].resolved, reports[-1].resolved) == (0, 1, 0)
        resolved = alerts(good)[1:]
        assert len(resolved) == 15
        assert {alert["endsAt"] for alert in resolved} == {"2023-11-14T22:14:20.000Z"}


def test_a_slow_and_a_dead_peer_delay_nobody_else():
    settings = Settings(deadline=5.0, patience=0.5, watchdog=False)
    dead = f"http://127.0.0.1:{free_port()}"
    with (
        bad_peer(say("200 OK")) as good,
        bad_peer(silent) as slow,
        sender(slow.url, dead, good.url, settings=settings) as mine,
    ):
        start = time.monotonic()
        report = mine.sync([firing()], T0, answers=answers)
        assert time.monotonic() - start < 2
        assert (report.sent, report.failed) == (1, 0)
        assert [status.up for status in report.peers] == [None, False, True]
        assert report.peers[1].error == "Connection refused"
        assert len(alerts(good)) == 1
        mine.sync([firing(), firing("other")], T0 + 1, answers=answers)
        assert len(alerts(good)) == 2


def test_nobody_taking_an_alert_is_a_failure_until_somebody_does():
    with bad_peer(say("503 Unavailable")) as bad, sender(bad.url) as mine:
        report = mine.sync([firing()], T0, answers=answers)
        assert (report.sent, report.failed, report.peers[0].error) == (0, 1, "answered 503 and said: nothing more")
        bad.act = say("200 OK")
        until(lambda: mine.sync([firing()], T0 + 1, answers=answers).failed == 0, "the lane tries again by itself")
        assert mine.counts.failed >= 1


def test_an_end_that_was_taken_once_is_no_failure_later():
    with bad_peer(say("200 OK")) as good, sender(good.url) as mine:
        mine.sync([firing()], T0, answers=answers)
        mine.sync([], T0 + 60, answers=answers)
        good.act = say("503 Unavailable")
        report = mine.sync([], T0 + 500, answers=answers)
        assert (report.failed, report.peers[0].up) == (0, False)


def test_what_is_forgotten_while_a_peer_still_reads_of_it_is_told_anew_when_it_fires_again():
    reading, going_on = threading.Event(), threading.Event()

    def slow(connection: Any, request: Any) -> bool:
        reading.set()
        going_on.wait(5)
        return say("200 OK")(connection, request)

    settings = Settings(deadline=10.0, patience=0.2, resolved_for=0, watchdog=False)
    with bad_peer(slow) as good, sender(good.url, settings=settings) as mine:
        mine.sync([firing()], T0, answers=answers)
        assert reading.wait(5)
        mine.sync([], T0 + 1, answers=answers)
        going_on.set()
        until(lambda: mine.sync([], T0 + 2, answers=answers).peers[0].up is True, "the peer has read")
        mine.sync([firing()], T0 + 3, answers=answers)
        until(lambda: len(alerts(good)) == 2, "it is told again")


def test_a_thousand_pods_that_come_and_go_are_not_remembered_for_ever():
    with bad_peer(say("200 OK")) as good, sender(good.url, settings=Settings(cap=5000)) as mine:
        for at in range(5):
            mine.sync([firing(f"p{at}-{n}") for n in range(100)], T0 + 1000 * at, answers=answers)
        (lane,) = mine._lanes.values()
        assert (
            len(lane.state().accepted) == len(mine._entries) == 201
        )  # those that fire, the last that ended, the watchdog


def test_a_peer_that_comes_back_hears_the_newest_only():
    with bad_peer(say("503 Unavailable")) as bad, sender(bad.url) as mine:
        mine.sync([firing("a"), firing("b")], T0, answers=answers)
        mine.sync([firing("b")], T0 + 60, answers=answers)
        bad.requests.clear()
        bad.act = say("200 OK")
        until(lambda: mine.sync([firing("b")], T0 + 61, answers=answers).failed == 0, "the peer is told")
        (request, *_) = [request for request in bad.requests if len(request.alerts) == 2]
        by_pod = {alert["labels"]["pod"]: alert["endsAt"] for alert in request.alerts}
        assert by_pod["a"] == "2023-11-14T22:14:20.000Z"  # it began and ended while nobody listened
        assert by_pod["b"] > "2023-11-14T22:18"


def test_the_refused_alert_of_a_batch_is_named_once_and_all_others_arrive(caplog: pytest.LogCaptureFixture):
    kept: list[dict[str, Any]] = []
    with bad_peer(refusing(lambda labels: labels.get("pod") == "p13", kept)) as bad, sender(bad.url) as mine:
        pods = [firing(f"p{n}") for n in range(40)]
        report = mine.sync(pods, T0, answers=answers)
        assert (report.sent, report.failed) == (39, 0)
        assert [labels["pod"] for labels in report.refused] == ["p13"]
        assert {alert["labels"]["pod"] for alert in kept} == {f"p{n}" for n in range(40)} - {"p13"}
        posts = len(bad.requests)
        assert posts < 2 * 7 + 2
        report = mine.sync(pods, T0 + 60, answers=answers)
        assert len(bad.requests) == posts + 1  # it is left out now
        assert [labels["pod"] for labels in report.refused] == ["p13"]
    said = [record for record in caplog.records if "refuses" in record.message]
    assert len(said) == 1


def test_after_a_start_nothing_ends_before_a_complete_evaluation_says_so(tmp_path: Path):
    with bad_peer(say("200 OK")) as good:
        with sender(good.url, journal=Journal.open(tmp_path / "j")) as first:
            first.sync([firing()], T0, answers=answers)
        good.requests.clear()
        with sender(good.url, journal=Journal.open(tmp_path / "j")) as second:
            second.sync([], T0 + 60, answers=answers, hold=True)
            (alert,) = alerts(good)
            assert alert["endsAt"][:19] == "2023-11-14T22:18:20"
            assert alert["annotations"]["summary"].startswith("ml/train-7 was promised 0.25")
            second.sync([firing(since=T0 + 90)], T0 + 120, answers=answers)
            assert alerts(good)[-1]["startsAt"] == "2023-11-14T22:13:20.000Z"
            second.sync([], T0 + 180, answers=answers)
            assert alerts(good)[-1]["endsAt"] == "2023-11-14T22:16:20.000Z"


def test_what_a_peer_took_is_not_sent_again_at_once_after_a_start(tmp_path: Path):
    with bad_peer(say("200 OK")) as one, bad_peer(say("503 No")) as two:
        with sender(one.url, two.url, journal=Journal.open(tmp_path / "j")) as first:
            first.sync([firing()], T0, answers=answers)
        one.requests.clear()
        two.act = say("200 OK")
        two.requests.clear()
        with sender(one.url, two.url, journal=Journal.open(tmp_path / "j")) as second:
            second.sync([firing()], T0 + 10, answers=answers)
        assert (len(alerts(one)), len(alerts(two))) == (0, 1)


def test_the_watchdog_is_renewed_by_complete_rounds_only_and_never_ended():
    with bad_peer(say("200 OK")) as good, sender(good.url, settings=Settings(labels={"cluster": "c1"})) as mine:
        mine.sync([], T0, answers=answers)
        mine.sync([], T0 + 60, answers=answers, hold=True)
        mine.sync([], T0 + 120, answers=answers)
        sent = told(alerts(good), alertname="GPUSLOWatchdog", cluster="c1")
        assert [alert["endsAt"][:19] for alert in sent] == ["2023-11-14T22:17:20", "2023-11-14T22:19:20"]
        assert len({alert["startsAt"] for alert in sent}) == 1


def test_in_a_storm_the_worst_are_sent_and_one_more_says_how_many_are_not():
    with bad_peer(say("200 OK")) as good, sender(good.url, settings=Settings(cap=5, watchdog=False)) as mine:
        storming = [firing(f"p{n}", bad=n) for n in range(40)]
        report = mine.sync(storming, T0, answers=answers)
        assert (report.sent, report.hidden) == (6, 35)
        (more,) = told(alerts(good), alertname=storm.ALERT)
        assert more["annotations"]["summary"].startswith("35 more page alerts are not shown")
        assert {alert["labels"].get("pod") for alert in alerts(good)} == {None, "p39", "p38", "p37", "p36", "p35"}
        mine.sync([firing("p39", bad=39)], T0 + 60, answers=answers)
        assert told(alerts(good), alertname=storm.ALERT)[-1]["endsAt"] == "2023-11-14T22:14:20.000Z"


def test_a_page_goes_out_when_nobody_can_say_more_and_keeps_the_words_that_it_had():
    def nobody(firings: object, now: float) -> list[Any]:
        raise UnreachableError("no answer")

    with bad_peer(say("200 OK")) as good, sender(good.url) as mine:
        mine.sync([firing("a")], T0, answers=answers)
        assert mine.sync([firing("a"), firing("b")], T0 + 60, answers=nobody).sent == 2
        by_pod = {alert["labels"]["pod"]: alert["annotations"]["description"] for alert in alerts(good)[1:]}
        assert "0.25" in by_pod["a"]
        assert "nobody could be asked" in by_pod["b"]


def test_a_clock_that_jumps_loses_nothing():
    with bad_peer(say("200 OK")) as good, sender(good.url) as mine:
        mine.sync([firing()], T0, answers=answers)
        assert mine.sync([firing()], T0 - 7200, answers=answers).sent == 1  # set back
        assert len(alerts(good)) == 2
        assert alerts(good)[-1]["startsAt"] <= alerts(good)[-1]["endsAt"]
        assert mine.sync([firing()], T0 + 86400, answers=answers).sent == 1
        assert mine.sync([], T0 - 7200, answers=answers).resolved == 1
        assert mine.sync([], T0 - 7140, answers=answers).sent == 1


def test_dates_are_written_in_the_time_of_a_peer_whose_clock_is_far_off():
    ahead = format_datetime(datetime.fromtimestamp(T0 + 3600, UTC), usegmt=True)
    with bad_peer(say("200 OK", b"", f"Date: {ahead}")) as bad, sender(bad.url) as mine:
        report = mine.sync([firing()], T0, answers=answers)
        assert report.peers[0].ahead == pytest.approx(3600, abs=2)
        ours, theirs = alerts(bad)
        assert (
            ours["endsAt"][:16] == "2023-11-14T22:17"
        )  # an hour ago there: it would have ended before it was heard of
        assert theirs["endsAt"][:16] == "2023-11-14T23:17"


def test_a_full_disk_is_reported_and_stops_no_page(tmp_path: Path):
    journal = Journal.open(tmp_path / "j")
    assert journal._connection is not None
    journal._connection.execute("PRAGMA max_page_count=1")
    with bad_peer(say("200 OK")) as good, sender(good.url, journal=journal) as mine:
        report = mine.sync([firing(f"p{n}") for n in range(300)], T0, answers=answers)
        assert report.sent == 300
        assert mine.counts.journal_errors >= 1
        assert len(alerts(good)) == 300


def test_the_journal_is_written_before_anybody_is_told(tmp_path: Path):
    written: list[bool] = []
    with bad_peer(say("200 OK")) as good:
        journal = Journal.open(tmp_path / "j")

        def look(connection: Any, request: Any) -> bool:
            written.append(bool(journal.load().entries))
            return say("200 OK")(connection, request)

        good.act = look
        with sender(good.url, journal=journal) as mine:
            mine.sync([firing()], T0, answers=answers)
    assert written == [True]


def test_labels_of_the_site_are_on_every_alert_and_never_replace_its_own():
    settings = Settings(labels={"region": "eu", "pod": "mine"}, cap=1)
    with bad_peer(say("200 OK")) as good, sender(good.url, settings=settings) as mine:
        for at in (T0, T0 + 60):
            mine.sync([firing("a", bad=9), firing("b", bad=1)], at, answers=answers)
        assert {alert["labels"]["region"] for alert in alerts(good)} == {"eu"}
        assert {alert["labels"]["pod"] for alert in told(alerts(good), slo="compute")} == {"a"}


def test_no_peer_at_all_is_a_report_of_failures():
    with sender() as mine:
        assert mine.sync([firing()], T0, answers=answers).failed == 1


def test_answers_are_asked_for_what_is_shown_only():
    asked: list[int] = []

    def counting(firings: Any, now: float) -> list[Any]:
        asked.append(len(firings))
        return [ANSWER for _ in firings]

    with bad_peer(say("200 OK")) as good, sender(good.url, settings=Settings(cap=3, watchdog=False)) as mine:
        mine.sync([firing(f"p{n}") for n in range(9)] + [other(AlertName.FLEET)], T0, answers=counting)
        mine.sync([], T0 + 60, answers=counting)
    assert asked == [4]

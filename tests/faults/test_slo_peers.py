"""`slo run` while those around it fail: an Alertmanager that is away for an hour, a Prometheus that says nonsense."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slo import specfile
from slo.alertmanager.journal import Journal
from slo.alertmanager.peer import peer
from slo.alertmanager.sender import Sender
from slo.alertmanager.settings import Settings
from slo.prometheus.store import connect
from slo.run.judge import Judges
from slo.run.loop import Clock, Loop
from slo.run.prometheus_feed import PrometheusFeed
from tests.faults import measured
from tests.faults.rows import by_name
from tests.faults.table import Part
from tests.slo.alertmanager.bad_peer import Request, bad_peer, raw, say
from tests.slo.alertmanager.made import T0, answers, firing, spec
from tests.slo.prometheus.bad_server import Reply, serving
from tests.slo.run.test_loop import NOW, Teller
from tests.slo.run.test_loop import answers as nobody
from tests.slo.servers import until
from toolkit.site import site

QUICK = Settings(deadline=0.5, patience=0.01, backoff=0.01, backoff_most=0.02, watchdog=False)
HOUR = 60
"""Rounds."""


def test_an_alertmanager_that_was_away_for_an_hour_hears_once_of_what_fires_and_nothing_of_what_is_long_over(
    tmp_path: Path,
):
    journal = Journal.open(tmp_path / "journal")
    with bad_peer(raw(b"")) as gone, bad_peer(say("200 OK")) as other:
        sender = Sender([peer(gone.url), peer(other.url)], journal, [spec()], QUICK)
        for minute in range(HOUR):
            fires = [firing()] + ([firing("brief-1", since=T0 + 300)] if 5 <= minute < 10 else [])
            sender.sync(fires, T0 + 60 * minute, answers=answers)
            until(lambda told=minute: len(other.requests) > told, "the other peer is told each minute")  # type: ignore[misc]
        gone.requests.clear()
        gone.act = say("200 OK")
        began = time.monotonic()
        sender.sync([firing()], T0 + 60 * HOUR, answers=answers)
        until(lambda: bool(gone.requests), "it is told")
        measured.note(by_name(Part.ALERTMANAGER, "away for an hour"), time.monotonic() - began, "s")
        # An hour ago: to Alertmanager it is the alert that began then, whatever the number of posts; none is younger.
        assert about(gone.requests) == {("train-7", "2023-11-14T22:13:20.000Z")}
        assert len(about(other.requests)) == 2
        sender.close()


def about(requests: list[Request]) -> set[tuple[str, str]]:
    """Which alerts were posted: a pod, and since when."""
    return {(alert["labels"]["pod"], alert["startsAt"]) for request in list(requests) for alert in request.alerts}


GARBAGE = {
    "a page of HTML": Reply(body=b"<html>Welcome to nginx!</html>", kind="text/html"),
    "JSON that is none": Reply(body=b'{"status": "success", "data": '),
    "JSON that is something else": Reply(body=b'{"status": "success", "data": {"resultType": "scalar", "result": 7}}'),
    "an answer that is cut off": Reply(body=b'{"status":"success","data":{"resultType":"vector","result":[]}}', cut=20),
    "noise": Reply(body=bytes(range(256)) * 64, kind="application/x-protobuf"),
    "a refusal": Reply(status=500, body=b"boom"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_prometheus_that_says_nonsense_ends_no_alert_and_starts_none(name: str):
    with serving(lambda _: GARBAGE[name]) as bad:
        store = connect(site(bad.url), deadline=2.0, tenant=None)
        judges = Judges(specfile.shipped())
        teller = Teller()
        loop = Loop(PrometheusFeed(store, judges), judges, teller, nobody, Clock(wall=lambda: float(NOW + 5)))
        loop.evaluate(NOW)
        loop.evaluate(NOW + 60)
    assert [hold for _, hold in teller.told] == [True, True]
    assert (loop.status.failures, loop.status.at) == (2, 0)
    assert loop.status.error.startswith(bad.url), loop.status.error
    assert not any(row.up for row in loop.status.targets)

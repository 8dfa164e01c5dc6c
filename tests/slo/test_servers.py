"""The test servers themselves: what is put in comes out."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.slo.servers import alertmanager, get, prometheus, quick_config, until, victoria_metrics, webhook

pytestmark = pytest.mark.real
HISTORY = '# TYPE x counter\nx_total{a="b"} 1 1700000000.000\nx_total{a="b"} 3 1700000060.000\n# EOF\n'


def test_prometheus_finds_the_history_that_it_was_given(tmp_path: Path):
    with prometheus(tmp_path, openmetrics=HISTORY) as server:
        (row,) = server.query("x_total", 1700000061)
        assert row["value"][1] == "3"
        (row,) = server.query_range("x_total", 1700000000, 1700000060)
        assert [value for _, value in row["values"]] == ["1", "3"]


def test_victoria_metrics_finds_what_was_imported(tmp_path: Path):
    with victoria_metrics(tmp_path) as server:
        page = b'x_total{a="b"} 3 1700000060000\n'
        request = urllib.request.Request(f"{server.url}/api/v1/import/prometheus", data=page)  # noqa: S310  # our own server
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        get(f"{server.url}/internal/force_flush")
        until(lambda: bool(server.query("x_total", 1700000061)), "the sample is found")


def test_an_alert_that_is_posted_reaches_the_webhook(tmp_path: Path):
    with webhook() as receiver, alertmanager(tmp_path, quick_config(receiver)) as server:
        body = json.dumps([{"labels": {"alertname": "A", "pod": "p"}}]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.url}/api/v2/alerts", data=body, headers=headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        until(lambda: bool(receiver.alerts("firing", pod="p")), "the webhook hears of it")
        assert server.alerts()[0]["labels"]["alertname"] == "A"

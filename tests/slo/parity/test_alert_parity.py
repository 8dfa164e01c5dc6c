"""Rules and evaluator raise the same alerts at the same minute: the evening's `ALERTS`, made by rules on rules, against our judge."""

from __future__ import annotations

import pytest

from slo import specfile
from slo.check.judgement import judge
from slo.prometheus import connect
from slo.verdicts import AlertName
from tests.dashboards.scene import BEGIN, END
from tests.slo.servers import Prometheus
from toolkit.site import Site

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

MINUTELY = {AlertName.PARTITION, AlertName.GPU, AlertName.NODE, AlertName.FLEET}
"""Alerts that a ruler evaluates every minute, as the evaluator does; tickets have five minutes, and hourly sums."""


def test_every_alert_begins_at_the_same_minute_with_the_same_labels(evening: Prometheus):
    judged = judge(connect(Site(evening.url), deadline=60.0), specfile.shipped(), BEGIN, END)
    ours = {
        frozenset(one.alert.labels.items()): one.since
        for evaluation in judged.evaluations
        for one in evaluation.episodes
        if one.alert.name in MINUTELY
    }
    names = "|".join(sorted(MINUTELY))
    theirs = {
        frozenset((set(row["metric"].items())) - {("__name__", "ALERTS"), ("alertstate", "firing")}): int(
            row["values"][0][0]
        )
        for row in evening.query_range(f'ALERTS{{alertname=~"{names}"}}', BEGIN, END)
    }
    assert ours == theirs
    assert len(ours) >= 6
    assert {dict(labels)["severity"] for labels in ours} == {"page", "ticket"}

"""`slicewatch slo run`: the parts put together, and kept running until a signal."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Mapping
from types import FrameType
from typing import TextIO

from slo import specfile
from slo.alertmanager.answers import Answerer
from slo.alertmanager.journal import Journal
from slo.alertmanager.peer import Peer
from slo.alertmanager.sender import Sender
from slo.alertmanager.settings import Settings as Sending
from slo.embedded.store import ParquetHistory
from slo.embedded.targets import Places, Watched
from slo.prometheus.store import connect
from slo.run import landing, metrics
from slo.run.exporters_feed import ExportersFeed
from slo.run.judge import Judges
from slo.run.loop import Feed, Loop
from slo.run.prometheus_feed import PrometheusFeed
from slo.run.settings import FromPrometheus, Settings
from slo.run.status import Status
from slo.samples import Now
from toolkit import logs
from toolkit.web.page import Page, Publisher
from toolkit.web.server import Server, Site

_LOG = logging.getLogger(__name__)
_DEADLINE = 30.0
_REMEMBERED = 3 * 86400
"""Seconds of history that alerts look back on; budgets look back on their period."""
_HEALTHY = 600.0


def serve(settings: Settings, version: str, stderr: TextIO) -> int:
    """Run until SIGTERM or SIGINT. Raises ConfigError before anything is served."""
    stop = _stop_on_signals()
    logs.setup(settings.log, stderr)
    specs = specfile.load_all(settings.specs)
    journal = Journal.open(settings.alerts.journal) if settings.alerts.peers else Journal.memory()
    judges = Judges(specs)
    feed, now = _source(settings, judges)
    sender = Sender(
        tuple(Peer(one) for one in settings.alerts.peers),
        journal,
        specs,
        Sending(cap=settings.alerts.most, labels=settings.alerts.labels, generator_url=settings.alerts.url),
    )
    loop = Loop(feed, judges, sender, Answerer(now, specs))
    publisher = Publisher()
    registry = metrics.registry(metrics.StatusCollector(specs, lambda: loop.status, version))

    def publish(status: Status) -> None:
        publisher.publish(
            Page(
                text=lambda: metrics.text(registry),
                openmetrics=lambda: metrics.openmetrics(registry),
                snapshot=lambda: _snapshot(status),
                at=status.succeeded,
                ready=bool(status.at),
            )
        )

    site = Site(
        publisher=publisher,
        healthy=lambda: publisher.fresh(_HEALTHY),
        landing=lambda: landing.render(loop.status),
    )
    remember = max(_REMEMBERED, *(spec.period for spec in specs))
    thread = threading.Thread(
        target=loop.run,
        args=(stop,),
        kwargs={"remember": remember, "published": publish},
        name="slicewatch-slo",
        daemon=True,
    )
    server = Server(settings.web, site)
    server.start()
    publish(loop.status)
    thread.start()
    logs.log(_LOG, logging.INFO, "serving", version=version, address=str(server.address), slos=len(specs))
    stop.wait()
    logs.log(_LOG, logging.INFO, "ending")
    server.shutdown()
    thread.join(_DEADLINE)
    sender.close()
    return 0


def _source(settings: Settings, judges: Judges) -> tuple[Feed, Now]:
    source = settings.source
    if isinstance(source, FromPrometheus):
        store = connect(source.site, deadline=_DEADLINE, tenant=source.tenant or None)
        return PrometheusFeed(store, judges), store
    watched = Watched(Places(source.urls, source.file, source.access))
    history = ParquetHistory(source.history, source.retention)
    return ExportersFeed(watched, history, judges), history


def _snapshot(status: Status) -> bytes:
    """The state as JSON, for programs."""
    found: Mapping[str, object] = {
        "at": status.at,
        "error": status.error,
        "partitions": status.partitions,
        "firing": [
            {"name": one.alert.name.value, "labels": dict(one.alert.labels), "since": one.since, "bad_1h": one.bad_1h}
            for one in status.firing
        ],
        "budgets": [
            {
                "slo": row.slo,
                "objective": row.objective,
                "namespace": row.namespace,
                "target": row.budget.target,
                "compliance": row.budget.compliance,
                "remaining": row.budget.remaining,
                "good": row.budget.good,
                "bad": row.budget.bad,
                "idle": row.budget.idle,
                "unknown": row.budget.unknown,
            }
            for row in status.budgets
        ],
        "targets": [{"url": row.url, "up": row.up, "error": row.error} for row in status.targets],
        "alertmanagers": [{"url": row.url, "up": row.up, "error": row.error} for row in status.peers],
    }
    return json.dumps(found, indent=1).encode()


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop

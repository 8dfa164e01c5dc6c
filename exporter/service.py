"""`slicewatch exporter`: one collecting thread, the server, and an orderly end."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import TextIO

from exporter import __version__, landing, policyfile
from exporter.catalogue import PartitionKey
from exporter.collect import Collector, Tick
from exporter.config import Settings
from exporter.policy import Policy
from exporter.recording.replay import Replay
from exporter.selfmetrics import SelfMetrics
from exporter.snapshot_json import snapshot_json
from exporter.wiring import witness
from exporter.witness import DEADLINE, PATIENCE, Clock, Hearing, OverError
from toolkit import logs
from toolkit.web.page import Page, Publisher
from toolkit.web.server import Server, Site

_LOG = logging.getLogger("slicewatch")

_SETTLING = 4
"""Ticks after the first in which a start may find its partitions."""

_LAST_TICK = 1.0
"""Seconds that an end waits for the tick under way."""


def page(tick: Tick, wall: float) -> Page:
    """Make a tick's page; a format is put together when it is asked for, or ahead of a scrape that is expected."""
    return Page(
        text=lambda: tick.rendered.text,
        openmetrics=lambda: tick.rendered.openmetrics,
        snapshot=lambda: snapshot_json(tick.result, tick.health, wall),
        at=wall,
    )


def serve(settings: Settings, environ: Mapping[str, str], stderr: TextIO) -> int:
    """Run until SIGTERM or SIGINT. Raises ConfigError before anything is served."""
    stop = _stop_on_signals()
    # A scrape waits for the collecting thread to let go of the interpreter: half a millisecond instead of five.
    sys.setswitchinterval(0.0005)
    # Nearly all that a tick makes dies with the next one, by reference count: looking for cycles seldom is enough.
    gc.set_threshold(50_000, 20, 100)
    logs.setup(settings.log, stderr)
    clock = Clock()
    publisher = Publisher()
    latest: list[Tick] = []
    site = Site(
        publisher=publisher,
        healthy=lambda: publisher.fresh(max(10 * settings.collect.tick, 30.0)),
        landing=lambda: landing.render(_about(settings.collect.node, latest)),
    )
    collecting = collector(settings, environ, clock)

    def publish(tick: Tick) -> None:
        latest[:] = [tick]
        publisher.publish(page(tick, clock.wall()))

    server = Server(settings.web, site)
    thread = threading.Thread(target=collecting.run, args=(publish, stop), name="slicewatch-collect", daemon=True)
    server.start()
    thread.start()
    logs.log(
        _LOG,
        logging.INFO,
        "serving",
        version=__version__,
        node=settings.collect.node,
        address=str(server.address),
        source=settings.sources.kind.value,
    )
    stop.wait()
    logs.log(_LOG, logging.INFO, "ending")
    server.shutdown()
    thread.join(_LAST_TICK)
    if not thread.is_alive():  # else it waits for a source that hangs, and both go with the process
        collecting.close()
    return 0


def collector(
    settings: Settings,
    environ: Mapping[str, str],
    clock: Clock,
    *,
    patience: float = PATIENCE,
    heard: Callable[[Hearing], None] | None = None,
) -> Collector:
    """Return the collector that settings ask for. Raises ConfigError. A recording is played as fast as it was recorded."""
    file = settings.collect.policy_file
    policy = Policy() if file is None else policyfile.load(file)
    told = witness(settings, environ, clock.monotonic, policy)
    return Collector(
        settings.collect.node,
        told,
        policy=policy,
        tick=told.tick if isinstance(told, Replay) else settings.collect.tick,
        departed_keep=settings.collect.departed_keep,
        clock=clock,
        patience=patience,
        series_limit=settings.collect.series_limit,
        self_metrics=SelfMetrics(),
        heard=heard,
    )


def _about(node: str, latest: list[Tick]) -> landing.About:
    health = latest[0].health if latest else ()
    return landing.About(node, tuple(landing.SourceHealth(s.name, s.up, s.detail) for s in health))


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


def once(settings: Settings, environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Write one page to `stdout` after two ticks, or at the end of a recording. Exit status 3 when a source could not be reached; each is named."""
    logging.getLogger().addHandler(logging.NullHandler())  # what is down is said below, in words for a person
    tick, down = last_of_two(settings, environ)
    stdout.write(tick.rendered.text.decode())
    stdout.flush()
    stderr.writelines(f"slicewatch: {line}\n" for line in down)
    return 3 if down else 0


def last_of_two(settings: Settings, environ: Mapping[str, str]) -> tuple[Tick, list[str]]:
    """Run two ticks with full patience, of a recording all; return the last and a line for every source that is down.

    A few more while partitions appear: enforcers are asked for those that were there at the tick before.
    """
    collecting = collector(settings, environ, Clock(), patience=DEADLINE)
    tick = collecting.run_tick()
    if settings.sources.replay is None:
        for _ in range(_SETTLING):
            before = _held(tick)
            time.sleep(settings.collect.tick)
            tick = collecting.run_tick()
            if _held(tick) == before:
                break
    else:
        with suppress(OverError):
            while True:
                tick = collecting.run_tick()
    collecting.close()
    return tick, [f"{source.name}: {source.detail}" for source in tick.health if not source.up]


def _held(tick: Tick) -> frozenset[PartitionKey]:
    return frozenset(partition.key for partition in tick.result.snapshot.partitions)

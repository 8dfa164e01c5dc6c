"""The soak itself: the real exporter on a node that churns, scraped each second, sampled every few; `slo run` beside it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from bench.program import free_port
from bench.scrape import Form, Scraper
from bench.soak.node import Churn
from bench.soak.sample import Sample, counts, held
from bench.soak.troubles import Trouble, every
from bench.soak.turns import Turns
from tests.e2e.rig import ROOT, Exporter, Rig, environment
from tests.faults.books import Books
from tests.slo.alertmanager.bad_peer import bad_peer, say

STEP = 1.0
"""Seconds between two looks at the node's truth, and between two scrapes."""

_EVENTS = 2000
"""Events of the API server's history that are kept: some minutes of them."""

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a soak goes. All times are seconds."""

    duration: float
    pods_a_minute: float = 500.0
    reshape: float = 60.0
    sample: float = 5.0
    trouble_every: float = 45.0
    trouble_lasts: float = 8.0
    keep: float = 60.0  # --departed.keep, its default
    evaluator: bool = True
    seed: int = 1


@dataclass(kw_only=True)
class Soaked:
    """What was seen."""

    samples: list[Sample] = field(default_factory=list)
    recoveries: dict[str, float] = field(default_factory=dict)  # by trouble: the longest, seconds
    faults: list[str] = field(default_factory=list)  # whatever should not have been
    born: int = 0
    reshapes: int = 0
    troubles: int = 0
    scrapes: int = 0
    slowest_scrape: float = 0.0
    unhealthy: int = 0
    left_over: int = -1  # series of partitions when all pods had been gone for longer than they are kept
    driver: dict[str, int] = field(default_factory=dict)  # the fake driver's counters at the end: all 0


@dataclass(frozen=True, slots=True)
class _Watched:
    """Everything that one soak runs with."""

    plan: Plan
    node: Churn
    exporter: Exporter
    evaluator: subprocess.Popen[bytes] | None
    scraper: Scraper
    books: Books
    seen: Soaked


def soak(plan: Plan, folder: Path, library: Path) -> Soaked:
    """Run a soak to its end. Raises AssertionError when the exporter does not come up or does not end in good order."""
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(folder, library))
        node = Churn(rig, random.Random(plan.seed))  # noqa: S311  # a node's life, not a secret
        node.reshape()
        node.show()
        rig.kubelet.start()
        exporter = rig.start("--tick=1s", f"--departed.keep={plan.keep:g}s")
        host, _, port = exporter.address.rpartition(":")
        evaluator = stack.enter_context(_evaluator(folder, exporter.address)) if plan.evaluator else None
        scraper = stack.enter_context(closing(Scraper(int(port), Form.TEXT)))
        watched = _Watched(plan, node, exporter, evaluator, scraper, Books(), Soaked())
        _live(watched, every((host, int(port))))
        _empty(watched)
        watched.seen.faults += _complaints(folder / "exporter.log") + _complaints(folder / "slo.log")
        watched.seen.faults += watched.books.faults
        watched.seen.born, watched.seen.reshapes = node.born, node.shaped
        rig.stop()
        watched.seen.driver = rig.counters()
        return watched.seen


def _live(watched: _Watched, troubles: Sequence[Trouble]) -> None:
    """Churn until the time is over."""
    plan, node = watched.plan, watched.node
    turns = Turns(troubles, plan)
    began = time.monotonic()
    owed, sampled, reshaped = 0.0, -plan.sample, 0.0
    while (now := time.monotonic() - began) < plan.duration:
        owed += plan.pods_a_minute / 60 * STEP
        node.deaths(now)
        node.births(int(owed), now)
        owed -= int(owed)
        if now - reshaped >= plan.reshape:
            reshaped = now
            node.reshape()
        turns.step(node, now)
        node.show()
        page = _scrape(watched)
        turns.seen(now, counts(page)[3])
        if page and now - sampled >= plan.sample:
            sampled = now
            watched.books.read(page)
            watched.seen.samples.append(_sample(watched, page, now, turns.name))
        time.sleep(max(0.0, STEP - (time.monotonic() - began - now)))
    turns.end()
    watched.seen.recoveries = turns.recoveries
    watched.seen.troubles = turns.begun


def _complaints(log: Path) -> list[str]:
    """Tracebacks in a log, which are defects whatever the node did."""
    return [f"a traceback in {log.name}"] if log.exists() and "Traceback" in log.read_text(errors="replace") else []


def _empty(watched: _Watched) -> None:
    """Let every pod end, and look whether their series do."""
    watched.node.faults, watched.node.lost = (), 0
    watched.node.deaths(float("inf"))
    watched.node.show()
    until = time.monotonic() + watched.plan.keep + _PATIENCE
    while time.monotonic() < until:
        watched.seen.left_over = counts(_scrape(watched))[1]
        if not watched.seen.left_over:
            return
        time.sleep(STEP)


def _scrape(watched: _Watched) -> bytes:
    """Scrape once; a refusal is a fault of the soak, and an empty page."""
    try:
        page = watched.scraper.scrape()
    except (OSError, ValueError, HTTPException) as error:
        watched.seen.faults.append(f"a scrape failed: {type(error).__name__}: {error}")
        watched.scraper.close()
        return b""
    watched.seen.scrapes += 1
    watched.seen.slowest_scrape = max(watched.seen.slowest_scrape, watched.scraper.taken.pop())
    if watched.exporter.get("/-/healthy")[0] != HTTPStatus.OK:
        watched.seen.unhealthy += 1
    return page


def _sample(watched: _Watched, page: bytes, now: float, trouble: str) -> Sample:
    series, of_partitions, ticks, down = counts(page)
    evaluator = watched.evaluator
    return Sample(
        at=round(now, 1),
        own=held(watched.exporter.process.pid),
        evaluator=None if evaluator is None else held(evaluator.pid),
        series=series,
        partition_series=of_partitions,
        page_bytes=len(page),
        ticks=ticks,
        down=down,
        trouble=trouble,
    )


@contextmanager
def _evaluator(folder: Path, exporter: str) -> Iterator[subprocess.Popen[bytes]]:
    """`slo run` on the exporter's pages, with its history and its journal, and an Alertmanager that takes everything."""
    flags = {
        "exporter": f"http://{exporter}",
        "history.path": str(folder / "history"),
        "journal.file": str(folder / "alerts.db"),
        "web.listen-address": f"127.0.0.1:{free_port()}",
        "log.level": "warn",
    }
    with bad_peer(say("200 OK")) as peer, (folder / "slo.log").open("wb") as log:
        flags["alertmanager"] = peer.url
        argv = [
            sys.executable,
            "-m",
            "slicewatch",
            "slo",
            "run",
            *(f"--{name}={value}" for name, value in flags.items()),
        ]
        process = subprocess.Popen(argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_PATIENCE)

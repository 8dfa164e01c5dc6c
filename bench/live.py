"""The real exporter process on a fake driver, a real kubelet socket and a procfs, and nvitop-exporter beside it.

Both read the same driver once a second from a thread of their own. They differ in what a scrape does: slicewatch sends
the page of its last tick, compressed once for each page; nvitop-exporter writes (and compresses) its page anew for every
scrape. Their CPU is measured over the same seconds, first unscraped, then scraped every 15 s, then once a second; their scrapes are
measured apart, so that neither waits for the other. nvitop-exporter makes more driver calls (clocks, PCIe, NVLink, host
counters) and no join, no promise and no ledger: the two are neighbours on a node, not the same program.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.node import PROCFS, SOCKET, STATE
from bench.program import Program, ProgramError, free_port, running
from bench.scrape import Form, Latency, Scraper, latency, summary
from tests.fake_nvml.state import STATE_VARIABLE

_SETTLE = 5.0
"""Seconds between the first whole page and the measurement."""

_SPARSE = 15.0
"""Seconds between scrapes on most clusters."""

_PATIENCE = 60.0
_INSTANCE = re.compile(rb"MIG-[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long the live part takes, in seconds. `age` is the age of the process at which its memory is read."""

    scrapes: int
    spacing: float
    window: float  # each of the two CPU windows
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One program's figures. CPU is the part of one core; memory is MiB."""

    name: str
    text: Latency
    prometheus: Latency
    fresh: Latency  # gzip OpenMetrics once a second: every time a page that nobody has asked for before
    cpu_unscraped: float
    cpu_sparse: float  # scraped every 15 s
    cpu_scraped: float  # once a second
    rss: float
    peak: float


def measure(partitions: int, plan: Plan, library: Path) -> tuple[Live, Live]:
    """Measure slicewatch and its peer on a node of this many partitions. Raises ProgramError."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slicewatch-bench-")))
        stack.enter_context(_node(folder, partitions))
        environ = {"LD_LIBRARY_PATH": str(library), STATE_VARIABLE: str(folder / STATE)}
        started = time.monotonic()
        programs = [
            stack.enter_context(running(name, _command(name, folder, port), port, environ, folder / f"{name}.log"))
            for name, port in (("slicewatch", free_port()), ("nvitop-exporter", free_port()))
        ]
        for each in programs:
            _await_instances(each, partitions)
        time.sleep(_SETTLE)
        unscraped = _cpu(programs, plan.window, [])
        with contextlib.ExitStack() as scraping:
            scrapers = [
                scraping.enter_context(contextlib.closing(Scraper(each.port, Form.PROMETHEUS))) for each in programs
            ]
            sparse = _cpu(programs, plan.window, scrapers, _SPARSE)
            scraped = _cpu(programs, plan.window, scrapers)
            _scrape_until(scrapers, started + plan.age)
            fresh = [summary(each.taken, each.size) for each in scrapers]
        memory = [each.memory() for each in programs]
        found = [
            Live(
                name=each.name,
                text=latency(each.port, Form.TEXT, plan.scrapes, plan.spacing),
                prometheus=latency(each.port, Form.PROMETHEUS, plan.scrapes, plan.spacing),
                fresh=fresh[place],
                cpu_unscraped=unscraped[place],
                cpu_sparse=sparse[place],
                cpu_scraped=scraped[place],
                rss=memory[place][0],
                peak=memory[place][1],
            )
            for place, each in enumerate(programs)
        ]
    return found[0], found[1]


def _command(name: str, folder: Path, port: int) -> list[str]:
    if name == "nvitop-exporter":
        return [sys.executable, "-m", "nvitop_exporter", "--bind-address", "127.0.0.1", "--port", str(port)]
    flags = {
        "web.listen-address": f"127.0.0.1:{port}",
        "source": "nvml",
        "path.procfs": str(folder / PROCFS),
        "podresources.socket": str(folder / SOCKET),
        "kubernetes": "off",
        "node.name": "bench",
    }
    return [sys.executable, "-m", "slicewatch", "exporter", *(f"--{flag}={value}" for flag, value in flags.items())]


@contextlib.contextmanager
def _node(folder: Path, partitions: int) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.node", str(folder), str(partitions)]
    said = folder / "node.log"
    with said.open("wb") as output, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output) as process:
        try:
            while process.poll() is None and b"ready" not in said.read_bytes():
                time.sleep(0.05)
            yield
        finally:
            process.communicate()  # ends its standard input, which ends it


def _await_instances(program: Program, partitions: int) -> None:
    """Wait until the page knows every MIG instance. Raises ProgramError when it does not come to."""
    until = time.monotonic() + _PATIENCE
    with contextlib.closing(Scraper(program.port, Form.TEXT)) as scraper:
        while (seen := len(set(_INSTANCE.findall(scraper.scrape())))) < partitions:
            if time.monotonic() > until:
                log = program.log.read_text(encoding="utf-8", errors="replace")
                raise ProgramError(f"{program.name} shows {seen} of {partitions} instances: {log[-2000:]}")
            time.sleep(0.2)


def _cpu(programs: Sequence[Program], window: float, scrapers: Sequence[Scraper], spacing: float = 1.0) -> list[float]:
    """Part of a core that each program takes over `window` seconds, while `scrapers` ask every `spacing` seconds."""
    before, started = [each.cpu_seconds() for each in programs], time.monotonic()
    _scrape_until(scrapers, started + window, spacing)
    elapsed = time.monotonic() - started
    return [(each.cpu_seconds() - was) / elapsed for each, was in zip(programs, before, strict=True)]


def _scrape_until(scrapers: Sequence[Scraper], until: float, spacing: float = 1.0) -> None:
    while (rest := until - time.monotonic()) > 0:
        time.sleep(min(rest, spacing))
        for each in scrapers:
            each.scrape()

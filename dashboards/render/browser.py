"""One run of headless Chromium over a list of pages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dashboards.render.programs import program
from dashboards.render.site import Site

PATIENCE_MS = 60_000
"""How long one page may take to load and come to rest."""


class BrowserError(Exception):
    """The browser or its driver ended with an error."""


@dataclass(frozen=True)
class Job:
    """A page to be pictured. `ready` and `report` are expressions in the page; `report` may be empty."""

    url: str
    png: str
    ready: str
    report: str = ""
    width: int = 1600
    height: int = 900
    patience: int = PATIENCE_MS


@dataclass(frozen=True)
class Visit:
    """What came of it: the page's own report, hosts outside that it asked for, and what went wrong."""

    report: Any
    outside: tuple[str, ...]
    errors: tuple[str, ...]


def visit(site: Site, jobs: Sequence[Job]) -> list[Visit]:
    """Open each page, take its picture. Raises BrowserError and NotInstalledError. What was started is ended."""
    asked = json.dumps({"chromium": program("chromium"), "jobs": [asdict(job) for job in jobs]})
    for job in jobs:
        Path(job.png).parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(  # noqa: S603  # our own driver
        [program("node"), str(site.driver)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, error = process.communicate(asked, timeout=30 + len(jobs) * 2 * PATIENCE_MS / 1000)
    finally:
        _end(process)
    if process.returncode:
        raise BrowserError(f"the driver of Chromium ended with {process.returncode}: {error[-2000:]}")
    return [Visit(one["report"], tuple(one["outside"]), tuple(one["errors"])) for one in json.loads(out)]


def _end(process: subprocess.Popen[str]) -> None:
    """End the driver and the browser in its session, if something kept them."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

"""A node in a folder, and the real exporter on it: a process of its own, with everything around it that it reads.

The driver is the fake library under the real pynvml, the kubelet a gRPC server on a unix socket, the API server speaks
HTTP, procfs is a folder. A test changes the node and scrapes. Whatever happened, at the end no second thread has been
inside the driver and all that it handed out is back: `stop` looks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.e2e.scrape import LOG_ADDRESS, Condition, Scrape, fetch, parse
from tests.fake_nvml.state import STATE_VARIABLE, FakeDriver, write
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.kubelet import FakeKubelet
from tests.fakes.procfs import FakeProcfs

ROOT = Path(__file__).parents[2]
NODE = "node-1"
PATIENCE = 20.0
"""Seconds after which a test gives up on something that should take one; a busy machine is no failure."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a program under test: none of the machine's drivers, clusters or proxies."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR"}}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def until(condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Wait for something; fail the test with `what` when it does not come."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(0.02)


class Exporter:
    """The exporter as a process. `argv` stands behind `python -m`; standard error goes to a file."""

    def __init__(self, folder: Path, argv: list[str], **variables: str) -> None:
        self._log = folder / "exporter.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *argv],
                cwd=ROOT,
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Take the process away, whatever became of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    @property
    def address(self) -> str:
        """Host and port, once it serves."""
        if not self._address:
            until(lambda: LOG_ADDRESS.search(self.log) is not None or self.process.poll() is not None, "it serves")
            found = LOG_ADDRESS.search(self.log)
            assert found is not None, self.log
            self._address = found[1]
        return self._address

    def get(self, path: str) -> tuple[int, str]:
        """GET a page; return status and body."""
        return fetch(f"http://{self.address}{path}")

    def ready(self) -> Self:
        """Wait for the first page."""
        until(lambda: self.get("/-/ready")[0] == 200, "the first page")
        return self

    def scrape(self) -> Scrape:
        """Scrape as Prometheus does."""
        status, body = self.get("/metrics")
        assert status == 200, body
        return parse(body)

    def until(self, condition: Condition, what: str, within: float = PATIENCE) -> Scrape:
        """Scrape until a page is as expected, and return it; fail the test with the last page's sources and the log."""
        end = time.monotonic() + within
        while not condition(page := self.scrape()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {within:g} s: {what}\n{self.log}\n{page.essence}")
            time.sleep(0.03)
        return page

    def snapshot(self) -> Any:
        """The joined node as JSON."""
        return json.loads(self.get("/snapshot")[1])

    def terminate(self, within: float = PATIENCE) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


class Rig:
    """The node. Nothing runs until it is started; what is started is ended by leaving the context."""

    def __init__(self, folder: Path, library: Path | None) -> None:
        self.folder = folder
        self.kubelet = FakeKubelet(folder / "kubelet.sock")
        self.api = FakeApiServer()
        self.procfs = FakeProcfs(folder / "proc")
        self.kubeconfig = folder / "kubeconfig"
        self._library = library
        self._state = folder / "driver.state"
        self._exporter: Exporter | None = None

    def __enter__(self) -> Self:
        self.api.start()
        self.api.put_node(NODE, {})
        self.api.kubeconfig(self.kubeconfig)
        return self

    def __exit__(self, *exc: object) -> None:
        """End whatever runs. The exporter first, so that it does not complain about the rest."""
        if self._exporter is not None:
            with self._exporter:
                pass
        self.kubelet.stop()
        self.api.stop()

    def driver_becomes(self, state: FakeDriver) -> None:
        """Say what the driver says from its next call on."""
        write(self._state, state)

    def driver_is_unloaded(self) -> None:
        """Take the kernel module away."""
        self._state.unlink()

    def arguments(self, *flags: str) -> list[str]:
        """The command line's tail for this node: quick ticks, a free port. A flag that is given replaces the node's own."""
        places = {
            "web.listen-address": "127.0.0.1:0",
            "node.name": NODE,
            "tick": "200ms",
            "path.procfs": str(self.procfs.root),
            "podresources.socket": str(self.kubelet.socket),
            "kubernetes": str(self.kubeconfig),
        }
        given = {flag.removeprefix("--").partition("=")[0] for flag in flags}
        own = (f"--{name}={value}" for name, value in places.items() if name not in given)
        return ["exporter", *own, *flags]

    def variables(self) -> dict[str, str]:
        """What tells the exporter's process which driver it has."""
        found = {} if self._library is None else {"LD_LIBRARY_PATH": str(self._library.parent)}
        return {STATE_VARIABLE: str(self._state), **found}

    def launch(self, *flags: str) -> Exporter:
        """Start the exporter without waiting for it."""
        argv = ["tests.e2e.launch", str(self._report), *self.arguments(*flags)]
        self._exporter = Exporter(self.folder, argv, **self.variables())
        return self._exporter

    def start(self, *flags: str) -> Exporter:
        """Start the exporter and wait for its first page."""
        return self.launch(*flags).ready()

    def stop(self) -> None:
        """End the exporter as Kubernetes does, and look how it leaves the driver."""
        assert self._exporter is not None
        assert self._exporter.terminate() == 0, self._exporter.log
        assert "Traceback" not in self._exporter.log, self._exporter.log
        counters = self.counters()
        assert all(count == 0 for count in counters.values()), counters

    def counters(self) -> dict[str, int]:
        """The fake driver's counters as the exporter's process left them; empty when it never loaded it."""
        counters: dict[str, int] = json.loads(self._report.read_text())
        return counters

    @property
    def _report(self) -> Path:
        return self.folder / "driver.counters"

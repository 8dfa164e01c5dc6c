"""Real servers for the tests: Prometheus, Alertmanager, VictoriaMetrics, and a receiver of Alertmanager's webhooks.

Each is started on a free loopback port by the test that needs it and ended by it; nothing else is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

PATIENCE = 40.0
"""Seconds that a server may take to start, or a condition to come true: CI machines are slow."""

_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "victoria-metrics": "victoria-metrics",
    "vmalert": "victoria-metrics",
}


def program(name: str) -> str:
    """Find a program of the machine's packages. Without it: a failure in CI, elsewhere a skip that says what to install."""
    found = shutil.which(name)
    if found is None:
        said = f"{name} is not installed: apt-get install {_PACKAGES[name]}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


def free_port() -> int:
    """Find a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def get(url: str, *, form: Mapping[str, str] | None = None, timeout: float = 20.0) -> bytes:
    """GET, or POST a form; return the body, also of an error."""
    data = None if form is None else urlencode(form).encode()
    try:
        with urllib.request.urlopen(url, data=data, timeout=timeout) as answer:  # noqa: S310  # the test's own server
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.read()


def until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> float:
    """Wait until a condition holds; return the seconds that it took. Fails with `what` when it never does."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > patience:
            pytest.fail(f"not within {patience:g} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


@contextmanager
def running(command: Sequence[str], log: Path, ready: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; enter the block when `ready` (a URL) answers 200."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **options)
    try:
        until(lambda: _answers(ready) or process.poll() is not None, f"{command[0]} answers at {ready}")
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # the test's own server
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus, or whatever speaks its API at `url`."""

    url: str

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return an instant query's result."""
        form = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        return self._result("/api/v1/query", form)

    def query_range(self, expression: str, start: float, end: float, step: float = 60) -> list[dict[str, Any]]:
        """Return a range query's matrix."""
        form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return self._result("/api/v1/query_range", form)

    def reload(self) -> None:
        """Read the configuration again (needs `--web.enable-lifecycle`, which `prometheus` gives)."""
        get(f"{self.url}/-/reload", form={})

    def _result(self, path: str, form: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = json.loads(get(self.url + path, form=form))
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def prometheus(
    folder: Path, config: Mapping[str, Any] | None = None, *, openmetrics: str = "", flags: Sequence[str] = ()
) -> Iterator[Prometheus]:
    """Run a Prometheus with this configuration; `openmetrics` text with time stamps is in its store before it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if openmetrics:
        written = folder / "history.om"
        written.write_text(openmetrics)
        make = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(written), str(data)]
        made = subprocess.run(make, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        written.unlink()
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(dict(config or {"global": {}})))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
        *flags,
    ]
    with running(command, folder / "prometheus.log", f"{url}/-/ready"):
        yield Prometheus(url)


@contextmanager
def victoria_metrics(folder: Path, flags: Sequence[str] = ()) -> Iterator[Prometheus]:
    """Run a VictoriaMetrics; it speaks Prometheus's query API, and takes samples at /api/v1/import/prometheus."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("victoria-metrics"),
        f"-storageDataPath={folder / 'vm'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-search.latencyOffset=0s",
        "-loggerLevel=WARN",
        *flags,
    ]
    with running(command, folder / "victoria-metrics.log", f"{url}/health"):
        yield Prometheus(url)


@dataclass
class Receiver:
    """A webhook receiver: what Alertmanager posted, in order. `groups` are the posts as they came."""

    url: str
    groups: list[dict[str, Any]] = field(default_factory=list)

    def alerts(self, status: str, **labels: str) -> list[dict[str, Any]]:
        """Return alerts of this status (firing, resolved) with these labels, one for each time that they were notified."""
        return [
            alert
            for group in list(self.groups)
            for alert in group["alerts"]
            if alert["status"] == status and labels.items() <= alert["labels"].items()
        ]


@contextmanager
def webhook() -> Iterator[Receiver]:
    """Run a receiver of Alertmanager's webhook format."""
    found: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is http.server's
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is http.server's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{server.server_address[1]}/", found)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """Return what it holds, silenced and inhibited ones included."""
        found: list[dict[str, Any]] = json.loads(get(f"{self.url}/api/v2/alerts"))
        return found


def quick_config(receiver: Receiver) -> dict[str, Any]:
    """Return a configuration that notifies at once, of every alert by itself, and of its end."""
    return {
        "route": {
            "receiver": "test",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "4h",
        },
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver.url, "send_resolved": True}]}],
    }


@contextmanager
def alertmanager(
    folder: Path, config: Mapping[str, Any], *, port: int = 0, flags: Sequence[str] = ()
) -> Iterator[Alertmanager]:
    """Run an Alertmanager by itself; `flags` may make it a cluster's member."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(dict(config)))
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={file}",
        f"--storage.path={folder / 'am'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *(flags or ("--cluster.listen-address=",)),
    ]
    with running(command, folder / "alertmanager.log", f"{url}/-/ready"):
        yield Alertmanager(url)

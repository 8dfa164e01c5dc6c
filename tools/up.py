"""`make up`: an exporter on a simulated node, a Prometheus with the rules, an Alertmanager; to be looked at in a browser.

A neighbour takes a time slice after twenty seconds, another GPU gets too hot after forty; the first alert is there after about a
minute. Everything listens on loopback, keeps its data in a folder of its own that goes with it, and ends with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from slo import specfile
from slo.rules import document, routing
from slo.rules.routing import Receivers

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "alerts"
_PROGRAMS = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three listen, on loopback."""

    exporter: int = 9945
    prometheus: int = 9090
    alertmanager: int = 9093


def main(argv: Sequence[str]) -> int:
    """Run until Ctrl-C or SIGTERM. The exit status is 2 when a program is missing or a port is taken."""
    parser = argparse.ArgumentParser(prog="make up", description="Exporter, Prometheus and Alertmanager on loopback.")
    parser.add_argument("--free-ports", action="store_true", help="ports that are free, instead of 9945, 9090 and 9093")
    asked = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    missing = [package for name, package in _PROGRAMS.items() if shutil.which(name) is None]
    if missing:
        return _refuse(f"not installed: apt-get install {' '.join(missing)}")
    ports = Ports(*(_free() for _ in range(3))) if asked.free_ports else Ports()
    taken = [str(port) for port in (ports.exporter, ports.prometheus, ports.alertmanager) if _taken(port)]
    if taken:
        return _refuse(f"ports {', '.join(taken)} are taken; UP_FLAGS=--free-ports takes others")
    with tempfile.TemporaryDirectory(prefix="slicewatch-up-") as folder, ExitStack() as stack:
        for command, address in _programs(Path(folder), ports):
            stack.enter_context(_running(command, address, Path(folder)))
        _say(ports)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()
    return 0


def _programs(folder: Path, ports: Ports) -> Iterator[tuple[list[str], str]]:
    """Write every configuration; yield each command with the address that answers when it is ready."""
    rules, ours = folder / "slo-rules.yaml", folder / "slicewatch.yaml"
    shutil.copy(ALERTS / ours.name, ours)
    specs = [specfile.load(ALERTS / "up" / "slo.yaml")]
    rules.write_text(document.prometheus(document.rules(specs)))
    routes = folder / "alertmanager.yml"
    told = routing.config(specs, Receivers())
    for route in told["route"]["routes"]:
        route["group_wait"] = "5s"
    routes.write_text(yaml.safe_dump(told))
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_prometheus(ports, [rules.name, ours.name])))
    listen = {name: f"127.0.0.1:{getattr(ports, name)}" for name in ("exporter", "prometheus", "alertmanager")}
    simulated = ["--source=simulator", f"--simulator.scenario={ALERTS / 'up' / 'node.toml'}", "--node.name=gpu-node-07"]
    yield (
        [sys.executable, "-m", "slicewatch", "exporter", *simulated, f"--web.listen-address={listen['exporter']}"],
        f"http://{listen['exporter']}/-/ready",
    )
    yield (
        [
            "prometheus-alertmanager",
            f"--config.file={routes}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={listen['alertmanager']}",
            "--cluster.listen-address=",
            "--log.level=error",
        ],
        f"http://{listen['alertmanager']}/-/ready",
    )
    yield (
        [
            "prometheus",
            f"--config.file={config.name}",  # so that its pages name rule files without the folder
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={listen['prometheus']}",
            "--log.level=error",
        ],
        f"http://{listen['prometheus']}/-/ready",
    )


def _prometheus(ports: Ports, rules: Sequence[str]) -> dict[str, object]:
    target = [{"targets": [f"127.0.0.1:{ports.exporter}"]}]
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "15s"},
        "rule_files": list(rules),
        "scrape_configs": [{"job_name": "slicewatch", "honor_labels": True, "static_configs": target}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports.alertmanager}"]}]}]},
    }


@contextmanager
def _running(command: Sequence[str], ready: str, folder: Path) -> Iterator[None]:
    """Start a program in its own session, wait until it is ready, and end it in the end. Raises SystemExit with its log."""
    path = folder / f"{Path(command[0]).name}.log"
    with path.open("wb") as log:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + _PATIENCE
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} did not start: {path.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # on loopback
            return bool(answer.status == 200)  # noqa: PLR2004  # HTTP's OK
    except (OSError, urllib.error.URLError):
        return False


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _refuse(why: str) -> int:
    sys.stderr.write(f"make up: {why}\n")
    return 2


def _say(ports: Ports) -> None:
    prometheus = f"http://127.0.0.1:{ports.prometheus}"
    page = "alerts" if _answers(f"{prometheus}/alerts") else "classic/alerts"  # Debian's has the older pages alone
    print(
        f"""
exporter      http://127.0.0.1:{ports.exporter}/
Prometheus    {prometheus}/{page}
Alertmanager  http://127.0.0.1:{ports.alertmanager}/#/alerts

A neighbour takes a time slice after 20 s, another GPU gets too hot after 40 s. The first page is there after about a minute:
one bad minute is enough here (alerts/up/slo.yaml), the shipped objectives want more. Ctrl-C ends all of it.

Debian's Alertmanager has no pages of its own; what it holds, in a terminal:

amtool alert query --alertmanager.url http://127.0.0.1:{ports.alertmanager}
slicewatch why checkout/product-ranker-5b7f6c9d4-lm2xw --url http://127.0.0.1:{ports.exporter}
""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

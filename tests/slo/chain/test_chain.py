"""From the driver to the pager with no stand-in behind the driver: what a breach costs in minutes, and what the page says.

A simulated neighbour takes a time slice under the fake driver; everything above it is the real thing: pynvml, the kubelet's
socket, the API server, the exporter, Prometheus with the generated rules, Alertmanager, a webhook. Beside it, `slo run` does
without the rules, once on Prometheus and once on the exporter alone, and both are killed in the middle. In real time, because the rules have no other: some nine minutes.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.simulator import scenario
from exporter.simulator.sources import SimSources, build
from tests.e2e import mirror
from tests.e2e.rig import ROOT, Rig, environment
from tests.fake_nvml.state import from_reading
from tests.slo.servers import Receiver, alertmanager, free_port, get, prometheus, quick_config, until, webhook

pytestmark = [pytest.mark.real, pytest.mark.timeout(1100)]

HERE = Path(__file__).parent
VICTIM, HOG = "forecast-train-wq6b2", "video-transcode-h7rkd"
WAYS = ("rules", "slo run", "slo run, scraping")
STARTS, ENDS = 40.0, 135.0  # of the hog, seconds into node.toml
TO_PAGE = 240.0  # a minute must be bad as a whole before it can be told, and be evaluated and sent
TO_RESOLVE = 480.0  # the short window of five minutes must have passed


@contextmanager
def played(rig: Rig, node: SimSources) -> Iterator[float]:
    """Let the fake driver say what the simulated one says, twice a second; yields the monotonic time of its second 0."""
    start = time.monotonic()
    over = threading.Event()

    def play() -> None:
        while not over.wait(0.5):
            rig.driver_becomes(from_reading(node.driver.read(time.monotonic() - start)))

    first = node.driver.read(0.0)
    rig.driver_becomes(from_reading(first))
    mirror.allocations(rig, node.kubelet.read(0.0))
    mirror.pods(rig, node.pods.read(0.0))
    mirror.processes(rig, node.processes.read(mirror.pids(first.devices.values())))
    rig.kubelet.start()
    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield start
    finally:
        over.set()
        thread.join()


def slicewatch(*argv: str) -> list[str]:
    return [sys.executable, "-m", "slicewatch", *argv]


def rules(folder: Path) -> Path:
    written = folder / "rules.yml"
    command = slicewatch("slo", "rules", str(HERE / "slo.yaml"), "--output", str(written))
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), timeout=60)
    checked = subprocess.run(["promtool", "check", "rules", str(written)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return written


class Service:
    """`slo run` on a port of its own; it can be killed and started again on what it left on disk."""

    def __init__(self, folder: Path, *flags: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._port = free_port()
        self._argv = [
            *("slo", "run", f"--specs={HERE / 'slo.yaml'}", f"--web.listen-address=127.0.0.1:{self._port}"),
            *(f"--journal.file={folder / 'alerts.db'}", "--log.level=debug", *flags),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                slicewatch(*self._argv), cwd=ROOT, env=environment(), stdout=log, stderr=log
            )
        until(self._ready, "slo run is ready")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with suppress(OSError):
            return b"slicewatch_slo" in get(f"http://127.0.0.1:{self._port}/metrics", timeout=3)
        return False


def pages(receiver: Receiver, status: str) -> list[dict[str, Any]]:
    return receiver.alerts(status, alertname="GPUPartitionPromiseBurn", pod=VICTIM)


def read_out(alert: dict[str, Any]) -> str:
    """Everything that the page says, as one text."""
    return json.dumps(alert["annotations"]) + json.dumps(alert["labels"])


def told_all(alert: dict[str, Any], gpu: str) -> None:
    """Assert that a page names the partition, the pod, what was promised and got, the cause, who has it, and the runbook."""
    labels, said = alert["labels"], read_out(alert)
    assert (labels["namespace"], labels["pod"], labels["container"]) == ("pricing", VICTIM, "train"), labels
    assert (labels["gpu"], labels["severity"], labels["slo"]) == (gpu, "page", "compute"), labels
    assert labels["node"] == "node-1", labels
    for word in ("neighbour", f"batch/{HOG}", f"slicewatch why pricing/{VICTIM}"):
        assert word in said, f"{word!r} is not in {said}"
    assert "25%" in said or "0.25" in said, said
    # Starved it had a sixth; slo run tells the mean with the rest of the wanted time.
    assert re.search(r"got:? (0\.(1[0-9]|2[0-4])|1[0-9](\.[0-9]+)?%)", said, re.IGNORECASE), said
    assert "runbooks.example.org" in alert["annotations"]["runbook_url"], said


def test_a_starved_tenants_page_comes_says_why_and_ends(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = build(scenario.load(HERE / "node.toml"), 1, 0.0, sleep=lambda _: None)
    by_rules, by_run, by_scraping = tmp_path / "rules", tmp_path / "run", tmp_path / "scraping"
    with (
        webhook() as ruled,
        webhook() as ran,
        webhook() as scraped,
        alertmanager(by_rules / "am", quick_config(ruled)) as first,
        alertmanager(tmp_path / "am2", quick_config(ran)) as second,
        alertmanager(tmp_path / "am3", quick_config(scraped)) as third,
        played(rig, node) as start,
    ):
        exporter = rig.start()
        config = {
            "global": {"scrape_interval": "5s", "scrape_timeout": "4s", "evaluation_interval": "1m"},
            "scrape_configs": [
                {
                    "job_name": "slicewatch",
                    "honor_labels": True,
                    "static_configs": [{"targets": [exporter.address]}],
                }
            ],
            "rule_files": [str(rules(tmp_path))],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [first.url.removeprefix("http://")]}]}],
            },
        }
        with prometheus(by_rules / "prometheus", config) as server:
            running = Service(by_run, f"--prometheus={server.url}", f"--alertmanager={second.url}")
            alone = Service(
                by_scraping,
                f"--exporter=http://{exporter.address}",
                f"--history.path={by_scraping / 'history'}",
                f"--alertmanager={third.url}",
            )
            try:
                running.start()
                alone.start()
                took = _watch(start, dict(zip(WAYS, (ruled, ran, scraped), strict=True)), (running, alone))
            finally:
                running.stop(signal.SIGKILL)
                alone.stop(signal.SIGKILL)
        ((gpu,),) = exporter.scrape().rows("gpu_partition_info", "gpu", pod=VICTIM)
        rig.stop()
    for name, receiver in zip(WAYS, (ruled, ran, scraped), strict=True):
        fired, ended = pages(receiver, "firing"), pages(receiver, "resolved")
        assert (len(fired), len(ended)) == (1, 1), f"{name}: {fired} {ended}"
        told_all(fired[0], gpu)
        assert not receiver.alerts("firing", pod=HOG), name
    with capsys.disabled():
        told = {
            name: pages(one, "firing")[0]["annotations"] for name, one in zip(WAYS, (ruled, ran, scraped), strict=True)
        }
        sys.stdout.write(f"\n{yaml.safe_dump([took, told], sort_keys=False, width=140)}")


def _watch(start: float, receivers: dict[str, Receiver], services: tuple[Service, ...]) -> dict[str, str]:
    """Wait for every page, kill and start the services, wait for every end; return what took how long."""
    took: dict[str, str] = {}

    def wait(status: str, since: float, patience: float) -> None:
        left = dict(receivers)

        def all_there() -> bool:
            for name in [name for name, receiver in left.items() if pages(receiver, status)]:
                took[f"{name}: {status}"] = f"{time.monotonic() - start - since:.0f} s"
                del left[name]
            return not left

        try:
            until(all_there, f"{status} from {sorted(receivers)}", patience)
        except pytest.fail.Exception as failure:
            logs = "\n".join(service.log[-3000:] for service in services)
            raise AssertionError(f"{failure}; still missing: {sorted(left)}\n{logs}") from failure

    wait("firing", STARTS, TO_PAGE)
    for service in services:
        service.stop(signal.SIGKILL)
        service.start()
    wait("resolved", ENDS, TO_RESOLVE)
    return took

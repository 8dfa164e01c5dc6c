"""A real Prometheus scrapes the exporter: what it stores is what the page says, and PromQL finds it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import bcrypt
import pytest
import yaml

from tests.e2e.rig import PATIENCE, Exporter, environment, until
from tests.e2e.scrape import fetch
from tests.server.certs import authority

pytestmark = pytest.mark.real

PARTITION = "gpu, device, namespace, pod, container"
SIMULATED = [
    "slicewatch",
    "exporter",
    "--source=simulator",
    "--simulator.scenario=mig-mixed",
    "--tick=500ms",
    "--web.listen-address=127.0.0.1:0",
]
PASSWORD = "correct horse"  # noqa: S105  # of a server that lives for seconds


@dataclass(frozen=True)
class Prometheus:
    """A server that scrapes one target."""

    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return an instant vector."""
        status, body = fetch(f"{self.url}/api/v1/query?{urlencode({'query': query})}")
        assert status == 200, body
        answer = json.loads(body)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def number(self, query: str) -> float | None:
        """Return the value of a query with at most one sample."""
        found = self.ask(query)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def by_partition(self, query: str) -> dict[tuple[str, str, str], float]:
        """Return values by device, pod and container."""
        return {
            (row["metric"]["device"], row["metric"]["pod"], row["metric"]["container"]): float(row["value"][1])
            for row in self.ask(query)
        }

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that a scrape or two will bring."""
        until(condition, f"{what}; targets: {fetch(f'{self.url}/api/v1/targets')[1]}")


def free_port() -> int:
    """Find a port that is free now; Prometheus does not tell which one it took for 0."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def job(name: str, address: str, **how: Any) -> dict[str, Any]:
    """Return a scrape configuration for one address."""
    return {"job_name": name, "static_configs": [{"targets": [address]}], **how}


@contextmanager
def prometheus(folder: Path, *jobs: dict[str, Any]) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes every second."""
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": list(jobs)}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    checked = subprocess.run(["promtool", "check", "config", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
    try:
        until(lambda: _ready(url) or process.poll() is not None, "Prometheus is ready")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _ready(url: str) -> bool:
    try:
        return fetch(f"{url}/-/ready")[0] == 200
    except OSError:
        return False


def _need_programs() -> None:
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(f"{' and '.join(missing)} not found: install the Debian package prometheus")


@dataclass(frozen=True)
class Scraped:
    """A server, and the two exporters that it scrapes: one open, one behind TLS and a password."""

    server: Prometheus
    opened: Exporter
    closed: Exporter


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """One Prometheus for all of these tests: it takes 5 s to find its targets (discovery manager, `updatert`)."""
    _need_programs()
    folders = {name: tmp_path_factory.mktemp(name) for name in ("prometheus", "opened", "closed")}
    ca = authority(folders["closed"])
    certificate, key = ca.sign("localhost")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    web = folders["closed"] / "web.yml"
    config = {
        "tls_server_config": {"cert_file": certificate.name, "key_file": key.name},
        "basic_auth_users": {"prometheus": hashed},
    }
    web.write_text(yaml.safe_dump(config))
    https = {"scheme": "https", "tls_config": {"ca_file": str(ca.file), "server_name": "localhost"}}
    user = {"basic_auth": {"username": "prometheus", "password": PASSWORD}}
    with (
        Exporter(folders["opened"], SIMULATED) as opened,
        Exporter(folders["closed"], [*SIMULATED, f"--web.config.file={web}"]) as closed,
    ):
        jobs = (
            job("opened", opened.address),
            job("known", closed.address, **user, **https),
            job("unknown", closed.address, **https),
            job("plain", closed.address, **user),
        )
        with prometheus(folders["prometheus"], *jobs) as server:
            server.until(lambda: server.number('up{job="opened"}') == 1, "the target is up")
            opened.until(lambda page: "gpu_partition_used_compute_ratio" in page.samples, "activity is measured")
            counted = 'count(gpu_partition_promised_memory_bytes{job="opened"})'
            server.until(lambda: server.number(counted) == 4, "partitions are stored")
            yield Scraped(server, opened, closed)
        assert opened.terminate() == 0
        assert closed.terminate() == 0


def test_prometheus_stores_what_the_page_says(scraped: Scraped) -> None:
    server, exporter = scraped.server, scraped.opened
    stored = ('scrape_samples_scraped{job="opened"}', 'scrape_samples_post_metric_relabeling{job="opened"}')
    server.until(
        lambda: {server.number(query) for query in stored} == {exporter.scrape().series}, "all samples are stored"
    )
    names = {row["metric"]["__name__"] for row in server.ask('{job="opened"}')}
    own = {name for name in names if name.startswith("scrape_")} | {"up"}
    assert names - own == exporter.scrape().samples.keys()


@pytest.mark.parametrize(
    "name",
    [
        "gpu_partition_promised_compute_ratio",
        "gpu_partition_promised_memory_bytes",
        "gpu_partition_used_memory_bytes",
        "gpu_partition_obtainable_memory_bytes",
    ],
)
def test_promised_and_actual_are_found_by_promql(scraped: Scraped, name: str) -> None:
    found = scraped.server.by_partition(f'{name}{{job="opened"}}')
    expected = scraped.opened.scrape().rows(name, "device", "pod", "container")
    assert len(found) == 4
    # Two scrapes of a node that lives on; what is promised does not change.
    assert found == (expected if "promised" in name else pytest.approx(expected, rel=0.05))


def test_promised_and_actual_are_compared_and_named_by_promql(scraped: Scraped) -> None:
    server, everyone = scraped.server, 4
    actual, promised = "gpu_partition_used_memory_bytes", "gpu_partition_promised_memory_bytes"
    assert len(server.by_partition(f'{actual}{{job="opened"}} <= {promised}')) == everyone
    promise = 'gpu_partition_promised_compute_ratio{job="opened"}'
    named = server.ask(f"{promise} * on (job, {PARTITION}) group_left (workload) gpu_partition_info")
    assert {row["metric"]["workload"] for row in named} == {"query-embedder", "card-scoring", "pretrain-3b"}
    kept = 'gpu_partition_guarantee_seconds_total{job="opened", guarantee="availability", outcome="kept"}'
    server.until(lambda: len(server.ask(f"rate({kept}[10s]) > 0")) == everyone, "counters grow")
    told = subprocess.run(
        ["promtool", "query", "instant", server.url, 'count(gpu_partition_info{job="opened"})'],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.startswith("{} => 4 @"), told


def test_prometheus_scrapes_through_tls_with_a_password_and_not_without(scraped: Scraped) -> None:
    server = scraped.server
    expected = {"opened": "1", "known": "1", "unknown": "0", "plain": "0"}
    server.until(
        lambda: {row["metric"]["job"]: row["value"][1] for row in server.ask("up")} == expected, "who may is let in"
    )
    assert server.number('count(gpu_partition_promised_memory_bytes{job="known"})') == 4
    targets = json.loads(fetch(f"{server.url}/api/v1/targets")[1])["data"]["activeTargets"]
    assert "401" in {target["scrapePool"]: target["lastError"] for target in targets}["unknown"]

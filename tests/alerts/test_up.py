"""`make up` as a person starts it: three programs, an alert in the real Alertmanager, and nothing left when it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.slo.servers import get, program, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    said = tmp_path / "said"
    with said.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "tools.up", "--free-ports"], cwd=ROOT, stdout=out, stderr=out)
    try:
        until(lambda: "Ctrl-C" in said.read_text() or process.poll() is not None, "it is up")
        assert process.poll() is None, said.read_text()
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_an_alert_is_seen_and_everything_ends_with_it(up: tuple[subprocess.Popen[bytes], Path]):
    process, said = up
    exporter, prometheus, alertmanager = re.findall(r"^\w+ +(http://127\.0\.0\.1:\d+)/", said.read_text(), re.MULTILINE)

    def paged() -> bool:
        found = json.loads(get(f"{alertmanager}/api/v2/alerts"))
        return "product-ranker-5b7f6c9d4-lm2xw" in {
            one["labels"].get("pod") for one in found if one["labels"]["severity"] == "page"
        }

    started = time.monotonic()
    until(paged, "the page is at Alertmanager", 200)
    assert time.monotonic() - started > 20  # the hog is not there at once
    assert b"gpu_partition_info" in get(f"{exporter}/metrics")
    rules = json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    assert {"slicewatch", "gpu-slo-compute"} <= {group["name"] for group in rules}
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    for url in (exporter, prometheus, alertmanager):
        with suppress(OSError):
            get(url, timeout=2)
            pytest.fail(f"{url} still answers")


def test_the_compose_file_mounts_what_is_there():
    folder = ROOT / "deploy" / "compose"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    assert set(compose["services"]) == {"exporter", "prometheus", "alertmanager", "grafana"}
    for service in compose["services"].values():
        assert "build" in service or service["image"].rpartition(":")[2] not in {"", "latest"}
        for mount in service.get("volumes", ()):
            source, target, mode = mount.split(":")
            assert (folder / source).exists(), source
            assert target.startswith("/")
            assert mode == "ro"
    (source,) = yaml.safe_load((folder / "grafana" / "datasource.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    targets = {t for job in config["scrape_configs"] for each in job["static_configs"] for t in each["targets"]}
    assert targets == {"exporter:9945"}

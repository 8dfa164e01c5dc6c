"""Alerts, their tests and their runbooks: one of each for every name, and what a runbook says to type can be typed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slo.verdicts import NOT_SHOWN
from tests.dashboards.scene import END, scene
from tests.e2e.rig import Exporter, environment
from tests.slo.servers import alertmanager, program, webhook

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "alerts"
RULES = sorted(ALERTS.glob("*.yaml"))
TESTS = sorted((ALERTS / "tests").glob("*.yaml"))
RUNBOOKS = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "runbooks").glob("*.md"))}
PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def rules() -> list[dict[str, Any]]:
    found = []
    for path in RULES:
        for group in yaml.safe_load(path.read_text()).get("groups", ()):
            found += [rule for rule in group["rules"] if "alert" in rule]
    return found


NAMES = {rule["alert"] for rule in rules()}


def checked(fires: bool) -> set[str]:  # noqa: FBT001
    """Names whose alert a promtool test wants to fire, or wants to stay quiet."""
    found = set()
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for check in test.get("alert_rule_test", ()):
                if bool(check.get("exp_alerts")) is fires:
                    found.add(check["alertname"])
            for check in test.get("promql_expr_test", ()):
                named = re.search(r'alertname="(\w+)"', check["expr"])
                if named and bool(check.get("exp_samples")) is fires:
                    found.add(named[1])
    return found


def test_every_alert_has_a_test_that_fires_one_that_stays_quiet_and_a_runbook():
    always = {"GPUSLOWatchdog"}
    assert checked(fires=True) == NAMES
    assert checked(fires=False) >= NAMES - always
    assert set(RUNBOOKS) == NAMES | {NOT_SHOWN}  # which `slo run` alone raises


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_a_person_needs(rule: dict[str, Any]):
    said = rule["annotations"]
    assert {"summary", "description", "runbook_url"} <= set(said)
    assert (ROOT / said["runbook_url"]).stem == rule["alert"]
    assert (ROOT / said["runbook_url"]).is_file()
    assert rule["labels"]["severity"] in {"page", "ticket", "none"}
    if rule["alert"].startswith("GPUPartitionPromise"):
        assert all(word in said["description"] for word in ("Promised:", "Since:", "Cause:"))
    if rule["alert"].startswith("Slicewatch"):
        assert "for" in rule


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_runs_the_tests(path: Path):
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
def test_promtool_and_amtool_take_what_is_committed():
    for path in RULES:
        told = path.name == "alertmanager.yaml"
        command = [program("amtool"), "check-config"] if told else [program("promtool"), "check", "rules"]
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=SlicewatchEvaluatorBehind severity=page", "gpu-slo-page"),
        ("alertname=SlicewatchOrphans severity=ticket", "gpu-slo-ticket"),
        ("alertname=GPUPartitionPromiseBurn severity=ticket namespace=team-a", "team-a"),
        ("alertname=GPUPartitionPromiseBurn severity=page namespace=team-a", "gpu-slo-page"),
    ],
)
def test_the_example_routes(labels: str, receiver: str):
    command = [program("amtool"), "config", "routes", "test", f"--config.file={ALERTS / 'alertmanager.yaml'}"]
    done = subprocess.run([*command, *labels.split()], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == receiver


@pytest.mark.parametrize("name", RUNBOOKS)
def test_a_runbook_has_its_parts_in_their_order(name: str):
    text = RUNBOOKS[name]
    assert text.startswith(f"# {name}\n\nSeverity: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert part.strip()
    assert len(text.splitlines()) < 70  # it is read at three in the morning


@dataclass(frozen=True)
class Place:
    """Where the runbooks' addresses are, in a test."""

    node: str
    prometheus: str
    alertmanager: str
    folder: Path

    def put(self, line: str) -> list[str]:
        words = line.replace("http://NODE:9945", f"http://{self.node}").replace(
            "http://PROMETHEUS:9090", self.prometheus
        )
        words = words.replace("http://ALERTMANAGER:9093", self.alertmanager)
        pod = "checkout/product-ranker-5b7f6c9d4-lm2xw"
        return shlex.split(words.replace("NAMESPACE/POD", pod).replace("NODE:9945", self.node))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    flags = [
        "slicewatch",
        "exporter",
        "--source=simulator",
        "--simulator.scenario=demo",
        "--web.listen-address=127.0.0.1:0",
    ]
    exporter = folder / "exporter"
    exporter.mkdir()
    with (
        Exporter(exporter, flags) as node,
        scene(folder / "scene") as server,
        webhook() as receiver,
        alertmanager(folder / "am", {"route": {"receiver": "r"}, "receivers": [{"name": "r"}]}) as peer,
    ):
        del receiver
        node.until(lambda page: "gpu_partition_info" in page.samples, "partitions are seen")
        yield Place(node.address, server.url, peer.url, folder)
        node.terminate()


COMMANDS = sorted(
    {
        line
        for text in RUNBOOKS.values()
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line
    }
)
ALLOWED = {
    "slicewatch status": {0, 1},
    "slicewatch why": {0, 1},
    "slicewatch slo": {0, 1},
    "slicewatch doctor": {0},
    "slicewatch lint": {0, 1},
}


def test_commands_of_runbooks_are_of_programs_that_an_operator_has():
    assert {line.split()[0] for line in COMMANDS} == {"slicewatch", "promtool", "amtool", "kubectl"}
    assert len(COMMANDS) > 15


@pytest.mark.real
@pytest.mark.timeout(120)
@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith("kubectl")])
def test_a_command_of_a_runbook_works(line: str, place: Place, tmp_path: Path):
    words = place.put(line)
    if words[0] == "slicewatch":
        words = [sys.executable, "-m", "slicewatch", *words[1:]]
        if words[3] in {"doctor", "record"}:  # on a node: here, a simulated one
            words += ["--source=simulator", "--tick=100ms"]
        if words[3] == "record":
            words = ["--duration=1s" if word == "2m" else word for word in words if word != "--duration"]
        if "--prometheus" in words and words[3] in {"slo", "why"}:
            words += [f"--at={END}"]
    if words[0] == "promtool":
        words[3:3] = [f"--time={END}"]
    env = environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    allowed = next((found for start, found in ALLOWED.items() if line.startswith(start)), {0})
    assert done.returncode in allowed, done.stdout + done.stderr
    assert done.stdout.strip() or words[0] == "promtool" or "--output" in words  # an empty vector is an answer

"""`slicewatch lint` as a command: what it prints, and its exit statuses."""

from __future__ import annotations

import http.server
import io
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from exporter.errors import SourceError
from exporter.lint import cli, snapshot
from exporter.lint.rules import NODE_RULES, PLAN_RULES
from exporter.model import Reason
from exporter.snapshot_json import snapshot_json
from tests.scenarios.stage import played
from toolkit.errors import ConfigError

CLEAN = "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: m, resources: {limits: {nvidia.com/gpu: 1}}}]}\n"
KAI = """\
kind: Deployment
metadata: {name: chat, namespace: ml}
spec:
  replicas: 24
  template:
    metadata: {annotations: {gpu-memory: "2000"}}
    spec: {containers: [{name: m}]}
"""
L40S = ("--gpu", "NVIDIA L40S:46068MiB")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(
    *argv: str | Path, stdout: io.StringIO | None = None, environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    out = io.StringIO() if stdout is None else stdout
    status = cli.main([str(word) for word in argv], environ or {}, out, io.StringIO())
    return status, out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kai.yaml").write_text(KAI)
    return tmp_path


@contextmanager
def exporter(body: bytes, status: int = 200) -> Iterator[str]:
    """An exporter that knows one answer; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            found = self.path == "/snapshot"
            self.send_response(status if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_manifests_that_cannot_hold_are_told_in_a_table_and_the_status_is_1(folder: Path):
    status, out = run("-f", folder, *L40S)
    lines = out.splitlines()
    assert status == 1
    assert re.split(r" {2,}", lines[0]) == [
        f"{folder}/kai.yaml:1",
        "KAI gpu-memory=2000 MiB × 24 on 1 GPU of 46068 MiB",
        "CANNOT HOLD",
        "48000 MiB are promised",
    ]
    assert lines[1].strip() == "→ fewer pods, or less each [kai-above-node]"
    assert "NOBODY ENFORCES  neither memory nor SMs" in lines[2]
    assert lines[2].index("NOBODY") == lines[0].index("CANNOT")
    assert lines[-1] == "2 findings (1 impossible, 1 unenforced) in 1 object   exit 1"


def test_manifests_that_hold_have_the_status_0(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(CLEAN)
    assert run("-f", tmp_path / "a.yaml") == (0, "0 findings in 1 object   exit 0\n")


def test_notes_alone_have_the_status_0(tmp_path: Path):
    text = "version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}\n"
    (tmp_path / "a.yaml").write_text(text)
    status, out = run("-f", tmp_path)
    assert status == 0
    assert "NOTE" in out


def test_json_is_for_programs(folder: Path):
    status, out = run("--json", "-f", folder, *L40S)
    document = json.loads(out)
    assert (status, document["exit"]) == (1, 1)
    assert document["counts"] == {"impossible": 1, "unenforced": 1}
    assert document["findings"][0] == {
        "rule": "kai-above-node",
        "severity": "impossible",
        "code": "CANNOT HOLD",
        "where": f"{folder}/kai.yaml:1",
        "what": "KAI gpu-memory=2000 MiB × 24 on 1 GPU of 46068 MiB",
        "why": "48000 MiB are promised",
        "advice": "fewer pods, or less each",
    }


def test_a_rule_is_left_out_by_name(folder: Path):
    assert run("-f", folder, "--ignore", "kai-unenforced")[0] == 0
    with pytest.raises(ConfigError, match='"kai-unforced" is no rule, did you mean "kai-unenforced"'):
        run("-f", folder, "--ignore", "kai-unforced")


def test_colour_is_for_terminals_that_want_it(folder: Path):
    assert "\x1b[" in run("-f", folder, stdout=Terminal())[1]
    assert "\x1b[" not in run("-f", folder, stdout=Terminal(), environ={"NO_COLOR": ""})[1]
    assert "\x1b[" not in run("-f", folder)[1]


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(KAI.replace("name: chat", 'name: "x\\e[2J\\ny"'))
    out = run("-f", tmp_path, stdout=Terminal())[1]
    assert "\x1b[2J" not in out
    assert "ml/x\\x1b[2J\\ny" in out


def test_the_name_of_a_file_cannot_write_to_the_terminal(tmp_path: Path):
    sharing = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 2}]}}\n"
    (tmp_path / "\x1b[2J.yaml").write_text(f"{sharing}---\n{CLEAN}")
    out = run("-f", tmp_path)[1]
    assert "\x1b" not in out
    assert out.splitlines()[0].count("\\x1b[2J.yaml:") == 2


def test_a_policy_file_names_the_system_namespaces(tmp_path: Path):
    (tmp_path / "policy").write_text("apiVersion: slicewatch/v1\nkind: Policy\nallow: {systemNamespaces: [ml]}\n")
    (tmp_path / "a.yaml").write_text(
        "kind: Pod\nmetadata: {name: a, namespace: ml}\nspec: {containers: [{env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]}]}\n"
    )
    assert run("-f", tmp_path)[0] == 1
    assert run("-f", tmp_path, "--policy.file", tmp_path / "policy")[0] == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "nothing to lint"),
        (["--gpu", "L40S:1GiB", "--url", "http://x"], "--gpu describes the node"),
        (["-f", "x", "--gpu", "L40S"], 'expected "MODEL:MEMORY"'),
        (["-f", "x", "--gpu", "0x L40S:1GiB"], 'expected "MODEL:MEMORY"'),
        (["-f", "x", "--gpu", "L40S:0MiB"], 'expected "MODEL:MEMORY"'),
        (["-f", "/does/not/exist.yaml"], "cannot be read"),
        (["--url", "node:9945"], "expected a URL such as http://HOST:PORT"),
        (["--jsn"], "unknown flag --jsn, did you mean .--json"),
        (["-f"], "expected at least one argument"),
    ],
)
def test_what_cannot_be_done_as_asked_is_a_fault_of_usage(argv: list[str], said: str):
    with pytest.raises(ConfigError, match=said):
        run(*argv)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4x NVIDIA L40S:24GiB", "on 4 GPUs of 98304 MiB"),
        ("NVIDIA H100 80GB HBM3:40000MiB", "on 1 GPU of 40000 MiB"),
    ],
)
def test_a_node_is_described_by_its_gpus(tmp_path: Path, text: str, words: str):
    (tmp_path / "a.yaml").write_text(KAI.replace("replicas: 24", "replicas: 99"))
    assert words in run("-f", tmp_path, "--gpu", text)[1]


def test_a_live_node_is_read_from_its_exporter():
    tick = played("oversubscribed", 60)
    with exporter(snapshot_json(tick.result, tick.health, 1.0)) as url:
        for spelling in (url, f"{url}/", f"{url}/snapshot"):
            status, out = run("--url", spelling)
            assert status == 1
            assert out.splitlines()[0].startswith("node-1 gpu0  4 slots held of 2: ")
            assert out.splitlines()[-1].endswith("in 4 partitions on node-1   exit 1")


def test_a_live_node_and_manifests_are_linted_together(folder: Path):
    tick = played("mig-mixed", 10)
    with exporter(snapshot_json(tick.result, tick.health, 1.0)) as url:
        out = run("-f", folder, "--url", url)[1]
    assert "in 1 object, " in out


def test_a_node_that_cannot_be_read_is_a_source_that_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    with pytest.raises(SourceError, match="refused"):
        run("--url", f"http://127.0.0.1:{port}")
    with exporter(b"", 503) as url, pytest.raises(SourceError, match="answers 503"):
        run("--url", url)
    with exporter(b"<html>") as url, pytest.raises(SourceError, match="no snapshot"):
        run("--url", url)


def test_a_node_that_says_nothing_times_out():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError) as caught:
        snapshot.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
    assert caught.value.reason is Reason.TIMEOUT


def test_manifests_are_read_from_standard_input():
    program = "import sys\nfrom exporter.lint import cli\nsys.exit(cli.main(['-f', '-'], {}, sys.stdout, sys.stderr))"
    done = subprocess.run([sys.executable, "-c", program], input=KAI, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("/dev/stdin:1  Deployment ml/chat: KAI gpu-memory=2000 MiB")


def test_rules_are_listed_with_their_sources():
    status, out = run("--rules")
    assert status == 0
    assert "time-slice-unenforced (unenforced)\n    A time slice is asked for" in out


def test_the_page_names_every_rule_and_severity():
    page = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    for rule in [(r.name, r.severity) for r in PLAN_RULES] + [(r.name, r.severity) for r in NODE_RULES]:
        assert f"| `{rule[0]}` | {rule[1]} |" in page

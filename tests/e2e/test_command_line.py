"""What the command says to those who ask for what cannot be done, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.node import driver, furnish, hanging
from tests.e2e.rig import ROOT, Exporter, Rig, environment, until

FILES = {
    "unknown.yaml": "tick: 1s\nweb:\n  listen-adress: ':9945'\nnodename: n\n",
    "malformed.yaml": "tick: [1s\n",
    "types.yaml": "tick: [1, 2]\nweb.max-requests: many\nonce: 3\n",
    "tabs.yaml": "web:\n\tlisten-address: ':9945'\n",
    "kubeconfig": "[",
    "empty-kubeconfig": "",
    "plain.yml": "basic_auth_users:\n  prometheus: plain\n",
    "half.yml": "tls_server_config:\n  cert_file: server.crt\n",
    "no-cert.yml": "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n",
    "board.toml": "about = 'x'\n[node]\nname = 'n'\n[[gpu]]\nname = 'g'\nboard = 'H1000'\n",
}

SIMULATED = ("exporter", "--source=simulator", "--web.listen-address=127.0.0.1:0")

REFUSED: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    # name: (command line, every line of the answer). {0} is the folder of FILES; a line is a pattern when it begins with ^.
    "unknown flag": (["exporter", "--tik=1s"], ['slicewatch exporter: unknown flag --tik, did you mean "--tick"?']),
    "two faults": (
        ["exporter", "--tick=1", "--log.level=loud"],
        [
            'slicewatch exporter: --tick: "1"; expected a duration such as 500ms, 1s or 1m30s',
            'slicewatch exporter: --log.level: "loud"; expected debug, info, warn or error',
        ],
    ),
    "stray word": (["exporter", "stray"], ['slicewatch exporter: unexpected argument "stray"']),
    "flag without its value": (
        ["exporter", "--tick"],
        ["slicewatch exporter: argument --tick: expected one argument"],
    ),
    "flag twice": (
        ["exporter", "--tick=1s", "--tick=2s"],
        ["slicewatch exporter: --tick is given 2 times; expected once"],
    ),
    "unknown keys": (
        ["exporter", "--config.file={0}/unknown.yaml"],
        [
            (
                'slicewatch exporter: {0}/unknown.yaml:3:3: unknown key "web.listen-adress", did you mean'
                ' "web.listen-address"?'
            ),
            'slicewatch exporter: {0}/unknown.yaml:4:1: unknown key "nodename", did you mean "node.name"?',
        ],
    ),
    "malformed YAML": (
        ["exporter", "--config.file={0}/malformed.yaml"],
        ["slicewatch exporter: {0}/malformed.yaml:2:1: expected ',' or ']', but got '<stream end>'"],
    ),
    "a tab in YAML": (
        ["exporter", "--config.file={0}/tabs.yaml"],
        [r"^slicewatch exporter: .*/tabs\.yaml:2:1: found character '\\t' that cannot start any token"],
    ),
    "wrong types": (
        ["exporter", "--config.file={0}/types.yaml"],
        [
            "slicewatch exporter: {0}/types.yaml:1:7: a list; expected text",
            'slicewatch exporter: {0}/types.yaml:3:7: "3"; expected true or false',
            'slicewatch exporter: {0}/types.yaml:2:19: web.max-requests: "many"; expected a whole number from 1 to 10000',
        ],
    ),
    "no configuration file": (
        ["exporter", "--config.file={0}/none.yaml"],
        ["slicewatch exporter: {0}/none.yaml: cannot be read: No such file or directory"],
    ),
    "a folder as configuration": (
        ["exporter", "--config.file={0}"],
        ["slicewatch exporter: {0}: cannot be read: Is a directory"],
    ),
    "no kubeconfig": (
        ["exporter", "--kubernetes={0}/none"],
        ["slicewatch exporter: {0}/none: cannot read this kubeconfig: No such file or directory"],
    ),
    "a kubeconfig that is none": (
        ["exporter", "--kubernetes={0}/kubeconfig"],
        [r"^slicewatch exporter: .*/kubeconfig: no usable kubeconfig: .+; expected a file with clusters, users, .*"],
    ),
    "an empty kubeconfig": (
        ["exporter", "--kubernetes={0}/empty-kubeconfig"],
        [r"^slicewatch exporter: .*/empty-kubeconfig: no usable kubeconfig: .+; expected a file with clusters, .*"],
    ),
    "no web configuration": (
        [*SIMULATED, "--web.config.file={0}/none.yml"],
        ["slicewatch exporter: {0}/none.yml: cannot be read: No such file or directory"],
    ),
    "a password that is no hash": (
        [*SIMULATED, "--web.config.file={0}/plain.yml"],
        [
            (
                "slicewatch exporter: {0}/plain.yml:2:15: the password of prometheus is no bcrypt hash; expected what"
                " `htpasswd -nBC 10` prints, $2y$…"
            ),
        ],
    ),
    "half a certificate": (
        [*SIMULATED, "--web.config.file={0}/half.yml"],
        [
            (
                "slicewatch exporter: {0}/half.yml:2:3: tls_server_config without key_file; expected both cert_file and"
                " key_file"
            ),
        ],
    ),
    "a certificate that is not there": (
        [*SIMULATED, "--web.config.file={0}/no-cert.yml"],
        [r"^slicewatch exporter: .*/server\.crt.*: .*[Nn]o such file or directory.*"],
    ),
    "an address that is none": (
        ["exporter", "--web.listen-address=127.0.0.1"],
        [
            (
                'slicewatch exporter: --web.listen-address: "127.0.0.1"; expected an address such as 0.0.0.0:9945,'
                " [::]:9945 or :9945"
            ),
        ],
    ),
    "unknown scenario": (
        ["exporter", "--source=simulator", "--simulator.scenario=nope"],
        [r"^slicewatch exporter: nope: no such scenario, and no file that can be read \(shipped: .*mig-mixed.*\)"],
    ),
    "a scenario with a fault": (
        ["exporter", "--source=simulator", "--simulator.scenario={0}/board.toml"],
        [r"^slicewatch exporter: .*/board\.toml: .*board.*: expected one of .+, found 'H1000'"],
    ),
    "a scenario without the simulator": (
        ["exporter", "--simulator.seed=3"],
        ["slicewatch exporter: --simulator.seed needs source simulator, and source is nvml (by default)"],
    ),
    "replay": (
        ["exporter", "--source=replay"],
        ["slicewatch exporter: --source replay needs --replay.file: expected a recording"],
    ),
    "unknown command": (["exportr"], [r"^slicewatch: unknown command 'exportr': expected one of exporter, .+"]),
}


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "slicewatch", *argv],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_ends_with_2_and_says_why_in_a_line(tmp_path: Path, name: str) -> None:
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    argv, expected = REFUSED[name]
    done = run(*(word.format(tmp_path) for word in argv))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(expected), done.stderr
    for line, wanted in zip(lines, expected, strict=True):
        found = re.fullmatch(wanted[1:], line) if wanted.startswith("^") else line == wanted.format(tmp_path)
        assert found, line


def test_a_port_that_is_taken_ends_with_2_and_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("exporter", "--source=simulator", f"--web.listen-address=127.0.0.1:{port}")
    line = f"slicewatch exporter: cannot listen on 127.0.0.1:{port}: another program listens there\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_without_a_command_the_help_is_said_and_the_status_is_2() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: slicewatch COMMAND" in done.stderr


def test_a_reader_that_hangs_up_is_no_crash() -> None:
    command = [sys.executable, "-m", "slicewatch", "exporter", "--source=simulator", "--tick=100ms", "--once"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said
    assert said.count("\n") <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_at_once(rig: Rig, number: signal.Signals) -> None:
    furnish(rig).kubelet.start()
    exporter = rig.start()
    started = time.monotonic()
    exporter.process.send_signal(number)
    assert exporter.process.wait(10) == 0
    assert time.monotonic() - started < 3.0
    assert "msg=ending" in exporter.log
    counters = rig.counters()
    assert counters["concurrent_calls"] == 0
    assert (counters["live_samples"], counters["live_event_sets"], counters["live_inits"]) == (0, 0, 0)


def stuck(exporter: Exporter) -> bool:
    """Whether two ticks' time passes without one."""
    before = exporter.scrape().ticks
    time.sleep(0.5)
    return exporter.scrape().ticks == before


def test_sigterm_in_the_tick_that_meets_a_hanging_driver_is_not_held_up_by_it(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    exporter = rig.start()
    rig.driver_becomes(hanging())
    until(lambda: stuck(exporter), "the tick waits")
    # It waits for three seconds; the end waits for it for one.
    ends_with_0_within(2.0, exporter, rig)


def test_sigterm_ends_it_with_0_while_the_driver_is_known_to_hang(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    exporter = rig.start()
    rig.driver_becomes(hanging())
    exporter.until(lambda page: page.value("slicewatch_source_up", source="nvml") == 0, "the driver is down")
    ends_with_0_within(3.0, exporter, rig)


def ends_with_0_within(seconds: float, exporter: Exporter, rig: Rig) -> None:
    """Send SIGTERM to an exporter whose driver hangs."""
    started = time.monotonic()
    assert exporter.terminate() == 0
    assert time.monotonic() - started < seconds
    assert "Traceback" not in exporter.log
    # Nothing can be given back while a call is inside; and nobody else went in.
    assert (rig.counters()["in_flight"], rig.counters()["concurrent_calls"]) == (1, 0)


def test_every_line_of_a_json_log_is_an_object_with_time_level_and_message(rig: Rig) -> None:
    furnish(rig)
    rig.driver_becomes(driver(init=9))
    exporter = rig.start("--log.format=json")
    until(lambda: "nvml" in exporter.log and "podresources" in exporter.log, "sources are complained about")
    rig.stop()
    lines = [json.loads(line) for line in exporter.log.splitlines()]
    assert all({"ts", "level", "msg"} <= line.keys() for line in lines)
    assert [line["msg"] for line in lines if line["level"] == "info" and "source" not in line][-1] == "ending"
    down = {line["source"]: line["reason"] for line in lines if line["level"] == "error"}
    assert down == {"nvml": "error", "podresources": "error"}


def test_the_command_of_the_documentation_serves_a_simulated_node(tmp_path: Path) -> None:
    with Exporter(tmp_path, ["slicewatch", *SIMULATED, "--simulator.scenario=mig-mixed"]) as exporter:
        page = exporter.ready().scrape()
        assert len(page.rows("gpu_partition_info", "device")) == 4
        assert exporter.terminate() == 0

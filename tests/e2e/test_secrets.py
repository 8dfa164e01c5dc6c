"""Secrets planted in everything that is configured or read: none of them is in anything that is written or served.

Each is a word of its own, so that what leaks says where it came from.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from slicewatch import PROGRAM
from tests.e2e.mirror import pod_object
from tests.e2e.node import RANKER, TRAINER, furnish
from tests.e2e.rig import ROOT, Rig, environment, until
from tests.e2e.scrape import fetch
from tests.slo.prometheus.bad_server import Asked, Reply, serving
from tests.slo.servers import free_port


def canary(name: str) -> str:
    return f"planted{name}9Zq7"


TOKEN, PASSWORD, WRONG, ENVIRONMENT, VALUE, ANNOTATION, LABEL = (
    canary(name) for name in ("Token", "Password", "Wrong", "Environment", "Value", "Annotation", "Label")
)


def leaks(text: str | bytes) -> set[str]:
    """The planted words in a text, as they are or in base64."""
    data = text if isinstance(text, bytes) else text.encode()
    words = {canary(name).encode() for name in NAMES}
    packed = {base64.b64encode(b"x" * shift + word)[4:-4] for word in words for shift in range(3)}
    return {word.decode() for word in words | packed if word in data}


NAMES = (
    *("Token", "Password", "Wrong", "Environment", "Value", "Annotation", "Label"),
    *("Url", "Query", "Echo", "Exec", "Proxy", "Key", "File", "Peer", "Config"),
)


@pytest.mark.parametrize("shift", range(3))
def test_a_planted_word_is_found_as_it_is_and_in_any_base64(shift: int) -> None:
    word = canary("Token").encode()
    assert leaks(b"token=" + word + b",") == {word.decode()}
    assert leaks(base64.b64encode(b"u:pw"[:shift] + word + b"!")) != set()
    assert leaks("Authorization: Basic cHJvbWV0aGV1czpyaWdodA==") == set()


def pods() -> Iterable[dict[str, Any]]:
    """The node's pods, with everything in them that may hold a secret."""
    for pod in (TRAINER, RANKER):
        whole = pod_object(pod)
        whole["metadata"].setdefault("labels", {})["team-key"] = LABEL
        whole["metadata"]["annotations"] = {"vault": ANNOTATION, "hami.io/vgpu-devices-allocated": ANNOTATION}
        for container in whole["spec"]["containers"]:
            container["env"] = [{"name": "API_KEY", "value": VALUE}, {"name": "CUDA_DISABLE_CONTROL", "value": VALUE}]
            container["args"] = [f"--password={VALUE}"]
        yield whole


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'prometheus:{password}'.encode()).decode()}"}


def ask(address: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


def test_an_exporter_neither_logs_nor_serves_nor_records_a_secret(rig: Rig, tmp_path: Path) -> None:
    furnish(rig)
    rig.kubelet.start()
    for pod in pods():
        rig.api.put(pod)
    rig.api.token = TOKEN
    rig.api.kubeconfig(rig.kubeconfig, token=TOKEN)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{prometheus: '{hashed}'}}\n")
    exporter = rig.launch("--log.level=debug", f"--web.config.file={tmp_path / 'web.yml'}")
    until(lambda: b"trainer-0" in ask(exporter.address, "/metrics", basic(PASSWORD))[1], "the pods are on the page")
    served = b"".join(ask(exporter.address, path, basic(PASSWORD))[1] for path in ("/", "/metrics", "/snapshot"))
    served += ask(exporter.address, f"/metrics?token={canary('Query')}", basic(WRONG))[1]
    served += ask(exporter.address, f"/{canary('Query')}", basic(PASSWORD))[1]
    rig.api.refuse = dict.fromkeys(("watch", "list", "get"), (403, f"{TOKEN} may not"))
    rig.api.drop()
    until(lambda: "may not" in exporter.log, "the refusal is logged")
    served += ask(exporter.address, "/", basic(PASSWORD))[1]
    assert b"trainer-0" in served
    rig.stop()
    rig.api.refuse = {}
    recorded = tmp_path / "node.swrec"
    done = command(rig, "record", f"--output={recorded}", "--duration=1s", "--names=keep")
    assert done.returncode == 0, done.stderr
    told = command(rig, "doctor")
    content = gzip.decompress(recorded.read_bytes())
    assert b"trainer-0" in content
    everything = b"".join(
        [served, exporter.log.encode(), content.replace(LABEL.encode(), b""), done.stdout, done.stderr, told.stdout]
    )
    assert leaks(everything) == set()
    assert hashed.encode() not in everything
    # A recording with its names kept has labels, which a policy may select by; disguised, it has none of a site's own.
    disguised = tmp_path / "disguised.swrec"
    command(rig, "record", f"--output={disguised}", "--duration=1s")
    assert leaks(gzip.decompress(disguised.read_bytes())) == set()


def command(rig: Rig, name: str, *flags: str) -> subprocess.CompletedProcess[bytes]:
    arguments = [flag for flag in rig.arguments()[1:] if not flag.startswith("--web.listen-address")]
    return subprocess.run(
        [sys.executable, "-m", "slicewatch", name, *arguments, *flags],
        cwd=ROOT,
        env=environment(SECRET=ENVIRONMENT, **rig.variables()),
        capture_output=True,
        check=False,
        timeout=50,
    )


def kubeconfig(server: str, user: dict[str, Any], **cluster: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
            "current-context": "here",
        }
    )


FAILING = {
    "apiVersion": "client.authentication.k8s.io/v1",
    "command": "sh",
    "args": ["-c", f"echo {canary('Exec')}; exit 1"],
    "env": [{"name": "KEY", "value": ENVIRONMENT}],
    "interactiveMode": "Never",
}
KUBECONFIGS = {
    "a token in a broken file": f"users: [{{name: me, user: {{token: {TOKEN}}}}}\nclusters: ]",
    "a server that is no url": kubeconfig(f"me:{PASSWORD}@cluster", {"token": TOKEN}),
    "a server with a password": kubeconfig(f"http://me:{PASSWORD}@127.0.0.1:9", {"token": TOKEN}),
    "a key that is none": kubeconfig(
        "https://127.0.0.1:9",
        {"client-certificate-data": "eA==", "client-key-data": base64.b64encode(canary("Key").encode()).decode()},
    ),
    "a password": kubeconfig("http://127.0.0.1:9", {"username": "me", "password": PASSWORD}),
    "a program that fails": kubeconfig("http://127.0.0.1:9", {"exec": FAILING}),
    "a proxy": kubeconfig(
        "http://127.0.0.1:9", {"token": TOKEN}, **{"proxy-url": f"http://me:{canary('Proxy')}@127.0.0.1:9"}
    ),
}


@pytest.mark.parametrize("name", list(KUBECONFIGS))
def test_no_error_of_a_kubeconfig_repeats_what_is_in_it(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIGS[name])
    nothing = ("path.hami", "path.mps", "path.dra-checkpoint", "podresources.socket")
    flags = [f"--kubernetes={file}", *(f"--{flag}=" for flag in nothing)]
    caplog.set_level("DEBUG")
    said = run("doctor", *flags)
    assert "kube" in said
    assert leaks(said + caplog.text) == set()


def run(*words: str) -> str:
    """All that a command writes."""
    stdout, stderr = io.StringIO(), io.StringIO()
    PROGRAM.run(list(words), {"SECRET": ENVIRONMENT}, stdout, stderr)
    return stdout.getvalue() + stderr.getvalue()


def entered(url: str, name: str) -> str:
    """The URL with a user and a planted password."""
    return url.replace("//", f"//me:{canary(name)}@")


def echoing(asked: Asked) -> Reply:
    """A gateway that repeats what it refuses."""
    return Reply(status=403, body=json.dumps({"status": "error", "error": f"{asked.path} {asked.headers}"}).encode())


@pytest.mark.parametrize(
    "words",
    [
        ("why", "team/pod", "--url={}"),
        ("why", "team/pod", "--prometheus={}"),
        ("status", "--url={}"),
        ("status", "--prometheus={}"),
        ("lint", "--url={}"),
        ("slo", "check", "--prometheus={}"),
        ("slo", "report", "--prometheus={}"),
        ("slo", "backtest", "--prometheus={}"),
    ],
    ids=" ".join,
)
def test_no_command_repeats_the_password_of_a_site(words: tuple[str, ...]) -> None:
    with serving(echoing) as server:
        for site in (server.url, "http://127.0.0.1:9", "http://127.0.0.1:port"):
            said = run(*(word.format(entered(site, "Url")) for word in words))
            assert said
            assert leaks(said) == set()


@pytest.mark.timeout(150)  # it evaluates at the next whole minute
def test_the_service_of_objectives_writes_no_password_anywhere(tmp_path: Path) -> None:
    page = (ROOT / "tests" / "scenarios" / "pages" / "demo.prom").read_bytes() + b"# EOF\n"
    (tmp_path / "credentials").write_text(f"me:{canary('File')}\n")
    listen = free_port()
    with serving(echoing) as peer, serving(lambda _: Reply(body=page, kind="text/plain")) as node:
        flags = [
            f"--exporter={entered(node.url, 'Url')}",
            f"--exporter={entered('http://127.0.0.1:9', 'Url')}",
            f"--alertmanager={entered(peer.url, 'Peer')}",
            f"--alertmanager={entered('http://127.0.0.1:9', 'Peer')}",
            f"--exporters.credentials-file={tmp_path / 'credentials'}",
            f"--history.path={tmp_path / 'history'}",
            f"--journal.file={tmp_path / 'journal.db'}",
            f"--web.listen-address=127.0.0.1:{listen}",
            "--log.level=debug",
        ]
        log = tmp_path / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "slicewatch", "slo", "run", *flags],
                cwd=ROOT,
                env=environment(SECRET=ENVIRONMENT),
                stderr=stderr,
            )
        try:
            until(lambda: any(asked.body for asked in peer.asked), "an alert is posted", within=100)
            until(lambda: "answered 403" in log.read_text(), "the refusal is logged")
            pages = "".join(fetch(f"http://127.0.0.1:{listen}{path}")[1] for path in ("/", "/metrics"))
        finally:
            process.terminate()
            process.wait(20)
    kept = sqlite3.connect(tmp_path / "journal.db")
    rows = str(list(kept.iterdump()))
    kept.close()
    history = b"".join(each.read_bytes() for each in (tmp_path / "history").rglob("*") if each.is_file())
    everything = b"".join([log.read_bytes(), pages.encode(), rows.encode(), history, *(a.body for a in peer.asked)])
    assert b"INSERT" in everything
    assert leaks(everything) == set()

"""The sender and Alertmanager itself: what people are told, with credentials, TLS, clusters and dead peers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from slo.alertmanager.journal import Journal
from slo.alertmanager.line import Line
from slo.alertmanager.peer import Peer, peer
from slo.alertmanager.sender import Sender
from slo.alertmanager.settings import Settings
from slo.verdicts import Alert, AlertName, Firing
from tests.server.certs import authority
from tests.slo.alertmanager.made import answers, firing, spec, told
from tests.slo.servers import Alertmanager, alertmanager, free_port, get, program, quick_config, until, webhook
from toolkit.site import Access

pytestmark = pytest.mark.real

QUICK = Settings(watchdog=False, backoff=0.05, backoff_most=0.2)


@contextmanager
def sending(*peers: Peer, settings: Settings = QUICK, journal: Journal | None = None) -> Iterator[Sender]:
    sender = Sender(peers, journal or Journal.memory(), [spec()], settings)
    try:
        yield sender
    finally:
        sender.close()


def now() -> float:
    return time.time()


def test_a_page_arrives_with_its_answer_and_is_resolved(tmp_path: Path):
    with (
        webhook() as receiver,
        alertmanager(tmp_path, quick_config(receiver)) as server,
        sending(peer(server.url)) as mine,
    ):
        since = int(now())
        report = mine.sync([firing(since=since)], now(), answers=answers)
        assert (report.sent, report.failed) == (1, 0)
        until(lambda: len(receiver.alerts("firing", pod="train-7")) == 1, "the page arrives")
        (page,) = receiver.alerts("firing")
        assert page["annotations"]["summary"].endswith("got 0.11 in the last 15 min; neighbour batch/hog took 0.13")
        assert page["annotations"]["command"] == "slicewatch why ml/train-7"
        assert page["annotations"]["runbook_url"] == "https://wiki/gpu"
        mine.sync([], now(), answers=answers)
        until(lambda: len(receiver.alerts("resolved", pod="train-7")) == 1, "its end arrives")
        for _ in range(3):  # said again, as to a peer that was away, and nobody is told twice
            mine.sync([], now() + 60, answers=answers)
        time.sleep(2.5)
        assert (len(receiver.alerts("firing")), len(receiver.alerts("resolved"))) == (1, 1)


def test_a_thousand_alerts_and_one_that_is_refused(tmp_path: Path):
    config = {"route": {"receiver": "null"}, "receivers": [{"name": "null"}]}
    with alertmanager(tmp_path, config) as server, sending(peer(server.url), settings=Settings(cap=5000)) as mine:
        right = firing("bad")
        wrong = replace(right, alert=replace(right.alert, labels={**right.alert.labels, "not-a-label": "x"}))
        report = mine.sync([*(firing(f"p{n}") for n in range(2500)), wrong], now(), answers=answers)
        assert (report.sent, report.failed) == (2500, 0)
        assert [labels["pod"] for labels in report.refused] == ["bad"]
        found = server.alerts()
        assert len(told(found, alertname="GPUPartitionPromiseBurn")) == 2500
        assert len(told(found, alertname="GPUSLOWatchdog")) == 1


def test_one_dead_peer_of_a_cluster_costs_nobody_a_page_and_doubles_none(tmp_path: Path):
    gossip = [free_port(), free_port()]
    with webhook() as receiver, ExitStack() as stack:
        members: list[Alertmanager] = []
        for n, port in enumerate(gossip):
            flags = [
                f"--cluster.listen-address=127.0.0.1:{port}",
                f"--cluster.peer=127.0.0.1:{gossip[0]}",
                "--cluster.gossip-interval=50ms",
                "--cluster.settle-timeout=2s",
                "--cluster.peer-timeout=3s",
            ]
            members.append(stack.enter_context(alertmanager(tmp_path / str(n), quick_config(receiver), flags=flags)))
        joined = lambda: b'"status":"ready"' in get(f"{members[0].url}/api/v2/status")  # noqa: E731
        until(joined, "the cluster has settled")
        dead = peer(f"http://127.0.0.1:{free_port()}")
        with sending(*(peer(member.url) for member in members), dead) as mine:
            report = mine.sync([firing()], now(), answers=answers)
            assert (report.sent, report.failed) == (1, 0)
            assert [status.up for status in report.peers] == [True, True, False]
            until(lambda: bool(receiver.alerts("firing")), "one of them notifies")
            time.sleep(5)
            assert len(receiver.alerts("firing")) == 1
            assert [len(member.alerts()) for member in members] == [1, 1]


@contextmanager
def guarded(folder: Path) -> Iterator[tuple[str, Path]]:
    """An Alertmanager under a prefix that wants TLS, a client certificate and a password."""
    folder.mkdir()
    signer = authority(folder)
    certificate, key = signer.sign("server")
    hashed = bcrypt.hashpw(b"s3cret-pa55word", bcrypt.gensalt(4)).decode()
    tls = {
        "cert_file": str(certificate),
        "key_file": str(key),
        "client_ca_file": str(signer.file),
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    (folder / "web.yml").write_text(yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {"alert": hashed}}))
    (folder / "am.yml").write_text(yaml.safe_dump({"route": {"receiver": "null"}, "receivers": [{"name": "null"}]}))
    port = free_port()
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={folder / 'am.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.config.file={folder / 'web.yml'}",
        "--web.route-prefix=/am",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    url = f"https://localhost:{port}/am"
    signer.sign("me", client=True)
    (folder / "who").write_text("alert:s3cret-pa55word\n")
    (folder / "wrong").write_text("alert:another-pa55word\n")
    with (folder / "alertmanager.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield url, folder
        finally:
            process.terminate()


@pytest.fixture
def fortress(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    with guarded(tmp_path / "am") as found:
        yield found


def post(found: Peer) -> Any:
    line = Line(found)
    try:
        return line.post(b"[]", 3).reply
    finally:
        line.close()


def test_credentials_certificates_and_a_prefix(fortress: tuple[str, Path]):
    url, folder = fortress
    own = Access(ca_file=folder / "ca.pem", cert_file=folder / "me.crt", key_file=folder / "me.key")
    who = replace(own, credentials_file=folder / "who")
    right = peer(url, who)
    until(lambda: post(right).why != "Connection refused", "it listens")
    with sending(right) as mine:
        report = mine.sync([firing()], now(), answers=answers)
        assert (report.sent, report.peers[0].error) == (1, "")
    said = {
        "wrong password": post(peer(url, replace(own, credentials_file=folder / "wrong"))).why,
        "no password": post(peer(url, own)).why,
        "no prefix": post(peer(url.removesuffix("/am"), who)).why,
        "no certificate": post(peer(url, Access(ca_file=folder / "ca.pem", credentials_file=folder / "who"))).why,
        "unknown authority": post(peer(url, Access(credentials_file=folder / "who"))).why,
        "another name": post(peer(url.replace("localhost", "127.0.0.2"), own)).why,
    }
    assert said["wrong password"] == said["no password"] == "answered 401 and does not take these credentials"
    assert said["no prefix"].startswith("answered 404 for /api/v2/alerts")
    assert said["no certificate"].startswith(("TLS failed", "closed the connection"))
    assert said["unknown authority"].startswith("its certificate is not trusted: ")
    assert not any("pa55word" in why for why in said.values())


def test_a_peer_that_is_started_again_is_told_what_fires(tmp_path: Path):
    port = free_port()
    with (
        webhook() as receiver,
        sending(peer(f"http://127.0.0.1:{port}"), settings=Settings(resend=1, watchdog=False)) as mine,
    ):
        with alertmanager(tmp_path, quick_config(receiver), port=port):
            mine.sync([firing()], now(), answers=answers)
            until(lambda: bool(receiver.alerts("firing")), "the page arrives")
        assert mine.sync([firing()], now() + 2, answers=answers).peers[0].up is False
        with alertmanager(tmp_path, quick_config(receiver), port=port) as server:

            def back() -> bool:
                mine.sync([firing()], now(), answers=answers)
                return bool(server.alerts())

            until(back, "it is told again")
            mine.sync([], now(), answers=answers)
            until(lambda: bool(receiver.alerts("resolved")), "the end arrives")
        assert len(receiver.alerts("firing")) == 1  # its notification log outlived it


def test_an_alert_without_a_partition_names_what_it_has(tmp_path: Path):
    config = {"route": {"receiver": "null"}, "receivers": [{"name": "null"}]}
    with alertmanager(tmp_path, config) as server, sending(peer(server.url)) as mine:
        labels = dict(firing().alert.labels) | {"alertname": str(AlertName.FLEET), "namespace": "", "pod": ""}
        fleet = Firing(Alert(AlertName.FLEET, firing().alert.severity, "compute", labels), int(now()), 100)
        assert mine.sync([fleet], now(), answers=answers).sent == 1
        (alert,) = server.alerts()
        assert "pod" not in alert["labels"]
        for _ in range(2):  # the empty labels are no part of its identity
            mine.sync([fleet], now() + 60, answers=answers)
        assert len(server.alerts()) == 1

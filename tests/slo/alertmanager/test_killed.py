"""kill -9 at any moment of an incident: one page, one end, none lost, none repeated."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slo.alertmanager.bad_peer import Request, bad_peer, say
from tests.slo.servers import alertmanager, free_port, quick_config, until, webhook

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[3]


@contextmanager
def checker(folder: Path, *urls: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a checker until the block ends, then kill it."""
    command = [sys.executable, "-m", "tests.slo.alertmanager.checker", str(folder), *urls]
    with (
        (folder / "checker.log").open("ab") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def rounds(folder: Path) -> list[str]:
    path = folder / "rounds"
    return path.read_text().split() if path.exists() else []


def die_at_random(folder: Path, times: int, chance: random.Random, *urls: str) -> None:
    """Start it and kill it within its first few rounds, again and again."""
    for _ in range(times):
        with checker(folder, *urls) as child:
            before = len(rounds(folder))
            if chance.random() < 0.7:  # else it is killed while it starts
                until(lambda seen=before: len(rounds(folder)) > seen or child.poll() is not None, "a round")  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.5))
            assert child.poll() is None, (folder / "checker.log").read_text()


@pytest.mark.timeout(240)
def test_an_incident_in_which_the_checker_is_killed_again_and_again_is_one_page_and_one_end(tmp_path: Path):
    chance = random.Random(os.environ.get("KILL_SEED", "slicewatch"))  # noqa: S311  # moments to kill at
    with webhook() as receiver, alertmanager(tmp_path / "am", quick_config(receiver)) as server:
        dead = f"http://127.0.0.1:{free_port()}"
        die_at_random(tmp_path, 3, chance, server.url, dead)
        assert receiver.alerts("firing", pod="train-7") == []
        (tmp_path / "broken").touch()
        die_at_random(tmp_path, 12, chance, server.url, dead)
        until(lambda: len(receiver.alerts("firing", pod="train-7")) == 1, "the page")
        (tmp_path / "broken").unlink()
        die_at_random(tmp_path, 8, chance, server.url, dead)
        until(lambda: len(receiver.alerts("resolved", pod="train-7")) == 1, "the end")
        with checker(tmp_path, server.url, dead):
            seen = len(rounds(tmp_path))
            until(lambda: len(rounds(tmp_path)) > seen + 6, "rounds in peace")
        time.sleep(2)
        pages = receiver.alerts("firing", pod="train-7")
        ends = receiver.alerts("resolved", pod="train-7")
        assert (len(pages), len(ends)) == (1, 1)
        assert pages[0]["startsAt"] == ends[0]["startsAt"]
        assert receiver.alerts("resolved", alertname="GPUSLOWatchdog") == []


def test_killed_while_a_peer_has_the_page_and_has_not_answered_its_end_is_still_told(tmp_path: Path):
    (tmp_path / "broken").touch()
    got: list[Request] = []

    def killing(connection: socket.socket, request: Request) -> bool:
        if any(alert["labels"].get("pod") for alert in request.alerts):
            got.append(request)
            children[0].send_signal(signal.SIGKILL)
            return False
        return say("200 OK")(connection, request)

    children: list[subprocess.Popen[bytes]] = []
    with bad_peer(killing) as peer:
        with checker(tmp_path, peer.url) as child:
            children.append(child)
            until(lambda: child.poll() is not None, "it is killed by its first page")
        (tmp_path / "broken").unlink()  # over before anybody looks again
        peer.act = say("200 OK")
        peer.requests.clear()
        with checker(tmp_path, peer.url):
            until(
                lambda: any(alert["labels"].get("pod") for each in list(peer.requests) for alert in each.alerts),
                "the end is told",
            )
    page = next(alert for alert in got[0].alerts if alert["labels"].get("pod"))
    end = next(alert for each in peer.requests for alert in each.alerts if alert["labels"].get("pod"))
    assert end["labels"] == page["labels"]
    assert end["startsAt"] == page["startsAt"]
    assert end["endsAt"] < page["endsAt"]

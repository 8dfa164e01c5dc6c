"""A server that sends the head of its answer byte by byte holds no client of ours longer than its deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.errors import SourceError
from exporter.sources.kubernetes_api import Access, Api
from exporter.why.fetch import fetch
from slo.prometheus.client import Client
from tests.fakes.apiserver import FakeApiServer
from toolkit.errors import SliceWatchError, UnreachableError
from toolkit.site import site

HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: "


@contextmanager
def dripping() -> Iterator[str]:
    """A server that begins an answer and never ends its head."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(peer,), daemon=True).start()

    def drip(peer: socket.socket) -> None:
        with peer:
            try:
                peer.sendall(HEAD)
                while not over.wait(0.02):
                    peer.sendall(b"x")
            except OSError:
                return  # whoever asked has given up, as it should

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def by_why(url: str, folder: Path) -> None:
    del folder
    fetch(site(url), "/snapshot", deadline=0.3)


def by_slo(url: str, folder: Path) -> None:
    del folder
    client = Client(site(url), deadline=0.3, headers={})
    try:
        client.get("/api/v1/status/config")
    finally:
        client.close()


def by_kubernetes(url: str, folder: Path) -> None:
    server = FakeApiServer()
    server.port = int(url.rpartition(":")[2])
    Api(Access(kubeconfig=server.kubeconfig(folder / "kubeconfig"))).get("get node", "/api", {}, timeout=0.3)


@pytest.mark.parametrize("ask", [by_why, by_slo, by_kubernetes])
def test_a_head_that_drips_ends_at_the_deadline(ask: Callable[[str, Path], None], tmp_path: Path) -> None:
    with dripping() as url:
        started = time.monotonic()
        with pytest.raises((SourceError, UnreachableError)) as caught:
            ask(url, tmp_path)
        assert time.monotonic() - started < 30  # the client is slow to import; a head of 64 KiB would take 20 minutes
    assert isinstance(caught.value, SliceWatchError)


def test_a_connection_is_kept_behind_an_answer_with_a_timed_head() -> None:
    with FakeApiServer() as server:
        client = Client(site(server.url), deadline=5.0, headers={})
        for _ in range(3):
            assert client.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn")
        client.close()

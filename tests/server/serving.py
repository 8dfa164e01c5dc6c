"""A server under test with a page of its own, and a raw client that sees every byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.values import Address
from toolkit.web.connection import Patience
from toolkit.web.page import Page, Publisher
from toolkit.web.server import Server, Site, Web

TEXT = b'# TYPE gpu_device_sm_count gauge\ngpu_device_sm_count{gpu="GPU-1"} 132.0\n' * 20
OPENMETRICS = TEXT + b"# EOF\n"
SNAPSHOT = b'{"node": "n"}'


def a_page(text: bytes | Callable[[], bytes] = TEXT) -> Page:
    """Return a page with recognisable bytes."""
    return Page(text=text, openmetrics=OPENMETRICS, snapshot=lambda: SNAPSHOT, at=0.0)


@dataclass
class Running:
    """A server that runs."""

    server: Server
    publisher: Publisher

    @property
    def port(self) -> int:
        """The port that was found free."""
        return self.server.address.port

    def connect(self) -> http.client.HTTPConnection:
        """Return a client that keeps its connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def raw(self) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask once on a connection of its own; header names are written with underscores."""
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response, response.read()


@contextlib.contextmanager
def running(  # each is one thing that a test varies
    *,
    config: Path | None = None,
    max_requests: int = 40,
    patience: Patience | None = None,
    page: Page | None = None,
    healthy: Callable[[], bool] = lambda: True,
    landing: Callable[[], str] = lambda: "<html>landing</html>",
) -> Iterator[Running]:
    """Serve on a free port of the loopback until the block ends."""
    publisher = Publisher()
    publisher.publish(page or a_page())
    web = Web(listen=Address("127.0.0.1", 0), config_file=config, max_requests=max_requests)
    with Server(web, Site(publisher, healthy, landing), patience) as server:
        yield Running(server, publisher)


def read_to_end(sock: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def eventually(true: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False

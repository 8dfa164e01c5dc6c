"""A peer that does what it is told to: for each request, a function with the raw connection and the request's body."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Act = Callable[[socket.socket, "Request"], bool]
"""Does something with the connection, and says whether to keep it open for another request."""


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Its alerts."""
        found: list[dict[str, Any]] = json.loads(self.body)
        return found


@dataclass
class BadPeer:
    """A running one. `act` may be set anew at any time; `requests` are those that came whole."""

    url: str
    act: Act
    requests: list[Request] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)


def say(status: str, body: bytes = b"", *headers: str) -> Act:
    """Answer, and keep the connection."""

    def act(connection: socket.socket, request: Request) -> bool:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return True

    return act


def raw(data: bytes) -> Act:
    """Send bytes and close."""

    def act(connection: socket.socket, request: Request) -> bool:
        connection.sendall(data)
        return False

    return act


def drip(connection: socket.socket, request: Request) -> bool:
    """Send an answer that never ends, a byte at a time."""
    event = threading.Event()
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(600):
        connection.sendall(b"x")
        event.wait(0.05)
    return False


def silent(connection: socket.socket, request: Request) -> bool:
    """Say nothing until the other side goes."""
    connection.settimeout(30)
    connection.recv(1)
    return False


def refusing(is_bad: Callable[[Mapping[str, str]], bool], kept: list[dict[str, Any]]) -> Act:
    """Do as Alertmanager does: keep the valid alerts of a batch, and answer 400 if there was another."""

    def act(connection: socket.socket, request: Request) -> bool:
        bad = [alert for alert in request.alerts if is_bad(alert["labels"])]
        kept.extend(alert for alert in request.alerts if not is_bad(alert["labels"]))
        return (
            say("400 Bad Request", b'"bad label"')(connection, request) if bad else say("200 OK")(connection, request)
        )

    return act


@contextmanager
def bad_peer(act: Act) -> Iterator[BadPeer]:
    """Run one on a free port."""
    server = socket.create_server(("127.0.0.1", 0))
    peer = BadPeer(f"http://127.0.0.1:{server.getsockname()[1]}", act)
    threads: list[threading.Thread] = []
    open_ones: set[socket.socket] = set()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while (request := _read(connection)) is not None:
                    peer.requests.append(request)
                    if not peer.act(connection, request):
                        return
            except OSError:
                return
            finally:
                open_ones.discard(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            open_ones.add(connection)
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield peer
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join()
        for connection in list(open_ones):
            with suppress(OSError):  # the client was quicker
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        if not (more := connection.recv(65536)):
            return None
        body += more
    return Request(first.split()[1], headers, body)

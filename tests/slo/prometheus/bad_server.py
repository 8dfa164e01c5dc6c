"""A server that answers as a test says: whole, in part, slowly, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode(errors="replace")).items()}


@dataclass
class Reply:
    """What to answer. `cut`: bytes of the body that are sent before the connection is closed."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: float = 0.0  # seconds before the answer
    drip: float = 0.0  # seconds before each byte of the body


Answers = Callable[[Asked], Reply]


@dataclass
class Server:
    """A running server and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


def _send(to: BufferedIOBase, reply: Reply, over: threading.Event) -> None:
    body = reply.body[: reply.cut]
    if not reply.drip:
        to.write(body)
        return
    for byte in body:
        if over.wait(reply.drip):
            return
        to.write(bytes([byte]))


def _handler(answer: Answers, asked: list[Asked], over: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(Asked(self.command, self.path, dict(self.headers), body))
            reply = answer(asked[-1])
            over.wait(reply.silent)
            self.send_response(reply.status)
            for name, value in {
                "Content-Type": reply.kind,
                "Content-Length": str(len(reply.body)),
                **reply.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                if reply.cut is not None:
                    self.close_connection = True
                _send(self.wfile, reply, over)
            except OSError:
                self.close_connection = True  # whoever asked has given up, as it should

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is http.server's
            """Say nothing."""

    return Handler


@contextmanager
def serving(answer: Answers) -> Iterator[Server]:
    """Run a server that answers every request by `answer`, until the block ends."""
    asked: list[Asked] = []
    over = threading.Event()

    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer, asked, over))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a connection that a client closed is the test
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""A loopback server of the page, of dashboards, and of one Prometheus behind it.

Everything has one origin, and the policy that goes with each answer lets the page ask no other.
"""

from __future__ import annotations

import mimetypes
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# Emotion writes its styles into the document, icons are inlined as data, and a library tries whether it may evaluate texts.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:"
)
PROMETHEUS = "/prometheus"
PATIENCE = 30.0
"""Seconds for one query."""


@contextmanager
def served(dist: Path, dashboards: Mapping[str, str], prometheus: str) -> Iterator[str]:
    """Serve until the block ends; yields the origin. `dashboards` are texts of JSON by name, found at `/dashboards/NAME`."""

    class Handler(_Handler):
        pass

    Handler.dist, Handler.dashboards, Handler.prometheus = dist.resolve(), dict(dashboards), prometheus.rstrip("/")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    dist: Path
    dashboards: Mapping[str, str]
    prometheus: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith(f"{PROMETHEUS}/"):
            status, kind, body = _asked(self.prometheus + self.path.removeprefix(PROMETHEUS))
        elif path.startswith("/dashboards/"):
            status, kind, body = self._dashboard(path.removeprefix("/dashboards/"))
        else:
            status, kind, body = self._file("index.html" if path == "/" else path.lstrip("/"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def _dashboard(self, name: str) -> tuple[int, str, bytes]:
        text = self.dashboards.get(name)
        return (404, "text/plain", b"no such dashboard") if text is None else (200, "application/json", text.encode())

    def _file(self, name: str) -> tuple[int, str, bytes]:
        file = (self.dist / name).resolve()
        if not file.is_relative_to(self.dist) or not file.is_file():
            return 404, "text/plain", b"no such file"
        return 200, mimetypes.guess_type(name)[0] or "application/octet-stream", file.read_bytes()

    def log_message(self, *_: Any) -> None:
        """Say nothing: the driver reports what was not answered."""


def _asked(url: str) -> tuple[int, str, bytes]:
    """Pass one question on. An error of Prometheus is its answer; that it cannot be reached is said as such."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310  # the URL that the caller gave
            return answer.status, "application/json", answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "application/json", error.read()
    except OSError as error:
        return 502, "text/plain", f"Prometheus: {error}".encode()

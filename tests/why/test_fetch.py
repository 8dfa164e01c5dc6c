"""One request, and every way in which it can go wrong, against a real HTTP server on loopback."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.why.fetch import fetch
from tests.server.certs import authority
from toolkit.errors import ConfigError
from toolkit.site import MOST_CREDENTIALS, Access, site


class _Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.server.release.wait(10)  # type: ignore[attr-defined]
        if (
            self.path == "/secret"
            and self.headers.get("Authorization") != "Basic " + base64.b64encode(b"me:pw").decode()
        ):
            self._send(401, b"who are you?")
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "http://them:theirs@elsewhere.example/\x1b[31m")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/broken":
            self._send(503, b"too many\x1b[31m requests")
        elif self.path == "/drip":
            self._drip()
        else:
            self._send(200, b"x" * 4096)

    def do_POST(self) -> None:
        self._send(200, self.rfile.read(int(self.headers["Content-Length"])))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.release.wait(0.02):  # type: ignore[attr-defined]
                self.wfile.write(b"x")
        except OSError:
            pass

    def log_message(self, *args: object) -> None: ...


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.release = threading.Event()  # type: ignore[attr-defined]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.release.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as found:
        yield found


def test_an_answer_is_its_bytes_and_a_form_is_posted(url: str) -> None:
    assert fetch(site(url), "/any") == b"x" * 4096
    assert fetch(site(url + "/"), "/any", b"query=up") == b"query=up"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/secret", "401 Unauthorized: give --web.credentials-file"),
        ("/moved", r"redirects to …@elsewhere.example/\x1b[31m: give that address instead"),
        ("/broken", r"answers 503 Service Unavailable: too many\x1b[31m requests"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(url: str, path: str, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(site(url), path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(url)


def test_user_and_password_come_from_the_url_or_a_file_and_are_never_shown(url: str, tmp_path: Path) -> None:
    with_user = url.replace("http://", "http://me:pw@")
    file = tmp_path / "credentials"
    file.write_text("me:pw\n")
    assert fetch(site(with_user), "/secret") == b"x" * 4096
    assert fetch(site(url, Access(credentials_file=file)), "/secret") == b"x" * 4096
    with pytest.raises(SourceError) as caught:
        fetch(site(with_user), "/broken")
    assert "pw" not in str(caught.value)


def test_an_answer_that_is_too_large_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="larger than 1 KiB"):
        fetch(site(url), "/any", bound=1024)


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_server_that_does_not_finish_costs_no_more_than_the_deadline(path: str) -> None:
    with serving() as url:
        started = time.monotonic()
        with pytest.raises(SourceError) as caught:
            fetch(site(url), path, deadline=0.3)
        assert time.monotonic() - started < 3
    assert caught.value.reason is Reason.TIMEOUT


def test_nobody_there_is_told_in_the_systems_words() -> None:
    with serving() as url:
        pass
    with pytest.raises(SourceError, match="Connection refused"):
        fetch(site(url), "/any")


def test_an_authority_is_trusted_only_when_it_is_named(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.sign("node"))
    with serving(context) as url:
        assert fetch(site(url, Access(ca_file=ca.file)), "/any") == b"x" * 4096
        with pytest.raises(SourceError, match=r"--tls\.ca-file names the authority"):
            fetch(site(url), "/any")


@pytest.mark.parametrize(
    "text",
    ["node:9945", "ftp://node", "http://", "http://node:port", "http://no de", "http://node\x1b[31m", "http://[::1"],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a URL such as") as caught:
        site(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["htp://me:secret@node:9945", "http://me:secret@node:port", "me:secret@node", "http://me:sec@ret@[::1"]
)
def test_a_password_in_a_wrong_url_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site(text)
    assert "ret@" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["nothing", "a:b\nc:d", f"a:{'b' * MOST_CREDENTIALS}"], ids=["no colon", "two lines", "long"]
)
def test_a_credentials_file_holds_one_user(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(text)
    with pytest.raises(ConfigError, match="expected one line, user:password"):
        site("http://node", Access(credentials_file=file))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for made in (
        lambda: site("http://node", Access(credentials_file=tmp_path / "none")),
        lambda: site("https://node", Access(ca_file=tmp_path / "none")),
    ):
        with pytest.raises(ConfigError, match=r"none: .*No such file"):
            made()

"""One HTTP conversation: parse a request, find its route, answer it with bytes that are already there."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import socketserver
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Protocol
from urllib.parse import urlsplit

from toolkit.logs import log
from toolkit.web.access import Access
from toolkit.web.connection import MAX_BODY, Connection, HeadTooLongError, Patience
from toolkit.web.negotiation import gzip_wanted, metrics_format
from toolkit.web.page import CONTENT_TYPES, Format, Publisher

_logger = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's status, body and headers beyond those that every response has."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """What is served: the pages, and the questions that only the program's other parts can answer."""

    publisher: Publisher
    healthy: Callable[[], bool]
    landing: Callable[[], str]  # HTML


class Host(Protocol):
    """What a conversation needs of the server that holds it."""

    site: Site
    patience: Patience
    stopping: bool

    def access(self) -> Access:
        """Return the access in force."""

    def slot(self) -> AbstractContextManager[bool]:
        """Take one of the places for requests; False when there is none left."""

    def opened(self, connection: Connection) -> None:
        """Hear of the connection that the calling thread serves, so that it can be woken at the end."""


class Handler(BaseHTTPRequestHandler):
    """A connection's requests, one after the other, in the connection's own thread."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self, request: socket.socket, client_address: object, server: socketserver.BaseServer, host: Host
    ) -> None:
        self._host = host
        self._extra: Mapping[str, str] = {}
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        """Put deadlines between the socket and the parser."""
        super().setup()
        self.rfile.close()
        self._conversation = Connection(self.request, self._host.patience)
        self.rfile = io.BufferedReader(self._conversation)
        self._host.opened(self._conversation)

    def handle_one_request(self) -> None:
        """Wait for a request and answer it; close when the client is gone, too slow, or the server stops."""
        self._conversation.await_request()
        try:
            super().handle_one_request()
        except HeadTooLongError:
            self._refuse_head()
        except OSError:
            self.close_connection = True
        if self._host.stopping:
            self.close_connection = True

    def _refuse_head(self) -> None:
        """Say that the head is too long, to a client that may still be sending it."""
        self.command = "GET"
        with contextlib.suppress(OSError):
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def do_GET(self) -> None:
        """Answer a GET; HEAD is the same without the body."""
        self._conversation.answer()
        self._discard_body()
        access = self._host.access()
        self._extra = access.headers
        try:
            path = urlsplit(self.path).path or "/"
        except ValueError:
            self._send(_plain(HTTPStatus.BAD_REQUEST, "the request's target is no URL"))
            return
        if (question := _HEALTH.get(path)) is not None:
            self._send(self._safely(lambda: question(self._host.site)))
            return
        # Before a place is taken: whoever guesses passwords must not take the places of those who know one.
        if (refusal := self._refusal(access)) is not None:
            self._send(refusal)
            return
        # The place is kept until the client has taken the answer: a slow one counts for as long as it lasts.
        with self._host.slot() as free:
            if free:
                self._send(self._safely(lambda: self._content(path)))
            else:
                self._send(_plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at a time", {"Retry-After": "1"}))

    do_HEAD = do_GET  # noqa: N815  # the name is http.server's

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # the signature is http.server's
        """Answer a request that http.server refused: plain text, nothing of the request repeated, and close."""
        self.close_connection = True
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:  # http.server's word for a method without a do_ method
            self._discard_body()
            status = HTTPStatus.METHOD_NOT_ALLOWED
            self._send(_plain(status, "only GET and HEAD are served", {"Allow": "GET, HEAD"}))
        else:
            self._send(_plain(status, status.phrase))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the signature is http.server's
        """Write nothing: a scraper asks all day, and what goes wrong is logged where it goes wrong."""

    def _discard_body(self) -> None:
        """Take a short body off the connection, and close after the answer.

        A body that stays unread would be taken for the next request, and closing over it would reset the connection
        before the client has read the answer.
        """
        length = self.headers.get("Content-Length", "0")
        if length == "0" and "Transfer-Encoding" not in self.headers:
            return
        self.close_connection = True
        if length.isdecimal() and len(length) < _MAX_DIGITS and int(length) <= MAX_BODY:
            self.rfile.read(int(length))

    def _safely(self, answer: Callable[[], Answer]) -> Answer:
        try:
            return answer()
        except Exception:  # noqa: BLE001  # one request's fault must not end the connection's thread unseen
            log(_logger, logging.ERROR, "a request failed", exc_info=True, path=self.path.partition("?")[0])
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "an error inside of slicewatch; its log says more")

    def _refusal(self, access: Access) -> Answer | None:
        match access.authenticator.allows(self.headers.get("Authorization", "")):
            case None:
                busy = "too many passwords are being checked"
                return _plain(HTTPStatus.SERVICE_UNAVAILABLE, busy, {"Retry-After": "1"})
            case False:
                challenge = {"WWW-Authenticate": 'Basic realm="slicewatch", charset="UTF-8"'}
                return _plain(HTTPStatus.UNAUTHORIZED, "user and password are needed", challenge)
            case _:
                return None

    def _content(self, path: str) -> Answer:
        match path:
            case "/metrics":
                return self._page(metrics_format(self._header("Accept")), "Accept, Accept-Encoding")
            case "/snapshot":
                return self._page(Format.SNAPSHOT, "Accept-Encoding")
            case "/":
                return Answer(HTTPStatus.OK, self._host.site.landing().encode(errors="replace"), HTML)
            case _:
                return _plain(HTTPStatus.NOT_FOUND, "no such page; / lists those there are")

    def _page(self, wanted: Format, vary: str) -> Answer:
        gzipped = gzip_wanted(self._header("Accept-Encoding"))
        body = self._host.site.publisher.serve(wanted, gzipped=gzipped)
        if body is None:
            return _plain(
                HTTPStatus.SERVICE_UNAVAILABLE, "no page yet: the first tick is under way", {"Retry-After": "1"}
            )
        headers = {"Vary": vary} | ({"Content-Encoding": "gzip"} if gzipped else {})
        return Answer(HTTPStatus.OK, body, CONTENT_TYPES[wanted], headers)

    def _header(self, name: str) -> str:
        """Return a header that may be sent in several lines as the one line that they mean (RFC 9110, 5.3)."""
        return ",".join(self.headers.get_all(name, ()))

    def _send(self, answer: Answer) -> None:
        """Send head and body in one go, so that a small answer is one packet."""
        closing = self.close_connection or self._host.stopping
        headers = {
            "Date": self.date_time_string(),
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Connection": "close" if closing else "keep-alive",
            **answer.headers,
            **self._extra,
        }
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self._conversation.send_all(head if self.command == "HEAD" else head + answer.body)


def _healthy(site: Site) -> Answer:
    if site.healthy():
        return _plain(HTTPStatus.OK, "healthy")
    return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "no page has been published lately")


def _ready(site: Site) -> Answer:
    page = site.publisher.page
    if page is not None and page.ready:
        return _plain(HTTPStatus.OK, "ready")
    return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "no page yet: the first tick is under way")


_HEALTH: Mapping[str, Callable[[Site], Answer]] = {
    "/-/healthy": _healthy,
    "/healthz": _healthy,
    "/-/ready": _ready,
    "/readyz": _ready,
}
"""Answered without a password and beyond the bound on requests: a busy exporter must not be killed for being busy."""


def _plain(status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, f"{sentence}\n".encode(), TEXT, headers or {})

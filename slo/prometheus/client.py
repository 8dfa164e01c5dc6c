"""HTTP to one site: a deadline for each whole answer, retries where the server asks for them, and one line for each failure.

No proxy, no redirect (it would carry the Authorization header to whoever is named in it), no password in a message.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.response import BaseHTTPResponse

from slo.prometheus.refusals import RefusedError, TooMuchError, failed, printable, refused, said
from toolkit.errors import UnreachableError
from toolkit.site import Site
from toolkit.timedhead import TimedHead

BOUND = 1 << 30
"""Bytes of the largest answer that is held as a whole."""
SMALL = 16 << 20
"""Bytes of the largest answer to a small question: a Prometheus's configuration."""
_CHUNK = 1 << 18
_CONNECTING = 5.0
_SAID = 1 << 16
_FIRST_WAIT = 0.5
_FORM = "application/x-www-form-urlencoded"
_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as the client takes it; a test may bring its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """A body as it comes."""

    kind: str  # Content-Type
    parts: Iterator[bytes]


class Client:
    """Asks one site. Connections are kept; threads may share it. `deadline`: seconds for each whole answer, retries included."""

    def __init__(self, site: Site, *, deadline: float, headers: Mapping[str, str], clock: Clock | None = None) -> None:
        self.url = site.url
        self._deadline = deadline
        self._clock = clock or Clock()
        self._path = urlsplit(site.url).path
        self._headers = dict(headers)
        self._secrets: tuple[str, ...] = ()
        if site.authorization is not None:
            self._headers["Authorization"] = site.authorization
            self._secrets = _secrets(site.authorization)
        trust = {} if site.tls is None else {"ssl_context": site.tls}
        self._pool = urllib3.connection_from_url(site.url, maxsize=4, retries=False, **trust)
        self._pool.ConnectionCls = type("Timed", (self._pool.ConnectionCls,), {"response_class": TimedHead})

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def form(self, path: str, form: Mapping[str, str], *, gzip: bool) -> bytes:
        """POST a form; return the whole body. Raises UnreachableError; TooMuchError above BOUND."""
        headers = {"Content-Type": _FORM, "Accept": "application/json"}
        with self.stream(path, urlencode(form).encode(), headers, gzip=gzip) as answer:
            return self._whole(answer, BOUND)

    def get(self, path: str) -> bytes:
        """GET; return the whole body of a small answer. Raises UnreachableError; TooMuchError above SMALL."""
        with self.stream(path, None, {"Accept": "application/json"}, gzip=True) as answer:
            return self._whole(answer, SMALL)

    def _whole(self, answer: Answer, bound: int) -> bytes:
        found, size = [], 0
        for part in answer.parts:
            size += len(part)
            if size > bound:
                raise TooMuchError(f"{self.url}: the answer is larger than {bound >> 20} MiB", HTTPStatus.OK)
            found.append(part)
        return b"".join(found)

    @contextmanager
    def stream(self, path: str, body: bytes | None, headers: Mapping[str, str], *, gzip: bool) -> Iterator[Answer]:
        """POST a body, or GET; give what is answered as it comes. 429 and 503 are asked again within the deadline.

        Raises UnreachableError: RefusedError for any status but 200, TooMuchError where the site says that it is too much.
        """
        until = self._clock.now() + self._deadline
        headers = {**self._headers, **headers, "Accept-Encoding": "gzip" if gzip else "identity"}
        answer = self._patiently(path, body, headers, until)
        whole = False
        try:
            if answer.status != HTTPStatus.OK:
                raise self._refusal(answer, until)
            yield Answer(answer.headers.get("Content-Type", ""), self._parts(answer, until))
            whole = True
        finally:
            _end(answer, whole=whole)

    def _patiently(self, path: str, body: bytes | None, headers: Mapping[str, str], until: float) -> BaseHTTPResponse:
        """Ask again while the site is too busy, for as long as there is time."""
        wait = _FIRST_WAIT
        while True:
            answer = self._ask(path, body, headers, until)
            pause = _retry_after(answer) or wait
            if answer.status not in _LATER or self._clock.now() + pause >= until:
                return answer
            _end(answer, whole=False)
            self._clock.sleep(pause)
            wait *= 2

    def _ask(self, path: str, body: bytes | None, headers: Mapping[str, str], until: float) -> BaseHTTPResponse:
        """Ask; and once more, at once, where a connection that was kept open turns out to have been closed."""
        for last in (False, True):
            left = max(0.001, until - self._clock.now())
            try:
                return self._pool.urlopen(
                    "GET" if body is None else "POST",
                    self._path + path,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=min(_CONNECTING, left), read=left),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except ProtocolError as error:
                if last:
                    raise failed(self.url, error, self._deadline) from error
            except (HTTPError, OSError) as error:
                raise failed(self.url, error, self._deadline) from error
        raise AssertionError  # the second time returns or raises

    def _parts(self, answer: BaseHTTPResponse, until: float) -> Iterator[bytes]:
        """Read what is there, piece by piece, under one deadline: a socket's own time-out starts anew with every byte."""
        try:
            while True:
                left = until - self._clock.now()
                if left <= 0:
                    raise UnreachableError(f"{self.url}: the answer did not end within {self._deadline:g} s")
                socket = getattr(getattr(answer, "connection", None), "sock", None)
                if socket is not None:
                    socket.settimeout(left)
                part = answer.read1(_CHUNK)
                if not part:
                    return
                yield part
        except (HTTPError, OSError) as error:
            raise failed(self.url, error, self._deadline) from error

    def _refusal(self, answer: BaseHTTPResponse, until: float) -> RefusedError:
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            target = self._silenced(printable(answer.headers.get("Location", "elsewhere").rpartition("@")[2]))
            return RefusedError(f"{self.url}: redirects to {target}: give that address instead", answer.status)
        body = b""
        try:
            for part in self._parts(answer, until):
                body += part
                if len(body) > _SAID:
                    break
        except UnreachableError:
            pass  # the status is told; what it had to say about it is not worth a second error
        text = self._silenced(said(body, answer.headers.get("Content-Type", "")))
        return refused(self.url, answer.status, answer.reason or "", text)

    def _silenced(self, text: str) -> str:
        """The text without what only we and the site may know: some gateways repeat the headers that they refuse."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _secrets(authorization: str) -> tuple[str, ...]:
    encoded = authorization.partition(" ")[2]
    try:
        user = base64.b64decode(encoded).decode()
    except ValueError:
        return (encoded,)
    password = user.partition(":")[2]
    return tuple(secret for secret in (encoded, user, password) if secret)


def _retry_after(answer: BaseHTTPResponse) -> float | None:
    """The seconds that it asks for; a date is not understood, and as good as nothing."""
    text = answer.headers.get("Retry-After", "").strip()
    return float(text) if text.isdecimal() and len(text) < 6 else None  # noqa: PLR2004  # a day has five digits


def _end(answer: BaseHTTPResponse, *, whole: bool) -> None:
    """Give the connection back, or close it when there is more on it than was read."""
    if not whole:
        answer.close()
    answer.release_conn()

"""One page over HTTP, read by someone who does not trust whoever serves it.

The page may be endless, may drip a byte a second, may redirect to somewhere that its server cannot reach and we can. So one
deadline and one byte budget cover the whole answer, head and body; redirects are not followed, no proxy is asked, and
compression is not offered.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast

from exporter.errors import SourceError
from exporter.model import Reason

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HEAD_BYTES = 64 * 1024
_LEAST_WAIT = 0.01
_ACCEPT = "text/plain;version=0.0.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page is: an address, a port and a path. A name instead of an IP address is looked up without a deadline."""

    address: str
    port: int
    path: str
    tls: ssl.SSLContext | None = None  # None: plain HTTP
    authorization: str | None = field(default=None, repr=False)  # the header's value

    def __str__(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://{self.host}{self.path}"

    @property
    def host(self) -> str:
        """The address and port as a URL and the Host header have them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def fetch(place: Place, *, deadline: float, max_bytes: int) -> bytes:
    """GET a page. `deadline` is seconds for all of it, `max_bytes` the most that its body may have.

    Raises SourceError: TIMEOUT, PERMISSION (401, 403), UNSUPPORTED (404), else ERROR.
    """
    ends = time.monotonic() + deadline
    try:
        with socket.create_connection((place.address, place.port), timeout=deadline) as sock:
            sock.settimeout(max(ends - time.monotonic(), _LEAST_WAIT))
            if place.tls is None:
                return _exchange(sock, place, ends, max_bytes)
            with place.tls.wrap_socket(sock, server_hostname=place.address) as wrapped:
                return _exchange(wrapped, place, ends, max_bytes)
    except TimeoutError as error:
        raise SourceError(f"no whole answer in {deadline:g} s", Reason.TIMEOUT) from error
    except _TooLargeError as error:
        raise SourceError(f"larger than {max_bytes} bytes") from error
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"{type(error).__name__}: {error}") from error


def _request(place: Place) -> bytes:
    head = (
        f"GET {place.path} HTTP/1.1",
        f"Host: {place.host}",
        f"Accept: {_ACCEPT}",
        "User-Agent: slicewatch",
        "Connection: close",
        *(() if place.authorization is None else (f"Authorization: {place.authorization}",)),
    )
    return "\r\n".join((*head, "", "")).encode("ascii")


def _exchange(sock: socket.socket, place: Place, ends: float, max_bytes: int) -> bytes:
    sock.sendall(_request(place))
    return _answer(sock, ends, max_bytes)


def _answer(sock: socket.socket, ends: float, max_bytes: int) -> bytes:
    # http.client asks a socket for one thing, a file to read from; this one gives it a file with an end.
    peer = _Peer(io.BufferedReader(_Bounded(sock, ends, max_bytes + _HEAD_BYTES)))
    with HTTPResponse(cast("socket.socket", peer), method="GET") as response:
        response.begin()
        _refuse(response)
        body = response.read(max_bytes + 1)
        if len(body) > max_bytes:
            raise _TooLargeError
        if response.length:
            raise SourceError(f"the connection ended {response.length} bytes early")
        return body


def _refuse(response: HTTPResponse) -> None:
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise SourceError(f"HTTP {response.status}", Reason.PERMISSION)
    if response.status == HTTPStatus.NOT_FOUND:
        raise SourceError(f"HTTP {response.status}", Reason.UNSUPPORTED)
    if response.status != HTTPStatus.OK:
        hint = ": redirects are not followed" if response.getheader("Location") else ""
        raise SourceError(f"HTTP {response.status}{hint}")
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise SourceError("the page is compressed, which was not asked for")


class _TooLargeError(Exception):
    """The byte budget is spent."""


class _Bounded(io.RawIOBase):
    """The reading side of a socket with one deadline and one budget for everything that is ever read."""

    def __init__(self, sock: socket.socket, ends: float, budget: int) -> None:
        super().__init__()
        self._socket = sock
        self._ends = ends
        self._budget = budget

    def readable(self) -> bool:
        """Return True: this is the reading side."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there. Raises TimeoutError, or _TooLargeError when the budget is spent."""
        wait = self._ends - time.monotonic()
        if wait <= 0:
            raise TimeoutError
        if self._budget <= 0:
            raise _TooLargeError
        self._socket.settimeout(wait)
        count = self._socket.recv_into(buffer)
        self._budget -= count
        return count


@dataclass(frozen=True, slots=True)
class _Peer:
    """What http.client needs of a socket."""

    file: io.BufferedReader

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the bounded file, whatever mode is named: there is only reading."""
        del mode
        return self.file

"""One page of one pod, read by someone who does not trust it.

The pod is a tenant's: its page may be endless, may drip a byte a second, may be garbage, may redirect to somewhere that the
tenant cannot reach and we can. So one deadline and one byte budget cover the whole answer, head and body; redirects are
not followed, compression is not offered, and of the text only the lines of the wanted metric reach the parser.
"""

from __future__ import annotations

import io
import math
import re
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast

from prometheus_client.parser import text_string_to_metric_families

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.policy import DemandSignal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HEAD_BYTES = 64 * 1024
_MAX_LINES = 500
_MAX_LINE = 2048
_MAX_WANTED = 128 * 1024
"""Bytes of the wanted metric's lines: what the parser takes longest over costs a tenth of a second then."""

_LEAST_WAIT = 0.01
_ACCEPT = "text/plain;version=0.0.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page is: an IP address (never a name: a look-up has no deadline), a port and a path."""

    address: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"http://{self.host}{self.path}"

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
            sock.sendall(_request(place))
            return _answer(sock, ends, max_bytes)
    except TimeoutError as error:
        raise SourceError(f"no whole answer in {deadline:g} s", Reason.TIMEOUT) from error
    except _TooLargeError as error:
        raise SourceError(f"larger than {max_bytes} bytes") from error
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"{type(error).__name__}: {error}") from error


def backlogged(page: bytes, signal: DemandSignal) -> bool:
    """Whether any sample that the signal names is above its threshold.

    Raises SourceError: UNSUPPORTED when no such sample with a number is on the page, ERROR when it is not understood.
    """
    values = [value for value in _values(page, signal) if not math.isnan(value)]
    if not values:
        raise SourceError(f"no sample of {signal.metric} with the labels asked for", Reason.UNSUPPORTED)
    return any(value > signal.above for value in values)


def _values(page: bytes, signal: DemandSignal) -> list[float]:
    wanted = signal.match.items()
    try:
        return [
            float(sample.value)
            for family in text_string_to_metric_families(_lines(page, signal.metric))
            for sample in family.samples
            if sample.name == signal.metric and wanted <= sample.labels.items()
        ]
    except SourceError:
        raise
    except Exception as error:
        # The parser raises whatever its string arithmetic runs into: ValueError, IndexError, KeyError.
        raise SourceError(f"not in Prometheus's text format: {type(error).__name__}") from error


def _lines(page: bytes, metric: str) -> str:
    """The lines of one metric alone: the parser is slow, and the tenant chooses what else is on the page."""
    if page and not page.endswith(b"\n"):
        raise SourceError("the page ends within a line")  # the format's last line ends in a line feed
    lines: list[bytes] = []
    total = 0
    for found in re.finditer(rb"^" + re.escape(metric.encode()) + rb"[ \t{][^\n]*\n", page, re.MULTILINE):
        line = found[0]
        total += len(line)
        if len(lines) == _MAX_LINES or len(line) > _MAX_LINE or total > _MAX_WANTED:
            raise SourceError(f"more than {_MAX_LINES} samples of {metric}, or too long ones")
        lines.append(line)
    return b"".join(lines).decode(errors="replace")


def _request(place: Place) -> bytes:
    head = (
        f"GET {place.path} HTTP/1.1",
        f"Host: {place.host}",
        f"Accept: {_ACCEPT}",
        "User-Agent: slicewatch",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode("ascii")


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

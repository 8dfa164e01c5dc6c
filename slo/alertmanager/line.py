"""One request to a peer at a time, each with an end.

The request runs in the thread that calls it. Its deadline holds for all of it, also for a peer that sends one byte a second:
when it is over, the socket is shut from outside. Proxies of the environment are not used: alerts go to the peers as given.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from slo.alertmanager.batches import Reply, Verdict
from slo.alertmanager.payload import PATH
from slo.alertmanager.peer import Peer
from slo.alertmanager.replies import judge, word

_MOST_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and the peer's clock (Unix seconds) if it told."""

    reply: Reply
    date: float | None = None


class Line:
    """A connection to a peer, kept open between requests. For one thread at a time; `close` may be called from another."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._parts = urlsplit(peer.url)
        self._open: http.client.HTTPConnection | None = None

    def post(self, body: bytes, deadline: float) -> Answered:
        """Post alerts; the answer is there within about `deadline` seconds. Never raises for what a peer does."""
        kept = self._open is not None
        answered = self._once(body, deadline)
        if answered is None and kept:  # a connection that was idle was closed meanwhile, which is no failure
            answered = self._once(body, deadline)
        return answered or Answered(Reply(Verdict.FAILED, "closed the connection without an answer"))

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _once(self, body: bytes, deadline: float) -> Answered | None:
        """Make one attempt; None when the connection was closed before an answer began."""
        late = threading.Event()
        try:
            answered = self._exchange(body, deadline, late)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if (
                not late.is_set()
                and isinstance(error, ConnectionError)
                and not isinstance(error, ConnectionRefusedError)
            ):
                return None
            answered = Answered(Reply(Verdict.FAILED, _why(error)))
            late_error = isinstance(error, TimeoutError)
        else:
            late_error = False
        if late.is_set() or late_error:
            self.close()
            return Answered(Reply(Verdict.FAILED, f"did not answer within {deadline:g} s"))
        return answered

    def _exchange(self, body: bytes, deadline: float, late: threading.Event) -> Answered:
        with contextlib.ExitStack() as stack:
            if self._open is None:
                raw = socket.create_connection((self._parts.hostname or "", self._port), timeout=deadline)
                stack.enter_context(_watched(raw, deadline, late))
                self._open = self._wrap(raw)
            else:
                stack.enter_context(_watched(self._open.sock, deadline, late))
            self._open.request("POST", self._parts.path + PATH, body, self._headers())
            answer = self._open.getresponse()
            told = answer.read(_MOST_BYTES + 1)
            if answer.length and len(told) <= _MOST_BYTES:  # read(n) says nothing of a body that ends too early
                raise http.client.IncompleteRead(told, answer.length)
        if not answer.isclosed() or answer.will_close:  # what is left unread belongs to no later answer
            self.close()
        return Answered(judge(answer.status, told, answer.getheader("Location")), _date(answer.getheader("Date")))

    @property
    def _port(self) -> int:
        return self._parts.port or (80 if self._peer.site.tls is None else 443)

    def _wrap(self, raw: socket.socket) -> http.client.HTTPConnection:
        """Put HTTP, and TLS below it, on a connected socket."""
        host, tls = self._parts.hostname or "", self._peer.site.tls
        if tls is None:
            connection = http.client.HTTPConnection(host, self._parts.port)
            connection.sock = raw
            return connection
        secure = http.client.HTTPSConnection(host, self._parts.port, context=tls)
        try:
            secure.sock = tls.wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise
        return secure

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "slicewatch"}
        if self._peer.site.authorization is not None:
            headers["Authorization"] = self._peer.site.authorization
        return headers


@contextmanager
def _watched(raw: socket.socket, deadline: float, late: threading.Event) -> Iterator[None]:
    """Shut the socket when the block takes longer; below TLS, whose state belongs to the thread that reads."""
    raw.settimeout(deadline)
    below = socket.socket(fileno=os.dup(raw.fileno()))

    def shut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            below.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        below.close()


def _date(text: str | None) -> float | None:
    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _why(error: Exception) -> str:
    """An error in one line. What http.client says of garbage quotes the peer, never our request."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case http.client.IncompleteRead():
            return "broke off in the middle of its answer"
        case http.client.HTTPException():
            return f"answered with something that is not HTTP ({type(error).__name__})"
        case OSError():
            return word(error.strerror or str(error) or type(error).__name__)
        case _:
            return word(str(error) or type(error).__name__)

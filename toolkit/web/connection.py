"""A connection's patience: how long a client may take for its request, and for taking the answer.

A socket's own time-out starts anew with every byte, so a client that sends a byte a second holds a thread for ever. Here
the whole head of a request has one deadline, and so has the whole answer; waiting for the next request of a kept
connection has another, longer one.
"""

from __future__ import annotations

import contextlib
import io
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a client is given."""

    handshake: float = 10.0  # for the whole TLS handshake
    idle: float = 120.0  # for the next request of a kept connection; scrape intervals are shorter
    head: float = 10.0  # from a request's first byte to the end of its head
    answer: float = 30.0  # to take the whole answer


MAX_HEAD = 80 << 10
"""Bytes of a request's head: a longest line of http.server's (64 KiB) and some more. Its hundred longest would be 6 MiB."""

MAX_BODY = 64 << 10
"""Bytes of a request's body that are taken off the connection; no page needs one."""


class HeadTooLongError(OSError):
    """A client's request does not end where any request has ended."""


class Connection(io.RawIOBase):
    """The reading side of a socket with deadlines and a bound, and its sending side.

    `busy` while a request is under way, `answering` from the end of its head on, `since` (monotonic seconds) is when the wait
    for it began.
    """

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        super().__init__()
        self._socket = sock
        self._patience = patience
        self._deadline: float | None = None
        self._room = MAX_HEAD
        self.busy = self.answering = False
        self.since = time.monotonic()

    def await_request(self) -> None:
        """Start waiting for a request: idle until its first byte."""
        self.busy = self.answering = False
        self.since = time.monotonic()
        self._deadline = None
        self._room = MAX_HEAD

    def answer(self) -> None:
        """Note that the head is whole: what is read from here on is a body."""
        self.answering = True
        self._room += MAX_BODY

    def readable(self) -> bool:
        """Return True: this is the reading side."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there.

        Raises TimeoutError when the client has used up its time, HeadTooLongError its room, and ConnectionAbortedError
        when the connection ends inside of a head: http.server would take what there is of it for a request.
        """
        wait = self._patience.idle if self._deadline is None else self._deadline - time.monotonic()
        if wait <= 0:
            raise TimeoutError
        self._socket.settimeout(wait)
        count = self._socket.recv_into(buffer)
        if not count and self.busy and not self.answering:
            raise ConnectionAbortedError
        self._room -= count
        if self._room < 0:
            raise HeadTooLongError
        if count and self._deadline is None:
            self._deadline = time.monotonic() + self._patience.head
            self.busy = True
        return count

    def send_all(self, data: bytes) -> None:
        """Send everything. Raises TimeoutError when the client has not taken it in time."""
        deadline = time.monotonic() + self._patience.answer
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-3))
            rest = rest[self._socket.send(rest) :]
            if rest and time.monotonic() >= deadline:
                raise TimeoutError

    def hang_up(self, how: int = socket.SHUT_RDWR) -> None:
        """Wake the thread that waits on this socket, from another thread; the client sees the end of the connection."""
        with contextlib.suppress(OSError):  # the client was first
            # The base class's: SSLSocket.shutdown would take the TLS state away from under the waiting thread.
            socket.socket.shutdown(self._socket, how)

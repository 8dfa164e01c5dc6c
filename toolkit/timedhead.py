"""The head of an HTTP answer under one deadline, for every client that is built on http.client.

A socket's own time-out starts anew with every byte, so that a server that sends a byte of its head now and then holds whoever
asks for hours. Here the whole head has as long as the socket's time-out is when the answer is awaited; the body is the
caller's, as before.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class TimedHead(http.client.HTTPResponse):
    """An answer whose head ends in time. For the attribute `response_class` of a connection."""

    def __init__(self, sock: socket.socket, *arguments: Any, **keywords: Any) -> None:
        super().__init__(sock, *arguments, **keywords)
        self.fp.close()
        self._reader = _Reader(sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the head. Raises TimeoutError when it is not whole in time."""
        self._reader.start()
        super().begin()
        self._reader.stop()


class _Reader(io.RawIOBase):
    """The reading side of a socket, with a deadline between `start` and `stop`."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open for as long as it is read
        self._patience = sock.gettimeout()
        self._ends: float | None = None

    def start(self) -> None:
        """Let the deadline begin."""
        self._ends = None if self._patience is None else time.monotonic() + self._patience

    def stop(self) -> None:
        """Go back to the time-out between bytes."""
        self._ends = None
        self._socket.settimeout(self._patience)

    def readable(self) -> bool:
        """Return True: this is the reading side."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read what is there. Raises TimeoutError."""
        if self._ends is not None:
            left = self._ends - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Let the socket go."""
        self._file.close()
        super().close()

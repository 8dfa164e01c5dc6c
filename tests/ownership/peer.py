"""A peer that speaks HTTP/2 by hand, frame by frame, and so can say what no gRPC server would."""

from __future__ import annotations

import socket as sockets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hpack import Encoder

DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def fields(flags: int, *pairs: tuple[str, str], stream: int = 1) -> bytes:
    return frame(HEADERS, flags | END_HEADERS, stream, Encoder().encode(list(pairs)))


def message(payload: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(payload).to_bytes(4, "big") + payload


def body(payload: bytes, flags: int = 0, stream: int = 1) -> bytes:
    return frame(DATA, flags, stream, payload)


HELLO = frame(SETTINGS, 0, 0, b"")
GRPC = (("content-type", "application/grpc"),)
HEAD = HELLO + fields(0, (":status", "200"), *GRPC)
FINE = fields(END_STREAM, ("grpc-status", "0"))
GOOD = HEAD + body(message(b"pong")) + FINE


def goaway(last: int, error: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + error.to_bytes(4, "big"))


Script = Callable[[sockets.socket], None]


def says(data: bytes, *, hangs: bool = False) -> Script:
    """Send at once, and close; or stay silent until the client has gone."""

    def script(connection: sockets.socket) -> None:
        connection.sendall(data)
        while hangs and connection.recv(65536):
            pass

    return script


class Peer:
    """Plays one script for each connection, in a thread; keeps how many there were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scripts: list[Script] = []
        self.connections = 0
        self._listener = sockets.socket(sockets.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(sockets.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):
                self.scripts.pop(0)(connection)

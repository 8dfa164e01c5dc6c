"""Unary gRPC calls over a unix socket, in the calling thread: all of gRPC that asking the kubelet takes.

grpcio does this too, and costs an exporter on every node some 11 MiB resident and seven threads. Here HTTP/2 is the `h2`
library's (frames, header compression, flow control, limits against floods), and this file is the socket, the deadline and
the life of one connection.

Facts: RFC 9113 (frames, GOAWAY), grpc/grpc doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from exporter import __version__
from exporter.sources.grpc_answer import PREFIX, Answer, Code, GrpcError

_CHUNK = 64 * 1024
"""Bytes of one read from the socket."""

_MAX_FRAME = 16 * 1024
"""Bytes: HTTP/2's default for SETTINGS_MAX_FRAME_SIZE, which this side does not raise (RFC 9113, 6.5.2)."""

_FRAME_HEADER = 9
_GOAWAY = 7

_LEAST_WINDOW = 65_535
"""Bytes: the window that every HTTP/2 connection begins with; it cannot be taken back (RFC 9113, 6.9.2)."""

_MAX_CALLS = 100
"""Calls of one connection. h2 remembers up to 65,536 closed streams, some 3 MiB in 24,000 calls; a new one costs 1 ms."""

_MAX_DRAINED = 64
"""Reads of what came in between two calls; a peer that has sent more than that unasked is not worth listening to."""

_LONGEST_TIMEOUT = 99_999_999
"""Milliseconds: `grpc-timeout` has at most eight digits."""


class UnaryChannel:
    """A gRPC server behind a unix socket, asked by one thread at a time. It connects on the first call.

    `max_receive` is the largest message in bytes. One connection is kept between calls; after a call that failed, and when
    the server has closed it or said that it goes away, the next call makes a new one, so that a server that comes back
    behind a new inode is found at once. Calls must be safe to repeat: one that finds a kept connection dead before
    anything of the answer has come is made once more on a new one.
    """

    def __init__(self, socket_path: str, *, max_receive: int = 16 * 1024 * 1024, authority: str = "localhost") -> None:
        self._socket_path = socket_path
        self._max_receive = max_receive
        # A unix socket's path is no host name, and some servers refuse it percent-encoded in `:authority`.
        self._authority = authority
        self._connection: _Connection | None = None

    def call(self, path: str, request: bytes, deadline: float) -> bytes:
        """Return the response's bytes. `path` is `/package.Service/Method`, `deadline` the seconds for all of it.

        Raises GrpcError: with the server's status, UNAVAILABLE for what hinders HTTP/2 (the OSError or h2's exception is
        its cause), DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED for a message over `max_receive`.
        """
        until = time.monotonic() + deadline
        try:
            connection, kept = self._connected(until)
            try:
                return connection.call(self._headers(path, until), request, until)
            except _GoneError:
                if not kept:
                    raise
            self.close()
            connection, _ = self._connected(until)
            return connection.call(self._headers(path, until), request, until)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if there is one. A later call makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self, until: float) -> tuple[_Connection, bool]:
        """Return a connection, and whether it is a kept one."""
        if self._connection is not None and self._connection.good():
            return self._connection, True
        self.close()
        self._connection = _Connection(_connect(self._socket_path, until), self._max_receive)
        return self._connection, False

    def _headers(self, path: str, until: float) -> list[tuple[str, str]]:
        """Head of a request; the order is the protocol's. The server is given what is left, rounded up."""
        left = min(_LONGEST_TIMEOUT, max(1, math.ceil((until - time.monotonic()) * 1000)))
        return [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", self._authority),
            ("te", "trailers"),
            ("grpc-timeout", f"{left}m"),
            ("content-type", "application/grpc"),
            ("user-agent", f"slicewatch/{__version__}"),
        ]


class _GoneError(GrpcError):
    """The server went away before it had sent anything of the answer."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.UNAVAILABLE, message)


class _Connection:
    """One HTTP/2 connection: at most one stream at a time. Every method raises GrpcError, after which it is spent."""

    def __init__(self, sock: socket.socket, max_receive: int) -> None:
        self._sock = sock
        self._max_receive = max_receive
        self._received = bytearray()
        self._calls = 0
        self._going_away = False
        self._stream = 0
        self._answer = Answer(max_receive)
        self._http = _http(max(_LEAST_WINDOW, max_receive + PREFIX))

    def good(self) -> bool:
        """Whether another call can be made. Takes in what the server has sent since the last one, without waiting."""
        try:
            for _ in range(_MAX_DRAINED):
                self._sock.settimeout(0)
                self._take(self._sock.recv(_CHUNK))
        except BlockingIOError:
            return not self._going_away and self._calls < _MAX_CALLS
        except (OSError, H2Error, GrpcError):
            return False
        return False

    def call(self, headers: list[tuple[str, str]], request: bytes, until: float) -> bytes:
        """Make one call; `until` is monotonic seconds."""
        self._calls += 1
        self._answer = Answer(self._max_receive)
        with self._translated():
            self._stream = self._http.get_next_available_stream_id()
            self._http.send_headers(self._stream, headers)
            self._send(b"\0" + len(request).to_bytes(4, "big") + request, until)
            while not self._answer.ended:
                self._receive(until)
        return self._answer.message()

    def close(self) -> None:
        """Close the socket; the server sees its end."""
        self._sock.close()

    def _send(self, body: bytes, until: float) -> None:
        """Send the body and the end of the stream, as the server's flow control lets it; less if it answers sooner."""
        rest = memoryview(body)
        while rest and not self._answer.ended:
            room = min(self._http.local_flow_control_window(self._stream), self._http.max_outbound_frame_size)
            if room <= 0:
                self._receive(until)
                continue
            self._http.send_data(self._stream, bytes(rest[:room]), end_stream=len(rest) <= room)
            rest = rest[room:]
            self._flush(until)

    def _receive(self, until: float) -> None:
        self._flush(until)
        self._sock.settimeout(_left(until))
        self._take(self._sock.recv(_CHUNK))

    def _flush(self, until: float) -> None:
        """Send what h2 has to say, its answers to PING and SETTINGS included."""
        if outgoing := self._http.data_to_send():
            self._sock.settimeout(_left(until))
            # What a server that has closed said before may be the answer; its end is found by reading.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._sock.sendall(outgoing)

    def _take(self, data: bytes) -> None:
        """Take in what the socket gave, frame by frame."""
        if not data:
            raise ConnectionResetError
        self._received += data
        for frame in _frames(self._received):
            # h2 takes nothing in behind a GOAWAY, and a server that shuts down in good order finishes its calls there.
            if frame[3] == _GOAWAY:
                self._goaway(frame[_FRAME_HEADER:])
            else:
                for event in self._http.receive_data(frame):
                    self._event(event)

    def _goaway(self, payload: bytes) -> None:
        """Note that no further call can be made here; ours is lost if the server says that it has not begun it."""
        self._going_away = True
        last, error = int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF, int.from_bytes(payload[4:8], "big")
        if not self._answer.ended and last < self._stream:
            raise _GoneError(f"the server goes away, HTTP/2 error {error}")

    def _event(self, event: Event) -> None:
        """Hand what concerns the call to its answer."""
        if isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if self._answer.ended:
            return
        match event:
            case ResponseReceived() | TrailersReceived():
                self._answer.headers(event.headers)
            case DataReceived():
                self._answer.data(event.data)
            case StreamEnded():
                self._answer.end()
            case StreamReset():
                self._answer.reset(int(event.error_code))
            case _:
                pass  # settings, pings and windows are h2's own business

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the socket and h2 raise into GrpcError."""
        try:
            yield
        except TimeoutError as error:
            raise GrpcError(Code.DEADLINE_EXCEEDED, "deadline exceeded") from error
        except ConnectionError as error:
            if self._answer.started:
                raise GrpcError(Code.UNAVAILABLE, "the server closed the connection within its answer") from error
            raise _GoneError("the server closed the connection") from error
        except OSError as error:
            raise GrpcError(Code.UNAVAILABLE, error.strerror or str(error)) from error
        except H2Error as error:
            said = f"{type(error).__name__} {error}".strip()  # the text alone may be a mere number
            raise GrpcError(Code.UNAVAILABLE, f"not HTTP/2 as it should be: {said}") from error


def _http(window: int) -> H2Connection:
    """Open HTTP/2 on this side: `window` bytes may come unacknowledged, and nothing may be pushed."""
    http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    limits = {
        SettingCodes.ENABLE_PUSH: 0,
        SettingCodes.INITIAL_WINDOW_SIZE: window,
        SettingCodes.MAX_FRAME_SIZE: _MAX_FRAME,
        SettingCodes.MAX_HEADER_LIST_SIZE: H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
    }
    http.local_settings = Settings(client=True, initial_values=limits)
    http.initiate_connection()
    if window > _LEAST_WINDOW:
        http.increment_flow_control_window(window - _LEAST_WINDOW)
    return http


def _frames(received: bytearray) -> Iterator[bytes]:
    """Take every whole frame off the front. Raises GrpcError before one that is too long is waited for."""
    while len(received) >= _FRAME_HEADER:
        length = int.from_bytes(received[:3], "big")
        if length > _MAX_FRAME:
            raise GrpcError(Code.UNAVAILABLE, f"not HTTP/2 as it should be: a frame of {length} bytes")
        size = _FRAME_HEADER + length
        if len(received) < size:
            return
        frame = bytes(received[:size])
        del received[:size]
        yield frame


def _connect(path: str, until: float) -> socket.socket:
    """Connect to a unix socket. Raises GrpcError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while True:
            sock.settimeout(_left(until))
            # A full backlog answers EAGAIN at once to a socket with a time limit (unix(7)); it empties or it does not.
            with suppress(BlockingIOError):
                sock.connect(path)
                return sock
            time.sleep(min(0.01, _left(until)))
    except TimeoutError as error:
        sock.close()
        raise GrpcError(Code.DEADLINE_EXCEEDED, "deadline exceeded while connecting") from error
    except OSError as error:
        sock.close()
        raise GrpcError(Code.UNAVAILABLE, error.strerror or str(error)) from error
    except BaseException:
        sock.close()
        raise


def _left(until: float) -> float:
    """Seconds that are left, more than zero. Raises TimeoutError."""
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left

"""The gRPC client against a real gRPC server on a unix socket."""

from __future__ import annotations

import socket as sockets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from exporter import __version__
from exporter.sources.grpc_answer import Code, GrpcError
from exporter.sources.grpc_unary import UnaryChannel

ECHO = "/test.Server/Echo"
MEBIBYTE = 1024 * 1024


class EchoServer:
    """Answers with the request, or with `answer`; counts calls, and tells what the last one's metadata were."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.answer: bytes | None = None
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.hold: threading.Event | None = None  # a call waits for it
        self.entered = threading.Event()
        self.calls = 0
        self.metadata: dict[str, Any] = {}
        self.time_remaining: float | None = None
        self.start()

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        handlers = {"Echo": grpc.unary_unary_rpc_method_handler(self._echo)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Server", handlers),))
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def stop(self, grace: float | None = None) -> threading.Event:
        """Go away; with a grace after the calls in flight. The event says when that is done."""
        stopped: threading.Event = self._server.stop(grace)
        return stopped

    def _echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        self.metadata = dict(context.invocation_metadata())
        self.time_remaining = context.time_remaining()
        self.entered.set()
        if self.hold is not None:
            self.hold.wait(10)
        if self.refusal is not None:
            context.abort(*self.refusal)
        return request if self.answer is None else self.answer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EchoServer]:
    server = EchoServer(tmp_path / "server.sock")
    yield server
    if server.hold is not None:
        server.hold.set()
    assert server.stop().wait(5)


@pytest.fixture
def channel(server: EchoServer) -> Iterator[UnaryChannel]:
    channel = UnaryChannel(str(server.socket))
    yield channel
    channel.close()


def refused(channel: UnaryChannel, deadline: float = 5.0, path: str = ECHO) -> GrpcError:
    with pytest.raises(GrpcError) as caught:
        channel.call(path, b"ping", deadline)
    return caught.value


# --- answers ---


@pytest.mark.parametrize("message", [b"", b"ping", bytes(range(256)) * 12_288])
def test_a_message_comes_back_as_it_was_sent(message: bytes, channel: UnaryChannel) -> None:
    assert channel.call(ECHO, message, 5.0) == message


def test_a_message_of_exactly_the_limit_is_read_more_than_once(server: EchoServer, channel: UnaryChannel) -> None:
    server.answer = b"x" * (16 * MEBIBYTE)
    for _ in range(2):
        assert channel.call(ECHO, b"", 20.0) == server.answer


def test_a_message_over_the_limit_is_refused_and_the_next_one_read(server: EchoServer) -> None:
    channel = UnaryChannel(str(server.socket), max_receive=100_000)
    server.answer = b"x" * 100_001
    error = refused(channel)
    assert error.code is Code.RESOURCE_EXHAUSTED
    assert error.message == "message larger than max (100001 vs. 100000 bytes)"
    server.answer = b"x" * 100_000
    assert channel.call(ECHO, b"", 5.0) == server.answer
    channel.close()


def test_the_server_is_told_who_asks_and_how_long_it_has(server: EchoServer, channel: UnaryChannel) -> None:
    channel.call(ECHO, b"", 7.0)
    assert server.metadata["user-agent"] == f"slicewatch/{__version__}"
    assert server.time_remaining is not None
    assert 5.0 < server.time_remaining <= 7.1


def test_a_connection_serves_many_calls_and_not_without_end(channel: UnaryChannel) -> None:
    seen = []
    for number in range(250):
        message = str(number).encode()
        assert channel.call(ECHO, message, 5.0) == message
        seen.append(channel._connection)
    assert [len(list(group)) for group in _runs(seen)] == [100, 100, 50]


def _runs(items: list[Any]) -> Iterator[list[Any]]:
    """Split into runs of the same object; every object is alive, so that identities do not repeat."""
    start = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end] is not items[start]:
            yield items[start:end]
            start = end


# --- refusals ---


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_of_the_server_arrives(code: grpc.StatusCode, server: EchoServer, channel: UnaryChannel) -> None:
    server.refusal = (code, f"says {code.name}")
    error = refused(channel)
    assert (error.code.name, error.code.value) == (code.name, code.value[0])
    assert error.message == f"says {code.name}"
    assert str(error) == f"{code.name}: says {code.name}"


def test_a_text_that_is_not_ascii_arrives_whole(server: EchoServer, channel: UnaryChannel) -> None:
    server.refusal = (grpc.StatusCode.INTERNAL, "100 % Ärger\nzweite Zeile 🔥")
    assert refused(channel).message == "100 % Ärger\nzweite Zeile 🔥"


def test_a_method_that_is_not_there_is_unimplemented_and_leaves_the_others(channel: UnaryChannel) -> None:
    assert refused(channel, path="/test.Server/Nothing").code is Code.UNIMPLEMENTED
    assert channel.call(ECHO, b"ping", 5.0) == b"ping"


# --- time ---


def test_a_server_that_hangs_is_left_at_the_deadline_and_asked_anew(server: EchoServer, channel: UnaryChannel) -> None:
    server.hold = threading.Event()
    start = time.monotonic()
    error = refused(channel, deadline=0.3)
    assert 0.3 <= time.monotonic() - start < 2.0
    assert error.code is Code.DEADLINE_EXCEEDED
    server.hold.set()
    assert channel.call(ECHO, b"ping", 5.0) == b"ping"


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_no_time_at_all_is_a_deadline_exceeded(deadline: float, channel: UnaryChannel, server: EchoServer) -> None:
    assert refused(channel, deadline).code is Code.DEADLINE_EXCEEDED
    assert server.calls == 0


def test_a_server_that_takes_no_more_connections_is_left_at_the_deadline(tmp_path: Path) -> None:
    path = str(tmp_path / "full.sock")
    with sockets.socket(sockets.AF_UNIX) as listener, sockets.socket(sockets.AF_UNIX) as waiting:
        listener.bind(path)
        listener.listen(0)
        waiting.connect(path)
        channel = UnaryChannel(path)
        start = time.monotonic()
        assert refused(channel, deadline=0.2).code is Code.DEADLINE_EXCEEDED
        assert 0.2 <= time.monotonic() - start < 2.0


# --- a server that goes and comes ---


def test_a_server_that_came_back_behind_a_new_inode_is_found_by_the_first_call(
    server: EchoServer, channel: UnaryChannel
) -> None:
    channel.call(ECHO, b"", 5.0)
    before = server.socket.stat().st_ino
    (server.socket.parent / "holds-the-inode").hardlink_to(server.socket)
    assert server.stop().wait(5)
    server.socket.unlink(missing_ok=True)
    server.start()
    assert server.socket.stat().st_ino != before
    assert channel.call(ECHO, b"ping", 5.0) == b"ping"


def test_a_server_that_stops_in_good_order_finishes_the_call_and_takes_no_other(
    server: EchoServer, channel: UnaryChannel
) -> None:
    channel.call(ECHO, b"", 5.0)
    server.entered.clear()
    server.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(channel.call, ECHO, b"ping", 10.0)
        assert server.entered.wait(5)
        stopped = server.stop(grace=10)
        time.sleep(0.2)  # the GOAWAY and the PING behind it reach the client within its call
        server.hold.set()
        assert call.result(10) == b"ping"
    assert stopped.wait(5)
    assert refused(channel).code is Code.UNAVAILABLE
    server.hold = None
    server.start()
    assert channel.call(ECHO, b"pong", 5.0) == b"pong"


def test_a_server_that_is_cut_off_within_a_call_is_unavailable(server: EchoServer, channel: UnaryChannel) -> None:
    server.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(channel.call, ECHO, b"ping", 10.0)
        assert server.entered.wait(5)
        stopped = server.stop()
        with pytest.raises(GrpcError) as caught:
            call.result(5)
        server.hold.set()
    assert stopped.wait(5)
    assert caught.value.code in {Code.UNAVAILABLE, Code.CANCELLED}


# --- no server ---


def test_a_path_where_nobody_listens_is_unavailable_with_its_cause(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 120)
    for path, cause in ((tmp_path / "none.sock", FileNotFoundError), (too_long, OSError)):
        error = refused(UnaryChannel(str(path)))
        assert error.code is Code.UNAVAILABLE
        assert error.message
        assert isinstance(error.__cause__, cause)


def test_closing_twice_or_before_the_first_call_does_nothing(server: EchoServer) -> None:
    channel = UnaryChannel(str(server.socket))
    channel.close()
    channel.call(ECHO, b"", 5.0)
    channel.close()
    channel.close()
    assert channel.call(ECHO, b"ping", 5.0) == b"ping"
    channel.close()

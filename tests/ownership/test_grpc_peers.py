"""The gRPC client against peers that a real gRPC server never is: scripted frames, garbage, and none at all."""

from __future__ import annotations

import socket as sockets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.sources.grpc_answer import Code, GrpcError
from exporter.sources.grpc_unary import UnaryChannel, _Connection
from exporter.sources.podresources import PodResources
from tests.ownership.peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FINE,
    GOAWAY,
    GOOD,
    GRPC,
    HEAD,
    HEADERS,
    HELLO,
    PING,
    PUSH,
    RESET,
    Peer,
    Script,
    body,
    fields,
    frame,
    goaway,
    message,
    says,
)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path / "peer.sock")
    yield peer
    peer.stop()


@pytest.fixture
def channel(peer: Peer) -> Iterator[UnaryChannel]:
    channel = UnaryChannel(str(peer.path), max_receive=1000)
    yield channel
    channel.close()


def refused(channel: UnaryChannel, deadline: float = 5.0) -> GrpcError:
    with pytest.raises(GrpcError) as caught:
        channel.call("/test.Server/Echo", b"ping", deadline)
    return caught.value


def test_the_request_is_what_the_protocol_asks_for(peer: Peer, channel: UnaryChannel) -> None:
    received = bytearray()

    def script(connection: sockets.socket) -> None:
        while not received.endswith(message(b"ping")):
            received.extend(connection.recv(65536))
        connection.sendall(GOOD)

    peer.scripts = [script]
    assert channel.call("/test.Server/Echo", b"ping", 5.0) == b"pong"
    server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    (request,) = (event for event in server.receive_data(bytes(received)) if isinstance(event, RequestReceived))
    headers: dict[Any, Any] = dict(request.headers)
    assert int(headers.pop("grpc-timeout").removesuffix("m")) in range(1000, 5001)
    assert headers.pop("user-agent").startswith("slicewatch/")
    assert headers == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/test.Server/Echo",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (HEAD + body(message(b"x", flag=1)) + FINE, Code.INTERNAL, "compressed"),
        (HEAD + body(b"\0" + b"\xff" * 4), Code.RESOURCE_EXHAUSTED, "larger than max (4294967295 vs. 1000 bytes)"),
        (HEAD + body(b"\0\0\0\x03") + body(b"\xe9"), Code.RESOURCE_EXHAUSTED, "(1001 vs. 1000 bytes)"),
        (HEAD + body(message(b"x")) + body(message(b"y")) + FINE, Code.INTERNAL, "behind its only message"),
        (HEAD + body(message(b"x") + b"y") + FINE, Code.INTERNAL, "behind its only message"),
        (HEAD + body(message(b"xyz")[:-1]) + FINE, Code.INTERNAL, "cut short"),
        (HEAD + FINE, Code.INTERNAL, "missing"),
        (HEAD + body(message(b"x"), END_STREAM), Code.UNKNOWN, "without a grpc-status"),
        (HEAD + fields(END_STREAM, ("grpc-status", "77")), Code.UNKNOWN, ""),
        (HEAD + fields(END_STREAM, ("grpc-status", "9" * 5000)), Code.UNKNOWN, ""),
        (HEAD + fields(END_STREAM, ("grpc-status", "5"), ("grpc-message", "a%20%zz%ff%")), Code.NOT_FOUND, "a %zz�%"),
        (HELLO + fields(END_STREAM, (":status", "200"), *GRPC, ("grpc-status", "7")), Code.PERMISSION_DENIED, ""),
        (HELLO + fields(0, (":status", "502"), *GRPC) + FINE, Code.UNAVAILABLE, "HTTP status 502"),
        (HELLO + fields(END_STREAM, (":status", "503")), Code.UNAVAILABLE, "HTTP status 503"),
        (HELLO + fields(0, (":status", "404"), ("content-type", "text/html")), Code.UNIMPLEMENTED, "text/html"),
        (HELLO + fields(0, (":status", "200"), ("content-type", "text/html")), Code.UNKNOWN, "text/html, not gRPC"),
        (HEAD + frame(RESET, 0, 1, b"\0\0\0\x07"), Code.UNAVAILABLE, "reset the stream"),
        (HEAD + frame(RESET, 0, 1, b"\0\0\0\x08"), Code.CANCELLED, "reset the stream"),
        (HEAD + frame(RESET, 0, 1, b"\0\0\0\x0b"), Code.RESOURCE_EXHAUSTED, "reset the stream"),
        (HEAD + frame(RESET, 0, 1, b"\xff" * 4), Code.INTERNAL, "reset the stream"),
        (HELLO + goaway(0, 11), Code.UNAVAILABLE, "goes away, HTTP/2 error 11"),
        (HEAD + goaway(1), Code.UNAVAILABLE, "closed the connection within its answer"),
        (HEAD + body(message(b"x")), Code.UNAVAILABLE, "closed the connection within its answer"),
    ],
    ids=lambda value: getattr(value, "name", "") if not isinstance(value, str) else value,
)
def test_an_answer_that_is_wrong_is_named(
    answer: bytes, code: Code, text: str, peer: Peer, channel: UnaryChannel
) -> None:
    peer.scripts = [says(answer)]
    error = refused(channel)
    assert error.code is code
    assert text in error.message
    assert peer.connections == 1


BOMB = Encoder().encode([(":status", "200"), ("bomb", "x" * 3000)]) + b"\xbe" * 40  # the same header 40 times more
PUSHED = Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")])

GARBAGE = {
    "nothing": b"",
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "half a frame": HELLO[:5],
    "half an answer": GOOD[:-3],
    "a frame that is too long": b"\xff\xff\xff" + HELLO,
    "an empty goodbye": frame(GOAWAY, 0, 0, b""),
    "a push": HEAD + frame(PUSH, END_HEADERS, 1, b"\0\0\0\x02" + PUSHED) + body(message(b"pong")) + FINE,
    "broken header compression": HELLO + frame(HEADERS, END_HEADERS, 1, b"\xff" * 50),
    "endless headers": HELLO + frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 0, 1, b"") * 100,
    "a header bomb": HELLO + frame(HEADERS, END_HEADERS, 1, BOMB),
    "data of another stream": HEAD + body(b"x", stream=2),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_what_is_not_http2_is_unavailable(garbage: bytes, peer: Peer, channel: UnaryChannel) -> None:
    peer.scripts = [says(garbage), says(GOOD)]
    assert refused(channel).code is Code.UNAVAILABLE
    assert peer.connections == 1
    assert channel.call("/test.Server/Echo", b"ping", 5.0) == b"pong"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([HELLO, HEAD, GOOD, FINE, body(message(b"x")), goaway(1), goaway(2**31 - 1)]),
            st.builds(
                frame,
                st.integers(0, 11),
                st.integers(0, 255),
                st.sampled_from([0, 1, 1, 1, 2, 3]),
                st.binary(max_size=30),
            ),
            st.binary(max_size=30),
        ),
        max_size=8,
    )
)
def test_whatever_comes_is_an_answer_or_a_grpc_error(pieces: list[bytes]) -> None:
    ours, theirs = sockets.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(pieces))
        theirs.shutdown(sockets.SHUT_WR)
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/x")]
        with suppress(GrpcError):
            assert len(_Connection(ours, 1000).call(headers, b"ping", time.monotonic() + 5)) <= 1000


# --- floods and drips ---


def drip(piece: bytes, first: bytes = HELLO) -> Script:
    def script(connection: sockets.socket) -> None:
        connection.sendall(first)
        while True:  # ends when the client closes
            connection.sendall(piece)
            time.sleep(0.01)

    return script


@pytest.mark.parametrize(
    "script",
    [
        says(b"", hangs=True),
        says(HEAD + body(b"\0\0"), hangs=True),
        says(HELLO[:4], hangs=True),
        drip(frame(PING, 0, 0, b"12345678")),
        drip(frame(0xBE, 0, 0, b"unknown to us")),
        drip(b"\0", HELLO + frame(DATA, 0, 1, b"\0" * 16_000)[:9]),
    ],
    ids=["silent", "half a message", "half a frame", "pings", "unknown frames", "single bytes"],
)
def test_a_peer_that_never_comes_to_an_end_is_left_at_the_deadline(
    script: Script, peer: Peer, channel: UnaryChannel
) -> None:
    peer.scripts = [script]
    start = time.monotonic()
    assert refused(channel, deadline=0.3).code is Code.DEADLINE_EXCEEDED
    assert 0.3 <= time.monotonic() - start < 2.0


def test_a_ping_within_a_call_is_answered(peer: Peer, channel: UnaryChannel) -> None:
    pong = frame(PING, ACK, 0, b"12345678")

    def script(connection: sockets.socket) -> None:
        connection.sendall(HELLO + frame(PING, 0, 0, b"12345678"))
        received = bytearray()
        while pong not in received:
            received.extend(connection.recv(65536))
        connection.sendall(GOOD.removeprefix(HELLO))

    peer.scripts = [script]
    assert channel.call("/test.Server/Echo", b"ping", 5.0) == b"pong"


# --- a kept connection ---


def answers_then(rest: bytes) -> Script:
    """Answer the first call, say the rest when the second has come, and close."""

    def script(connection: sockets.socket) -> None:
        for reply in (GOOD, rest):
            received = bytearray()
            while not received.endswith(message(b"ping")):
                received.extend(connection.recv(65536))
            connection.sendall(reply)

    return script


@pytest.mark.parametrize(
    "script",
    [says(GOOD), says(GOOD + goaway(1), hangs=True), answers_then(b""), answers_then(goaway(1))],
    ids=["closed since", "said goodbye since", "closes on the second", "says goodbye on the second"],
)
def test_a_kept_connection_that_is_of_no_use_is_replaced_within_the_call(
    script: Script, peer: Peer, channel: UnaryChannel
) -> None:
    peer.scripts = [script, says(GOOD)]
    for _ in range(2):
        assert channel.call("/test.Server/Echo", b"ping", 5.0) == b"pong"
    assert peer.connections == 2


def test_a_call_is_not_repeated_once_its_answer_has_begun(peer: Peer, channel: UnaryChannel) -> None:
    peer.scripts = [answers_then(fields(0, (":status", "200"), *GRPC, stream=3)), says(GOOD)]
    channel.call("/test.Server/Echo", b"ping", 5.0)
    assert refused(channel).code is Code.UNAVAILABLE
    assert peer.connections == 1


# --- as the source says it ---


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (b"", "unavailable: the server closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "unavailable: not HTTP/2 as it should be"),
        (HEAD + body(message(b"\xff")) + FINE, "List on .* no ListPodResourcesResponse"),
    ],
)
def test_the_source_says_in_one_line_what_came_instead(answer: bytes, line: str, peer: Peer) -> None:
    peer.scripts = [says(answer)]
    source = PodResources(str(peer.path))
    with pytest.raises(SourceError, match=line) as caught:
        source.read(0.0)
    assert caught.value.reason is Reason.ERROR
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    source.close()

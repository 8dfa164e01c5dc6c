"""Declared demand against real HTTP servers: honest ones, slow ones, endless ones, lying ones, and none at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from exporter.model import Missing, Reason
from exporter.policy import DemandSignal
from exporter.sources.bounded_page import Place
from exporter.sources.declared import Backlog, DeclaredDemand, Limits, Server, Target, targets
from tests.fakes.port import Handler, http, port_server

FAST = Limits(deadline=0.5, period=0.02, good_for=10.0, longest_retry=0.1, workers=4)
WAITING = b"# TYPE waiting gauge\nwaiting 3\n"
POD = ("ml", "llm-0")


@pytest.fixture
def source() -> Iterator[DeclaredDemand]:
    made = DeclaredDemand(FAST)
    yield made
    made.close()


def target(port: int, pod: str = "llm-0", **signal: Any) -> Target:
    wanted = DemandSignal(**{"port": port, "metric": "waiting", **signal})
    return Target(namespace="ml", pod=pod, place=Place(address="127.0.0.1", port=port, path=wanted.path), signal=wanted)


def settled(source: DeclaredDemand, *wanted: Target) -> Mapping[tuple[str, str], Backlog]:
    """Ask until every pod has an answer or a refusal."""
    ends = time.monotonic() + 10.0
    while time.monotonic() < ends:
        found = source.read(wanted, time.monotonic())
        if Missing(Reason.NOT_YET) not in found.values():
            return found
        time.sleep(0.005)
    pytest.fail("no answer in ten seconds")


def eventually(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.005)


# --- what an honest page says ---


@pytest.mark.parametrize(
    ("body", "signal", "expected"),
    [
        (b"waiting 3\n", {}, True),
        (b"waiting 0\n", {}, False),
        (b"waiting 3\n", {"above": 3.0}, False),
        (b"waiting 3.5\n", {"above": 3.0}, True),
        (b'waiting{model="a"} 0\nwaiting{model="b"} 2\n', {}, True),
        (b'waiting{model="a"} 0\nwaiting{model="b"} 2\n', {"match": {"model": "a"}}, False),
        (b'waiting{model="a",x="y"} 2\n', {"match": {"model": "a"}}, True),
        (b"waiting_more 9\nwaiting 0\n", {}, False),
        (b"waiting 0 1700000000000\n", {}, False),
        (b"waiting +Inf\n", {}, True),
        (b'waiting NaN\nwaiting{a="b"} 1\n', {}, True),
        (b"requests_total 4\n", {"metric": "requests_total"}, True),
        (b"garbage {{{ \nwaiting 1\n}}}\n", {}, True),
    ],
)
def test_a_pod_is_backlogged_while_any_sample_it_names_is_above_the_threshold(
    source: DeclaredDemand, body: bytes, signal: dict[str, Any], expected: Backlog
):
    with port_server(http(body)) as server:
        assert settled(source, target(server.port, **signal)) == {POD: expected}


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nwaiting 3\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwaiting 3\n",
        b"HTTP/1.0 200 OK\r\n\r\nwaiting 3\n",
    ],
)
def test_every_framing_of_http_is_understood(source: DeclaredDemand, response: bytes):
    with port_server(response) as server:
        assert settled(source, target(server.port)) == {POD: True}


def test_the_request_names_the_path_and_host_and_offers_no_compression(source: DeclaredDemand):
    with port_server(http(WAITING)) as server:
        settled(source, target(server.port, path="/queue?x=1"))
        head = server.requests[0].decode()
        assert head.startswith("GET /queue?x=1 HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{server.port}\r\n" in head
        assert "accept-encoding" not in head.lower()


def test_the_answer_follows_the_workload(source: DeclaredDemand):
    with port_server(http(b"waiting 0\n")) as server:
        wanted = target(server.port)
        assert settled(source, wanted) == {POD: False}
        server.handler = lambda sock: sock.sendall(http(WAITING))
        eventually(lambda: source.read((wanted,), time.monotonic()) == {POD: True})


# --- a page that is not honest ---


def _drip(sock: socket.socket) -> None:
    for byte in http(WAITING):
        sock.sendall(bytes([byte]))
        time.sleep(0.05)


def _endless_body(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(b"other 1\n" * 8192)


def _endless_head(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X-More: yes\r\n" * 10)


def _endless_continue(sock: socket.socket) -> None:
    while True:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        pytest.param(_drip, Reason.TIMEOUT, id="a byte every 50 ms"),
        pytest.param(_endless_body, Reason.ERROR, id="a body without an end"),
        pytest.param(_endless_head, Reason.ERROR, id="a head without an end"),
        pytest.param(_endless_continue, Reason.ERROR, id="100 Continue without an end"),
        pytest.param(_reset, Reason.ERROR, id="a reset"),
        pytest.param(b"", Reason.ERROR, id="nothing"),
        pytest.param(b"\x00\xff" * 500, Reason.ERROR, id="no HTTP"),
        pytest.param(http(b"waiting x\n"), Reason.ERROR, id="no number"),
        pytest.param(http(b'waiting{a="b 1\n'), Reason.ERROR, id="a label without an end"),
        pytest.param(http(b"waiting 1\n" * 501), Reason.ERROR, id="too many samples"),
        pytest.param(http(b"waiting " + b"1" * 2100 + b"\n"), Reason.ERROR, id="a sample that is too long"),
        pytest.param(http(b"waiting 1"), Reason.ERROR, id="a line without an end"),
        pytest.param(http(b"waiting 1\n", length=4000), Reason.ERROR, id="cut short"),
        pytest.param(http(b"waiting NaN\n"), Reason.UNSUPPORTED, id="not a number"),
        pytest.param(http(b"other 1\n"), Reason.UNSUPPORTED, id="another metric"),
        pytest.param(http(b""), Reason.UNSUPPORTED, id="an empty page"),
        pytest.param(http(WAITING, "404 Not Found"), Reason.UNSUPPORTED, id="404"),
        pytest.param(http(WAITING, "401 Unauthorized"), Reason.PERMISSION, id="401"),
        pytest.param(http(WAITING, "403 Forbidden"), Reason.PERMISSION, id="403"),
        pytest.param(http(WAITING, "500 Oh"), Reason.ERROR, id="500"),
        pytest.param(http(WAITING, headers="Content-Encoding: gzip\r\n"), Reason.ERROR, id="compressed"),
    ],
)
def test_a_page_that_cannot_be_trusted_is_an_unknown_with_its_reason(
    source: DeclaredDemand, handler: Handler | bytes, reason: Reason
):
    with port_server(handler) as server:
        assert settled(source, target(server.port)) == {POD: Missing(reason)}
        assert source.problems()[0].startswith(f"ml/llm-0: http://127.0.0.1:{server.port}/metrics: ")


def test_a_server_that_accepts_and_says_nothing_times_out(source: DeclaredDemand):
    with port_server(lambda _: server.stopping.wait(10.0) and None) as server:
        assert settled(source, target(server.port)) == {POD: Missing(Reason.TIMEOUT)}
        server.stopping.set()


def test_nobody_at_the_port_is_an_error(source: DeclaredDemand):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = int(bound.getsockname()[1])
    assert settled(source, target(port)) == {POD: Missing(Reason.ERROR)}


def test_a_redirect_is_not_followed(source: DeclaredDemand):
    with port_server(http(WAITING)) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/metrics\r\n"
        with port_server(http(b"", "302 Found", location)) as server:
            assert settled(source, target(server.port)) == {POD: Missing(Reason.ERROR)}
            assert "redirects are not followed" in source.problems()[0]
        assert elsewhere.requests == []


# --- one bad pod costs itself alone ---


def test_reading_never_waits_for_a_pod(source: DeclaredDemand):
    with port_server(lambda _: server.stopping.wait(10.0) and None) as server:
        wanted = [target(server.port, pod=f"p{n}") for n in range(20)]
        started = time.monotonic()
        source.read(wanted, started)
        assert time.monotonic() - started < FAST.deadline
        server.stopping.set()


def test_slow_pods_do_not_keep_an_honest_one_from_being_heard(source: DeclaredDemand):
    with port_server(lambda _: slow.stopping.wait(10.0) and None) as slow, port_server(http(WAITING)) as honest:
        wanted = [target(slow.port, pod=f"slow-{n}") for n in range(3)] + [target(honest.port)]
        eventually(lambda: source.read(wanted, time.monotonic())[POD] is True)
        slow.stopping.set()


def test_no_more_pods_are_asked_at_a_time_than_there_are_workers():
    source = DeclaredDemand(Limits(deadline=0.5, workers=2, period=0.01))

    lock, waiting, most = threading.Lock(), 0, 0

    def slowly(sock: socket.socket) -> None:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        time.sleep(0.03)
        with lock:  # before the answer: the client goes on when it has it
            waiting -= 1
        sock.sendall(http(WAITING))

    with port_server(slowly) as server:
        wanted = [target(server.port, pod=f"p{n}") for n in range(8)]
        assert set(settled(source, *wanted).values()) == {True}
        assert most == 2
        source.close()


def test_a_pod_that_keeps_failing_is_asked_ever_more_rarely():
    source = DeclaredDemand(Limits(deadline=0.5, period=0.01, longest_retry=60.0), clock=lambda: now)
    now = 0.0
    with port_server(http(b"", "500 Oh")) as server:
        wanted = (target(server.port),)
        asked_at: list[float] = []
        for _ in range(800):  # eight seconds, a hundredth at a time
            before = len(server.requests)
            source.read(wanted, now)
            eventually(lambda: not any(watch.asked for watch in source._watches.values()))
            if len(server.requests) > before:
                asked_at.append(now)
            now += 0.01
        source.close()
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses[0] == pytest.approx(0.01, abs=0.006)
    assert pauses[-1] > 100 * pauses[0]
    assert len(asked_at) < 16


def test_an_answer_stands_for_ten_seconds_and_then_the_failure_is_told(source: DeclaredDemand):
    with port_server(http(WAITING)) as server:
        wanted = target(server.port)
        assert settled(source, wanted) == {POD: True}
        server.handler = lambda sock: sock.sendall(http(b"", "500 Oh"))
        eventually(lambda: source.read((wanted,), time.monotonic()) == {POD: True} and bool(source.problems()))
        now = time.monotonic()
        assert source.read((wanted,), now + 5) == {POD: True}
        assert source.read((wanted,), now + 11) == {POD: Missing(Reason.ERROR)}


def test_an_old_answer_that_nobody_renewed_is_stale():
    source = DeclaredDemand(Limits(deadline=0.5, period=1000.0), clock=lambda: 0.0)
    with port_server(http(WAITING)) as server:
        wanted = (target(server.port),)
        eventually(lambda: source.read(wanted, 0.0) == {POD: True})
        assert source.read(wanted, 10.5) == {POD: Missing(Reason.SOURCE_STALE)}
        source.close()


def test_before_the_first_answer_nothing_is_known():
    source = DeclaredDemand(FAST)
    with port_server(lambda _: server.stopping.wait(10.0) and None) as server:
        assert source.read((target(server.port),), time.monotonic()) == {POD: Missing(Reason.NOT_YET)}
        server.stopping.set()
        source.close()


def test_a_pod_that_is_no_longer_asked_for_is_forgotten(source: DeclaredDemand):
    with port_server(http(WAITING)) as server:
        assert settled(source, target(server.port)) == {POD: True}
        assert source.read((), time.monotonic()) == {}
        server.handler = lambda _: server.stopping.wait(10.0) and None
        assert source.read((target(server.port),), time.monotonic()) == {POD: Missing(Reason.NOT_YET)}
        server.stopping.set()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (b"waiting 1\n", b"waiting 0\n", True),
        (b"waiting 0\n", b"waiting 1\n", True),
        (b"waiting 0\n", b"waiting 0\n", False),
        (b"other 1\n", b"waiting 1\n", True),
        (b"other 1\n", b"waiting 0\n", Missing(Reason.UNSUPPORTED)),
        (b"waiting 0\n", b"other 1\n", Missing(Reason.UNSUPPORTED)),
    ],
)
def test_a_pod_with_two_signals_is_backlogged_by_one_and_not_backlogged_only_by_both(
    source: DeclaredDemand, first: bytes, second: bytes, expected: Backlog
):
    with port_server(http(first)) as one, port_server(http(second)) as two:
        assert settled(source, target(one.port), target(two.port)) == {POD: expected}


def test_a_node_without_targets_has_no_threads(source: DeclaredDemand):
    before = threading.active_count()
    assert source.read((), 0.0) == {}
    assert threading.active_count() == before


# --- which pods are asked ---

SIGNAL = DemandSignal(port=8000, metric="waiting", namespaces=("ml",), labels={"app": "vllm"})
SERVER = Server(namespace="ml", pod="llm-0", labels={"app": "vllm", "tier": "a"}, ip="10.0.0.7")


@pytest.mark.parametrize(
    ("server", "signal", "url"),
    [
        (SERVER, SIGNAL, "http://10.0.0.7:8000/metrics"),
        (
            Server(namespace="ml", pod="p", labels={"app": "vllm"}, ip="fd00::7"),
            SIGNAL,
            "http://[fd00::7]:8000/metrics",
        ),
        (Server(namespace="ml", pod="p", labels={"app": "vllm"}), SIGNAL, None),
        (Server(namespace="ml", pod="p", labels={"app": "vllm"}, ip="example.com"), SIGNAL, None),
        (Server(namespace="other", pod="p", labels={"app": "vllm"}, ip="10.0.0.7"), SIGNAL, None),
        (Server(namespace="ml", pod="p", labels={"app": "x"}, ip="10.0.0.7"), SIGNAL, None),
        (SERVER, DemandSignal(port=1, metric="m", workloads=("Deployment/llm",)), None),
        (
            Server(namespace="ml", pod="p", workload_kind="Deployment", workload="llm", ip="10.0.0.7"),
            DemandSignal(port=1, metric="m", workloads=("Deployment/l*",), path="/q"),
            "http://10.0.0.7:1/q",
        ),
    ],
)
def test_a_pod_is_asked_where_a_signal_applies_and_it_has_an_address(
    server: Server, signal: DemandSignal, url: str | None
):
    assert [str(found.place) for found in targets((server,), (signal,))] == ([] if url is None else [url])

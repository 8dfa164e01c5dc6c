"""The server over real sockets: routes, negotiation, kept connections, bounds, slow clients, the end."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.server.serving import OPENMETRICS, SNAPSHOT, TEXT, Running, a_page, eventually, read_to_end, running
from toolkit.errors import ConfigError
from toolkit.values import Address
from toolkit.web.connection import Patience
from toolkit.web.page import Page, Publisher
from toolkit.web.server import Server, Site, Web


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running() as served:
        yield served


@pytest.mark.parametrize(
    ("path", "status", "kind", "body"),
    [
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", TEXT),
        ("/metrics?x=1", 200, "text/plain; version=0.0.4; charset=utf-8", TEXT),
        ("http://any.host/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", TEXT),
        ("/snapshot", 200, "application/json; charset=utf-8", SNAPSHOT),
        ("/-/healthy", 200, "text/plain; charset=utf-8", b"healthy\n"),
        ("/healthz", 200, "text/plain; charset=utf-8", b"healthy\n"),
        ("/-/ready", 200, "text/plain; charset=utf-8", b"ready\n"),
        ("/readyz", 200, "text/plain; charset=utf-8", b"ready\n"),
        ("/", 200, "text/html; charset=utf-8", b"<html>landing</html>"),
        ("/metrics/", 404, "text/plain; charset=utf-8", b"no such page; / lists those there are\n"),
        ("/<script>", 404, "text/plain; charset=utf-8", b"no such page; / lists those there are\n"),
    ],
)
def test_each_route_has_its_answer(served: Running, path: str, status: int, kind: str, body: bytes):
    response, got = served.get(path)
    assert (response.status, response.headers["Content-Type"], got) == (status, kind, body)
    assert response.headers["Content-Length"] == str(len(body))


def test_head_is_get_without_the_body_and_keeps_the_connection(served: Running):
    paths = (("/metrics", len(TEXT)), ("/nothing", 38), ("/-/ready", 6))
    with served.raw() as sock:
        for path, _ in paths:
            sock.sendall(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        sock.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        heads = read_to_end(sock).split(b"\r\n\r\n")
    assert heads.pop() == b""
    assert len(heads) == 4
    for head, (_, length) in zip(heads, paths, strict=False):
        assert head.startswith(b"HTTP/1.1 ")
        assert f"\r\nContent-Length: {length}\r\n".encode() in head


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_refused_after_their_body_was_taken(served: Running, method: str):
    connection = served.connect()
    with contextlib.closing(connection):
        connection.request(method, "/metrics", body=b"x" * 50_000)
        response = connection.getresponse()
        assert response.read() == b"only GET and HEAD are served\n"
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert response.headers["Connection"] == "close"


def test_a_body_is_never_taken_for_a_request(served: Running):
    smuggled = b"GET /snapshot HTTP/1.1\r\nHost: a\r\n\r\n"
    for framing in (b"Content-Length: %d" % len(smuggled), b"Transfer-Encoding: chunked"):
        with served.raw() as sock:
            sock.sendall(b"GET /-/ready HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + smuggled)
            assert read_to_end(sock).count(b"HTTP/1.1 ") == 1


def test_openmetrics_is_sent_to_who_asks_for_it(served: Running):
    response, body = served.get("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert response.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert body == OPENMETRICS


@pytest.mark.parametrize(("path", "expected"), [("/metrics", TEXT), ("/snapshot", SNAPSHOT)])
def test_gzip_is_sent_to_who_accepts_it(served: Running, path: str, expected: bytes):
    response, body = served.get(path, Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == expected
    response, body = served.get(path, Accept_Encoding="gzip;q=0, identity")
    assert response.headers["Content-Encoding"] is None
    assert body == expected


def test_a_connection_is_kept_for_the_next_request(served: Running):
    connection = served.connect()
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == TEXT
        kept = connection.sock
        assert kept is not None
        connection.request("GET", "/snapshot")
        assert connection.getresponse().read() == SNAPSHOT
        assert connection.sock is kept


def test_pipelined_requests_are_answered_in_order(served: Running):
    with served.raw() as sock:
        sock.sendall(
            b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\nGET /snapshot HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        got = read_to_end(sock)
    assert got.index(b"ready\n") < got.index(SNAPSHOT)


def test_an_http_1_0_client_is_answered_and_closed(served: Running):
    with served.raw() as sock:
        sock.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
        got = read_to_end(sock)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in got


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET http://[/ HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"\r\n ".join([b"a" * 4000] * 50) + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused_and_closed(served: Running, sent: bytes, status: int):
    with served.raw() as sock:
        with contextlib.suppress(OSError):  # the answer may come before everything is sent
            sock.sendall(sent)
        got = read_to_end(sock)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"aaaa" not in got
    assert b"nonsense" not in got


def test_before_the_first_page_there_is_nothing_to_scrape_and_the_node_is_not_ready():
    publisher = Publisher()
    web = Web(listen=Address("127.0.0.1", 0), config_file=None, max_requests=1)
    with Server(web, Site(publisher, lambda: False, str)) as server:
        served = Running(server, publisher)
        for path in ("/metrics", "/snapshot", "/-/ready", "/-/healthy"):
            assert served.get(path)[0].status == 503, path
        publisher.publish(Page(text=b"", openmetrics=b"", snapshot=b"", at=0, ready=False))
        assert served.get("/readyz")[0].status == 503
        publisher.publish(a_page())
        assert served.get("/readyz")[0].status == 200
        assert served.get("/metrics")[1] == TEXT


def test_a_fault_of_one_route_is_a_500_and_the_others_go_on(caplog: pytest.LogCaptureFixture):
    def fail() -> str:
        raise ZeroDivisionError("secret detail")

    with running(landing=fail) as served:
        response, body = served.get("/")
        assert response.status == 500
        assert b"secret" not in body
        assert served.get("/metrics")[0].status == 200
    (record,) = caplog.records
    assert record.message == "a request failed"


def test_a_slow_client_does_not_keep_others_waiting_and_is_cut_off():
    with running(patience=Patience(head=0.4)) as served, served.raw() as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHo")
        started = time.monotonic()
        assert served.get("/metrics")[0].status == 200
        assert read_to_end(slow) == b""
        assert 0.2 < time.monotonic() - started < 8


def test_a_byte_now_and_then_does_not_prolong_a_request():
    with running(patience=Patience(head=0.5)) as served, served.raw() as slow:
        slow.settimeout(0.1)
        started = time.monotonic()
        closed = False
        while not closed and time.monotonic() - started < 8:
            try:
                slow.sendall(b"G")
                closed = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed


def test_an_idle_connection_is_closed_after_its_time():
    with running(patience=Patience(idle=0.2)) as served, served.raw() as sock:
        assert read_to_end(sock) == b""


def test_a_client_that_does_not_take_its_answer_is_cut_off():
    page, patience = a_page(b"x" * 30_000_000), Patience(answer=0.5)
    with running(page=page, patience=patience, max_requests=1) as served, served.raw() as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: served.get("/")[0].status == 503)  # its answer takes the one place
        assert eventually(lambda: served.get("/")[0].status == 200)  # and it has lost the place


def test_one_request_more_than_allowed_is_refused_and_health_is_not():
    release, entered = threading.Event(), threading.Semaphore(0)

    def landing() -> str:
        entered.release()
        assert release.wait(10)
        return "late"

    with running(max_requests=2, landing=landing) as served:
        answers: list[bytes] = []
        askers = [threading.Thread(target=lambda: answers.append(served.get("/")[1])) for _ in range(2)]
        for asker in askers:
            asker.start()
        for _ in askers:
            assert entered.acquire(timeout=10)
        response, body = served.get("/metrics")
        assert (response.status, body) == (503, b"too many requests at a time\n")
        assert served.get("/-/healthy")[0].status == 200
        release.set()
        for asker in askers:
            asker.join()
        assert answers == [b"late", b"late"]
        assert served.get("/metrics")[0].status == 200


def test_a_head_that_ends_before_its_end_is_no_request():
    with running() as served, served.raw() as sock:
        sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nAuthoriz")
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock) == b""


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\nHo"], ids=["silent", "in the middle of a request"])
def test_when_there_are_too_many_connections_the_one_that_waits_longest_makes_way(said: bytes):
    with running(max_requests=1) as served, contextlib.ExitStack() as stack:
        held = []
        for _ in range(64):
            held.append(stack.enter_context(served.raw()))
            held[-1].sendall(said)
        assert _status(served) == 200  # whoever opens connections and asks nothing keeps nobody out
        assert read_to_end(held[0]) == b""
        held[-1].settimeout(0.05)
        with pytest.raises(TimeoutError):
            held[-1].recv(1)


def test_when_all_connections_are_being_answered_one_more_is_turned_away_and_room_is_found_again():
    release, entered = threading.Event(), threading.Semaphore(0)

    def landing() -> str:
        entered.release()
        assert release.wait(20)
        return "late"

    with running(max_requests=64, landing=landing) as served, contextlib.ExitStack() as stack:
        served.server._listener._most = 64
        for _ in range(64):
            stack.enter_context(served.raw()).sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(64):
            assert entered.acquire(timeout=10)
        with served.raw() as late:
            assert read_to_end(late).startswith(b"HTTP/1.1 503 ")
        release.set()
        assert eventually(lambda: _status(served) == 200)


def test_the_end_closes_idle_connections_at_once_and_lets_a_request_finish():
    release, entered = threading.Event(), threading.Event()

    def landing() -> str:
        entered.set()
        assert release.wait(10)
        return "finished"

    answers: list[tuple[http.client.HTTPResponse, bytes]] = []
    with running(landing=landing) as served, served.raw() as idle:
        asker = threading.Thread(target=lambda: answers.append(served.get("/")))
        asker.start()
        assert entered.wait(10)
        port = served.port
        end = threading.Thread(target=served.server.shutdown)
        end.start()
        assert read_to_end(idle) == b""
        release.set()
        asker.join()
        end.join()
        response, body = answers[0]
        assert (body, response.headers["Connection"]) == (b"finished", "close")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_the_end_does_not_wait_longer_than_its_grace():
    release, entered = threading.Event(), threading.Event()

    def landing() -> str:
        entered.set()
        release.wait(20)
        return ""

    with running(landing=landing) as served, served.raw() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(10)
        started = time.monotonic()
        served.server.shutdown(grace=0.1)
        assert time.monotonic() - started < 8
        release.set()


@pytest.mark.parametrize("host", ["", "::", "::1", "127.0.0.1", "localhost"])
def test_every_form_of_address_is_served(host: str):
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    publisher = Publisher()
    web = Web(listen=Address(host, 0), config_file=None, max_requests=1)
    try:
        server = Server(web, Site(publisher, lambda: True, str))
    except ConfigError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with server, socket.socket(family) as sock:
        sock.settimeout(10)
        sock.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", server.address.port))
        sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert read_to_end(sock).endswith(b"healthy\n")


def test_an_address_that_cannot_be_had_is_one_clear_line():
    with running() as served:
        for address, expected in (
            (Address("127.0.0.1", served.port), "another program listens there"),
            (Address("192.0.2.1", 0), "no interface has this address"),
            (Address("no-such-host.invalid", 0), "the host's name has no address"),
        ):
            with pytest.raises(ConfigError, match="cannot listen on") as caught:
                Server(Web(listen=address, config_file=None, max_requests=1), Site(Publisher(), bool, str))
            assert caught.value.problems == (f"cannot listen on {address}: {expected}",)


def _status(served: Running) -> int:
    try:
        return served.get("/metrics")[0].status
    except OSError:  # turned away before the request was sent
        return 0

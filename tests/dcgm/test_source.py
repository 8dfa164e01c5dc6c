"""The source against a real HTTP server that is well, down, slow, endless, empty, broken, lying, or somebody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from exporter.dcgm.reading import DcgmReading
from exporter.errors import SourceError
from exporter.model import GpuUuid, Reason
from exporter.sources.dcgm import DcgmExporter, place
from tests.dcgm.pages import GPU, page, row
from tests.fakes.port import Port, http, port_server
from toolkit.site import site

PAGE = page(row("PROF_GR_ENGINE_ACTIVE", 0.5, gi=3), row("DEV_POWER_USAGE", 200, gi=3)).encode()
Serve = Callable[[Port], Callable[..., object] | bytes]


@pytest.fixture
def server() -> Iterator[Port]:
    with port_server(http(PAGE)) as found:
        yield found


def source(server: Port, path: str = "/metrics", user: str = "", deadline: float = 20.0) -> DcgmExporter:
    """A source with time enough for a busy machine."""
    return DcgmExporter(site(f"http://{user}127.0.0.1:{server.port}{path}"), deadline=deadline, most_bytes=64 * 1024)


def answers(server: Port, body: bytes, status: str = "200 OK", headers: str = "", length: int | None = None) -> None:
    server.handler = lambda sock: sock.sendall(http(body, status, headers, length))


def refusal(found: DcgmExporter, now: float = 0.0) -> SourceError:
    with pytest.raises(SourceError) as caught:
        found.read(now)
    return caught.value


def test_a_page_is_read(server: Port):
    told = source(server).read(7.0)
    assert isinstance(told, DcgmReading)
    (device,) = (each for each in told.gpus[GpuUuid(GPU)].devices if each.gpu_instance is not None)
    assert (device.gpu_instance, device.engine, told.gpus[GpuUuid(GPU)].seen) == (3, 0.5, 7.0)
    assert server.requests[0].startswith(b"GET /metrics HTTP/1.1\r\n")


def test_an_address_without_a_path_or_port_is_where_dcgm_exporter_serves():
    found = place(site("http://node-1"))
    assert (found.address, found.port, found.path) == ("node-1", 80, "/metrics")
    assert place(site("https://node-1:9400/dcgm")).tls is not None


def test_a_password_is_sent_and_never_shown(server: Port):
    answers(server, b"", "401 Unauthorized")
    error = refusal(source(server, user="joe:secret@"))
    assert error.reason is Reason.PERMISSION
    assert b"Authorization: Basic am9lOnNlY3JldA==\r\n" in server.requests[0]
    assert "secret" not in str(error)
    assert "am9lOnNlY3JldA" not in str(error)


@pytest.mark.parametrize(
    ("body", "status", "reason", "said"),
    [
        (b"", "200 OK", Reason.NOT_YET, "an empty page: dcgm-exporter is reloading"),
        (b"# HELP x y\n\n", "200 OK", Reason.NOT_YET, "an empty page: dcgm-exporter is reloading"),
        (b"failed to collect", "500 Internal Server Error", Reason.ERROR, "HTTP 500"),
        (b"", "404 Not Found", Reason.ERROR, "HTTP 404; dcgm-exporter serves /metrics"),
        (b"<html>\nhello\n", "200 OK", Reason.ERROR, "is it a dcgm-exporter?"),
        (b"go_goroutines 7\n", "200 OK", Reason.ERROR, "no field of DCGM on 1 lines (0 of them no samples)"),
        (b"x" * (64 * 1024 + 1), "200 OK", Reason.ERROR, "larger than 65536 bytes"),
        (b"\xff\xfe\x00", "200 OK", Reason.ERROR, "is it a dcgm-exporter?"),
    ],
    ids=["empty", "comments", "500", "404", "html", "node-exporter", "oversized", "binary"],
)
def test_what_is_no_page_is_an_error_with_its_reason(server: Port, body: bytes, status: str, reason: Reason, said: str):
    answers(server, body, status)
    error = refusal(source(server))
    assert error.reason is reason
    assert said in str(error)
    assert f"http://127.0.0.1:{server.port}/metrics" in str(error)


def test_an_endless_page_is_cut_at_its_size_without_a_length(server: Port):
    def endless(sock: object) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")  # type: ignore[attr-defined]
        while not server.stopping.is_set():
            sock.sendall(PAGE * 50)  # type: ignore[attr-defined]

    server.handler = endless
    assert "larger than 65536 bytes" in str(refusal(source(server)))


def test_a_redirect_is_not_followed(server: Port):
    answers(server, b"", "302 Found", f"Location: http://127.0.0.1:{server.port}/elsewhere\r\n")
    assert "redirects are not followed" in str(refusal(source(server)))
    assert len(server.requests) == 1


def test_a_connection_that_ends_early_is_no_page(server: Port):
    answers(server, PAGE, length=len(PAGE) + 10)
    assert "ended 10 bytes early" in str(refusal(source(server)))


@pytest.mark.parametrize("drips", [False, True], ids=["hangs", "drips"])
def test_one_deadline_covers_the_whole_answer(server: Port, drips: bool):  # noqa: FBT001  # a table's column
    def slowly(sock: object) -> None:
        if drips:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")  # type: ignore[attr-defined]
        while not server.stopping.wait(0.05):
            if drips:
                sock.sendall(b"#")  # type: ignore[attr-defined]

    server.handler = slowly
    started = time.monotonic()
    assert refusal(source(server, deadline=0.4)).reason is Reason.TIMEOUT
    assert time.monotonic() - started < 10.0


def test_nobody_there_is_an_error_that_says_so():
    with port_server(http(PAGE)) as server:
        gone = source(server)
    assert "Connection refused" in str(refusal(gone))


def test_after_three_failures_in_a_row_it_is_left_alone_for_half_a_minute(server: Port):
    found = source(server)
    answers(server, b"oh", "500 Oh")
    for now in (0.0, 15.0, 30.0):
        refusal(found, now)
    error = refusal(found, 45.0)
    assert "HTTP 500" in str(error)
    assert "left alone after 3 failures in a row" in str(error)
    assert len(server.requests) == 3
    answers(server, PAGE)
    assert found.read(60.0).serial == 1
    # One failure later it is asked again at once: the count starts anew.
    answers(server, b"oh", "500 Oh")
    refusal(found, 75.0)
    refusal(found, 90.0)
    assert len(server.requests) == 6


def test_two_failures_in_a_row_are_not_enough(server: Port):
    found = source(server)
    answers(server, b"", "500 Oh")
    for now in (0.0, 15.0):
        refusal(found, now)
    answers(server, PAGE)
    found.read(30.0)
    assert len(server.requests) == 3

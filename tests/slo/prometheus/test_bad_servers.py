"""A store that fails in each way known: one line that says whom we asked and what it answered, and never a password."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from slo.prometheus import PrometheusStore, Route, connect
from slo.prometheus.client import SMALL, Client, Clock
from slo.prometheus.refusals import TooMuchError
from slo.spec import Matcher, Op
from tests.slo.prometheus.bad_server import Answers, Asked, Reply, Server, serving
from tests.slo.prometheus.test_wire import chunk, field, frame, label
from toolkit.errors import UnreachableError
from toolkit.site import Site, site

EMPTY = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
STREAM = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
PASSWORD = "hunter2-secret"  # noqa: S105  # of nobody


@contextmanager
def store(
    answer: Answers | Reply,
    route: Route | None = Route.QUERY,
    *,
    deadline: float = 5.0,
    clock: Clock | None = None,
    tenant: str = "",
) -> Iterator[tuple[PrometheusStore, Server]]:
    """A store that asks a bad server, with a password."""
    with serving(answer if callable(answer) else lambda _: answer) as server:
        address = site(server.url.replace("//", f"//ann:{PASSWORD}@"))
        found = connect(address, deadline=deadline, route=route, clock=clock, tenant=tenant or None)
        yield found, server
        found.close()


def said(answer: Answers | Reply, route: Route | None = Route.QUERY, *, deadline: float = 5.0) -> str:
    """The one line that a read of a minute ends with."""
    with store(answer, route, deadline=deadline) as (found, server):
        with pytest.raises(UnreachableError) as error:
            found.read("m", (), 0, 60)
        line = str(error.value)
        assert line.startswith(f"{server.url}: ")
        assert "\n" not in line
        assert line.isprintable()
        assert PASSWORD not in line
        return line.removeprefix(f"{server.url}: ")


def an_error(text: str) -> bytes:
    """Prometheus's JSON for an error."""
    return json.dumps({"status": "error", "errorType": "bad_data", "error": text}).encode()


def test_refused():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnreachableError, match=rf"^http://127.0.0.1:{port}: Connection refused$"):
        connect(Site(f"http://127.0.0.1:{port}"), deadline=5).read("m", (), 0, 60)


def test_a_name_that_nobody_has():
    with pytest.raises(UnreachableError, match=r"^http://nobody\.invalid:1: "):
        connect(Site("http://nobody.invalid:1"), deadline=5).read("m", (), 0, 60)


def test_https_where_there_is_none():
    with serving(lambda _: Reply(body=EMPTY)) as server:
        address = site(server.url.replace("http", "https"))
        with pytest.raises(UnreachableError, match=rf"^{address.url}: .*SSL"):
            connect(address, deadline=5).read("m", (), 0, 60)


@pytest.mark.parametrize("route", list(Route))
def test_silence_ends_with_the_deadline(route: Route):
    before = time.monotonic()
    assert said(Reply(silent=20), route, deadline=0.3) == "no answer in 0.3 s"
    assert time.monotonic() - before < 5


@pytest.mark.parametrize("route", list(Route))
def test_an_answer_that_drips_ends_with_the_deadline(route: Route):
    before = time.monotonic()
    kind = STREAM if route is Route.REMOTE_READ else "application/json"
    line = said(Reply(body=b"x" * 1000, kind=kind, drip=0.05), route, deadline=0.5)
    assert line in {"the answer did not end within 0.5 s", "no answer in 0.5 s"}
    assert time.monotonic() - before < 5


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(400, an_error("parse error:\n\x1b[31m bad")), "answers 400 Bad Request: parse error: \\x1b[31m bad"),
        (Reply(401, b"Unauthorized\n", "text/plain"), "answers 401 Unauthorized: Unauthorized (see --prometheus.credentials-file)"),
        (Reply(401, b"no org id\n", "text/plain"), "answers 401 Unauthorized: no org id (see --prometheus.tenant)"),
        (Reply(403), "answers 403 Forbidden (see --prometheus.credentials-file)"),
        (Reply(404, b"404 page not found\n", "text/plain"), "answers 404 Not Found: 404 page not found"),
        (Reply(422, an_error("unknown function")), "answers 422 Unprocessable Entity: unknown function"),
        (Reply(500, b"<html><body>nginx</body></html>", "text/html"), "answers 500 Internal Server Error"),
        (Reply(502, b"\xff\xfe" + b"x" * 100_000, "text/plain"), "answers 502 Bad Gateway: " + "\ufffd\ufffd" + "x" * 197 + "…"),
        (Reply(302, headers={"Location": "https://ann:pw@login.example/?a"}), "redirects to login.example/?a: give that address instead"),
        (Reply(204), "answers 204 No Content"),
        (Reply(), "answers what is not the query API's JSON: is it the address of a Prometheus?"),
        (Reply(body=b"<html>Log in</html>", kind="text/html"), "answers what is not the query API's JSON: is it the address of a Prometheus?"),
        (Reply(body=an_error("query timed out")), "answers an error: query timed out"),
        (Reply(body=EMPTY[:-1] + b',"warnings":["store x: EOF"]}'), "warns that its answer may not be whole: store x: EOF"),
        (Reply(body=EMPTY, cut=20), "the answer broke off"),
        (Reply(body=EMPTY, cut=0), "the answer broke off"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_it_answered_is_told(reply: Reply, line: str):
    assert said(reply) == line


def test_a_gateway_that_repeats_the_password_does_not_get_it_shown():
    def repeat(asked: Asked) -> Reply:
        return Reply(400, f"bad header: {asked.headers['Authorization']} ({PASSWORD})".encode(), "text/plain")

    assert said(repeat) == "answers 400 Bad Request: bad header: Basic … (…)"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_as_it_says_and_then_believed(status: int):
    slept: list[float] = []
    replies = [
        Reply(status, headers={"Retry-After": "2"}),
        Reply(status),
        Reply(status, headers={"Retry-After": "Tue, 1 Dec"}),
        Reply(body=EMPTY),
    ]
    clock = Clock(now=lambda: sum(slept), sleep=slept.append)
    with store(
        lambda asked: replies.pop(0) if asked.path.endswith("query") else Reply(404), deadline=10, clock=clock
    ) as (
        found,
        server,
    ):
        assert found.read("m", (), 0, 60).frame.is_empty()
    assert slept == [2.0, 1.0, 2.0]
    assert len([each for each in server.asked if each.path.endswith("query")]) == 4


def test_a_server_that_stays_busy_is_given_up_at_the_deadline():
    slept: list[float] = []
    busy = Reply(503, b"warming up", "text/plain")
    clock = Clock(now=lambda: sum(slept), sleep=slept.append)
    with (
        store(busy, Route.EXPORT, clock=clock) as (found, _),
        pytest.raises(UnreachableError, match="503 Service Unavailable: warming up"),
    ):
        found.read("m", (Matcher("a", Op.EQUAL, "b"),), 0, 60)
    assert slept == [0.5, 1.0, 2.0]


def test_too_many_samples_halves_the_pages_and_keeps_them_so():
    def answer(asked: Asked) -> Reply:
        if asked.path != "/api/v1/query":
            return Reply(404)
        length = int(asked.form["query"].partition("[")[2].removesuffix("ms]"))
        told = "query processing would load too many samples into memory in query execution"
        return Reply(body=EMPTY) if length <= 30_000_000 else Reply(422, an_error(told))

    with store(answer) as (found, server):
        assert found.read("m", (), 0, 86_400).frame.is_empty()
        asked = [each.form for each in server.asked if each.path == "/api/v1/query"]
        assert [(each["query"].partition("[")[2], each["time"]) for each in asked] == [
            ("86400000ms]", "86400.000"),
            ("43200000ms]", "43200.000"),
            *((("21600000ms]", f"{hours * 3600}.000")) for hours in (6, 12, 18, 24)),
        ]
        server.asked.clear()
        found.read("m", (), 0, 21_600)
        assert len(server.asked) == 1


def test_an_answer_above_the_bound_is_too_much(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("slo.prometheus.client.BOUND", 1 << 20)
    assert said(Reply(body=b" " * (3 << 20))).startswith("the answer is larger than 1 MiB")


class TestRemoteRead:
    WHOLE = frame(field(1, label("__name__", "m") + chunk(b"\0\0")))

    @pytest.mark.parametrize(
        ("reply", "line"),
        [
            (Reply(body=WHOLE[:-1], kind=STREAM), "its remote read is damaged: the last frame is cut off"),
            (Reply(body=WHOLE, cut=9, kind=STREAM), "the answer broke off"),
            (Reply(body=WHOLE[:-1] + b"x", kind=STREAM), "its remote read is damaged: a frame is damaged"),
            (Reply(body=b"<html>Log in</html>" * 9, kind=STREAM), "its remote read is damaged: a frame is damaged"),
            (Reply(body=frame(field(1, label("a", "b") + chunk(b"\0\x09abc"))), kind=STREAM), "its remote read is damaged: a chunk runs past its end"),
            (Reply(body=b"", kind="text/html"), "answers a remote read with text/html, not with a stream"),
            (Reply(400, b"unsupported path\n", "text/plain"), "answers 400 Bad Request: unsupported path"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )  # fmt: skip
    def test_what_it_answered_is_told(self, reply: Reply, line: str):
        assert said(reply, Route.REMOTE_READ) == line

    def test_an_empty_stream_is_no_samples(self):
        with store(Reply(kind=STREAM), Route.REMOTE_READ) as (found, _):
            assert found.read("m", (), 0, 60).frame.is_empty()


class TestExport:
    LINE = b'{"metric":{"__name__":"m"},"values":[1,2],"timestamps":[1000,2000]}\n'

    @pytest.mark.parametrize(
        ("body", "line"),
        [
            (LINE[:-1], "its export is damaged: the last line is cut off"),
            (LINE + b"cannot read\n", "its export is damaged: a line that begins b'cannot read'"),
            (LINE.replace(b"1,2]", b"1]"), "its export is damaged: a line whose times and values are not as many"),
            (LINE.replace(b"[1,2]", b"[1,x]"), "its export is damaged: what is no number"),
            (LINE.replace(b"2000", b""), "its export is damaged: a line whose times and values are not as many"),
            (LINE.replace(b'"m"', b"m"), "its export is damaged: "),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_it_answered_is_told(self, body: bytes, line: str):
        assert said(Reply(body=body, kind="application/stream+json"), Route.EXPORT).startswith(line)

    def test_whole_lines_are_read(self):
        with store(Reply(body=self.LINE * 2 + b"\n", kind="application/stream+json"), Route.EXPORT) as (found, _):
            assert found.read("m", (), 1, 60).frame.rows() == [(0, 2000, 2.0)]


class TestProbe:
    @pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
    def test_what_has_only_the_query_api_is_asked_that_way(self, status: int):
        def answer(asked: Asked) -> Reply:
            body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
            return Reply(body=body) if asked.path == "/api/v1/query" else Reply(status)

        with store(answer, None, tenant="team-a") as (found, server):
            assert found.route is Route.QUERY
            assert found.route is Route.QUERY
            assert [each.path for each in server.asked] == ["/api/v1/read", "/api/v1/export", "/api/v1/query"]
            assert {each.headers["X-Scope-OrgID"] for each in server.asked} == {"team-a"}

    def test_a_web_page_for_everything_is_no_prometheus(self):
        assert said(Reply(body=b"<html>Log in</html>", kind="text/html"), None).endswith(
            "is it the address of a Prometheus?"
        )

    def test_who_may_not_ask_is_told_so(self):
        assert said(Reply(401), None).startswith("answers 401 Unauthorized")

    def test_a_busy_server_is_not_taken_for_one_without_remote_read(self):
        with store(Reply(503), None, deadline=0.2) as (found, server):
            with pytest.raises(UnreachableError, match="503"):
                found.read("m", (), 0, 60)
            assert {each.path for each in server.asked} == {"/api/v1/read"}


def test_a_connection_that_was_closed_between_two_questions_is_made_again():
    with store(Reply(body=EMPTY, headers={"Connection": "close"})) as (found, _):
        found.read("m", (), 0, 60)
        assert found.read("m", (), 0, 60).frame.is_empty()


def test_an_answer_to_a_small_question_has_a_size() -> None:
    with serving(lambda _: Reply(body=b" " * (SMALL + 1))) as server:
        asking = Client(site(server.url), deadline=5.0, headers={})
        with pytest.raises(TooMuchError, match="larger than 16 MiB"):
            asking.get("/api/v1/status/config")
        asking.close()

"""One request to a peer that behaves badly: a clear word about it within the deadline, and no secret in it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slo.alertmanager.batches import Verdict
from slo.alertmanager.line import Line
from slo.alertmanager.peer import peer
from slo.alertmanager.replies import judge
from tests.slo.alertmanager.bad_peer import Act, bad_peer, drip, raw, say, silent
from tests.slo.servers import free_port
from toolkit.errors import ConfigError
from toolkit.site import Access


@pytest.mark.parametrize(
    ("act", "verdict", "why"),
    [
        (say("200 OK"), Verdict.ACCEPTED, ""),
        (say("200 OK", b'{"status":"success"}'), Verdict.ACCEPTED, ""),
        (say("202 Accepted"), Verdict.ACCEPTED, ""),
        (
            say("200 OK", b"<html>log in</html>"),
            Verdict.FAILED,
            "answered 200 with something that no Alertmanager says",
        ),
        (
            say("301 Moved", b"", "Location: http://else/"),
            Verdict.FAILED,
            "answered 301 with a redirect to http://else/: give",
        ),
        (say("400 Bad Request", b'"invalid label"'), Verdict.REFUSED, "answered 400: invalid label"),
        (say("413 Too Large", b"<html>too large</html>"), Verdict.REFUSED, "answered 413: <html>too large"),
        (say("422 No", b'{"code":601,"message":"startsAt"}'), Verdict.REFUSED, "answered 422: startsAt"),
        (say("401 Unauthorized", b"Unauthorized"), Verdict.FAILED, "answered 401 and does not take these credentials"),
        (say("403 Forbidden"), Verdict.FAILED, "answered 403 and does not take"),
        (
            say("404 Not Found", b"404 page"),
            Verdict.FAILED,
            "answered 404 for /api/v2/alerts: is a path prefix missing",
        ),
        (say("500 Error", b"\x1b[31moh\n"), Verdict.FAILED, "answered 500 and said:  [31moh"),
        (say("503 Unavailable"), Verdict.FAILED, "answered 503 and said: nothing more"),
        (raw(b""), Verdict.FAILED, "closed the connection without an answer"),
        (
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"),
            Verdict.FAILED,
            "broke off in the middle of its answer",
        ),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            Verdict.FAILED,
            "broke off in the middle",
        ),
        (raw(b"\x16\x03\x01 garbage\r\n\r\n"), Verdict.FAILED, "answered with something that is not HTTP"),
        (
            raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500 + b"\r\n"),
            Verdict.FAILED,
            "answered with something that is not HTTP",
        ),
        (silent, Verdict.FAILED, "did not answer within 0.5 s"),
        (drip, Verdict.FAILED, "did not answer within 0.5 s"),
    ],
)
def test_every_answer_has_its_meaning(act: Act, verdict: Verdict, why: str):
    with bad_peer(act) as bad:
        line = Line(peer(bad.url.replace("http://", "http://user:pa55word@")))
        start = time.monotonic()
        reply = line.post(b"[]", 0.5).reply
        line.close()
        assert reply.verdict is verdict
        assert reply.why.startswith(why)
        assert "pa55word" not in reply.why
        assert reply.why.isprintable()
        assert time.monotonic() - start < 2


def test_a_port_where_nobody_listens_is_a_failure():
    line = Line(peer(f"http://127.0.0.1:{free_port()}"))
    assert line.post(b"[]", 1).reply.why == "Connection refused"


def test_a_name_that_does_not_exist_is_a_failure():
    line = Line(peer("http://nobody.invalid"))
    assert line.post(b"[]", 1).reply.verdict is Verdict.FAILED


def test_the_prefix_and_the_credentials_go_with_the_request(tmp_path: Path):
    (tmp_path / "who").write_text("alert:s3cret\n")
    with bad_peer(say("200 OK")) as bad:
        line = Line(peer(f"{bad.url}/am/", Access(credentials_file=tmp_path / "who")))
        assert line.post(b"[]", 1).reply.verdict is Verdict.ACCEPTED
        line.close()
        (request,) = bad.requests
        assert request.path == "/am/api/v2/alerts"
        assert request.headers["authorization"] == "Basic YWxlcnQ6czNjcmV0"


def test_a_connection_is_kept_and_one_that_was_closed_meanwhile_is_opened_again():
    with bad_peer(say("200 OK")) as bad:
        line = Line(peer(bad.url))
        assert line.post(b"[1]", 1).reply.verdict is Verdict.ACCEPTED
        bad.act = raw(b"")  # closes without a word, as a peer that was started again does
        assert line.post(b"[2]", 1).reply.verdict is Verdict.FAILED
        bad.act = say("200 OK")
        assert line.post(b"[3]", 1).reply.verdict is Verdict.ACCEPTED
        bad.act = closing_once(bad.url)
        assert line.post(b"[4]", 1).reply.verdict is Verdict.ACCEPTED
        line.close()


def closing_once(url: str) -> Act:
    seen = []

    def act(connection: object, request: object) -> bool:
        seen.append(request)
        return False if len(seen) == 1 else say("200 OK")(connection, request)  # type: ignore[arg-type]

    return act


def test_what_is_left_of_a_long_answer_belongs_to_no_later_one():
    with bad_peer(say("500 Error", b"x" * 200_000)) as bad:
        line = Line(peer(bad.url))
        assert line.post(b"[]", 2).reply.verdict is Verdict.FAILED
        bad.act = say("200 OK")
        assert line.post(b"[]", 2).reply.verdict is Verdict.ACCEPTED
        line.close()


def test_the_peers_clock_is_told_when_it_has_one():
    with bad_peer(say("200 OK", b"", "Date: Tue, 14 Nov 2023 22:13:20 GMT")) as bad:
        line = Line(peer(bad.url))
        assert line.post(b"[]", 2).date == 1_700_000_000
        bad.act = say("200 OK", b"", "Date: yesterday")
        assert line.post(b"[]", 2).date is None
        line.close()


def test_plain_http_where_tls_is_spoken_is_said(tmp_path: Path):
    with bad_peer(say("200 OK")) as bad:
        line = Line(peer(bad.url.replace("http:", "https:")))
        reply = line.post(b"[]", 2).reply
        assert reply.verdict is Verdict.FAILED
        assert reply.why.startswith("TLS failed: ") or "broke off" in reply.why or "did not answer" in reply.why


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:9093", "expected a URL such as"),
        ("http://h:9093/api/v2/alerts", "without /api/v2/alerts"),
        ("ftp://user:pa55word@h", "expected a URL"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, said: str):
    with pytest.raises(ConfigError) as caught:
        peer(url)
    assert said in str(caught.value)
    assert "pa55word" not in str(caught.value)


def test_a_client_certificate_needs_https_and_its_key_a_certificate(tmp_path: Path):
    (tmp_path / "c.pem").write_text("nothing")
    with pytest.raises(ConfigError, match="needs https"):
        peer("http://h:1", Access(cert_file=tmp_path / "c.pem"))
    with pytest.raises(ConfigError, match="needs its certificate"):
        peer("https://h:1", Access(key_file=tmp_path / "c.pem"))
    with pytest.raises(ConfigError, match="no certificate with its key"):
        peer("https://h:1", Access(cert_file=tmp_path / "c.pem"))


def test_a_judge_survives_what_nobody_would_say():
    assert judge(200, b"[" * 100_000).verdict is Verdict.FAILED
    assert judge(999, b"\xff" * 10).verdict is Verdict.FAILED
    assert len(judge(500, b"a" * 60_000).why) < 400

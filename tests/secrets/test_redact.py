"""What looks like a credential is taken out of errors and of log lines; what does not stays."""

from __future__ import annotations

import io
import logging

import pytest

from exporter.errors import SourceError
from toolkit import logs
from toolkit.errors import ConfigError, SliceWatchError, UnreachableError
from toolkit.logs import Log
from toolkit.redact import redacted
from toolkit.values import Level, LogFormat

JWT = "eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJrdWJlcm5l.c2lnbmF0dXJl"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:secret@node:9945/x: refused", "http://…@node:9945/x: refused"),
        ("https://to:ken@a and http://b:c@d", "https://…@a and http://…@d"),
        ("http://me:sec@ret@node", "http://…@node"),
        ("http://onlyme@node", "http://…@node"),
        ("header 'Authorization: Bearer abcDEF123.x-y_z' refused", "header 'Authorization: Bearer …' refused"),
        ("basic dXNlcjpwYXNz=", "basic …"),
        (f"token {JWT} expired", "token … expired"),
        (f"key {KEY} bad", "key … bad"),
        ("key -----BEGIN PRIVATE KEY-----\nMIIB cut off", "key …"),
    ],
)
def test_a_credential_is_taken_out(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://node:9945/metrics?a=b@c",
        "give http://USER:PASSWORD@HOST",
        "basic authentication cannot send it",
        "me@example.org",
        "registry.example/image@sha256:abc",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("kind", [SliceWatchError, ConfigError, UnreachableError, SourceError])
def test_no_error_of_ours_holds_one(kind: type[SliceWatchError]) -> None:
    error = kind("http://me:secret@node: no")
    assert str(error) == "http://…@node: no"
    if isinstance(error, ConfigError):
        assert error.problems == ("http://…@node: no",)


def refuse() -> None:
    raise OSError("http://me:hunter2@node refused")


@pytest.mark.parametrize("form", list(LogFormat))
def test_no_log_line_holds_one_whoever_wrote_it(form: LogFormat) -> None:
    stream = io.StringIO()
    handler = logs.setup(Log(level=Level.DEBUG, format=form), stream)
    logger = logging.getLogger("exporter.test")
    try:
        refuse()
    except OSError:
        fields = {"why": f"Bearer {JWT}", "at": ["://a:hunter2@b"]}
        logs.log(logger, logging.ERROR, "asking http://me:hunter2@node", exc_info=True, **fields)
    finally:
        logging.getLogger().removeHandler(handler)
    assert "node refused" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "eyJ" not in stream.getvalue()

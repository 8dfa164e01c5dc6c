"""Log lines: their two formats, and what a tenant's string can do to them."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import logs
from toolkit.logs import Log
from toolkit.values import Level, LogFormat

Start = Callable[..., io.StringIO]


@pytest.fixture
def lines() -> Iterator[Start]:
    """Set logging up on a stream and return a function that yields its lines; put everything back afterwards."""
    root = logging.getLogger()
    before = root.level, [logging.getLogger(name).level for name in logs.OWN_LOGGERS]
    handlers: list[logging.Handler] = []

    def start(level: Level = Level.INFO, form: LogFormat = LogFormat.LOGFMT) -> io.StringIO:
        stream = io.StringIO()
        handlers.append(logs.setup(Log(level=level, format=form), stream))
        return stream

    yield start
    for handler in handlers:
        root.removeHandler(handler)
    root.setLevel(before[0])
    for name, level in zip(logs.OWN_LOGGERS, before[1], strict=True):
        logging.getLogger(name).setLevel(level)


LOGGER = logging.getLogger("exporter.test")


def test_a_logfmt_line_is_time_level_message_and_fields(lines: Start):
    stream = lines()
    logs.log(LOGGER, logging.WARNING, "the source is down", source="nvml", age=1.5, up=False, none=None, empty="")
    assert re.fullmatch(
        r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warn "
        r'msg="the source is down" source=nvml age=1\.5 up=false none=null empty=""\n',
        stream.getvalue(),
    )


def test_a_json_line_holds_the_same(lines: Start):
    stream = lines(form=LogFormat.JSON)
    logs.log(LOGGER, logging.ERROR, "down", source="nvml", age=1.5, up=False, none=None, nan=float("nan"))
    made = json.loads(stream.getvalue())
    assert made.pop("ts").endswith("Z")
    expected = {"level": "error", "msg": "down", "source": "nvml", "age": 1.5, "up": False, "none": None, "nan": "nan"}
    assert made == expected


def test_an_exception_is_one_line(lines: Start):
    stream = lines()
    try:
        int("a\nb")
    except ValueError:
        logs.log(LOGGER, logging.ERROR, "failed", exc_info=True)
    (line,) = stream.getvalue().splitlines()
    assert "error=\"ValueError: invalid literal for int() with base 10: 'a\\\\nb'\"" in line
    assert 'stack="Traceback' in line


@given(st.text(), st.sampled_from(list(LogFormat)))
def test_no_string_of_a_tenant_makes_a_second_line_or_a_control_character(text: str, form: LogFormat):
    record = logging.LogRecord("exporter", logging.INFO, "", 0, text, None, None)
    record.fields = {"pod": text, text: "x", "level": "forged"}
    line = (logs.Logfmt() if form is LogFormat.LOGFMT else logs.Json()).format(record)
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    if form is LogFormat.JSON:
        assert json.loads(line)["level"] == "info"


@pytest.mark.parametrize("pod", ["a level=error", 'a"', "a=b", "a\\", "a\u2028b", "a\u202eb", "a\x7f", "\U000e0001"])
def test_a_value_that_could_be_taken_for_more_is_quoted(lines: Start, pod: str):
    stream = lines()
    logs.log(LOGGER, logging.INFO, "m", pod=pod)
    quoted = stream.getvalue().rstrip("\n").partition("pod=")[2]
    assert json.loads(quoted) == pod
    assert quoted.isprintable()


def test_a_long_value_is_cut(lines: Start):
    stream = lines()
    logs.log(LOGGER, logging.INFO, "m", pod="x" * 100_000)
    assert len(stream.getvalue()) < 2000


def test_the_level_holds_for_our_loggers_and_others_are_heard_from_warnings_on(lines: Start):
    stream = lines(Level.DEBUG)
    LOGGER.debug("ours")
    logging.getLogger("urllib3").debug("token=secret")
    logging.getLogger("urllib3").warning("theirs")
    stream_error = lines(Level.ERROR)
    LOGGER.warning("not now")
    logging.getLogger("urllib3").warning("nor this")
    assert [line.rpartition("msg=")[2] for line in stream.getvalue().splitlines()] == ["ours", "theirs"]
    assert stream_error.getvalue() == ""


def test_a_broken_log_stream_does_not_raise(lines: Start, capsys: pytest.CaptureFixture[str]):
    stream = lines()
    stream.close()
    LOGGER.error("nobody hears this")
    assert capsys.readouterr().err == ""


def test_a_repeated_state_is_let_through_once_and_then_now_and_again():
    repeats = logs.Repeats(every=60)
    times = [(0.0, "down"), (1.0, "down"), (59.0, "down"), (60.0, "down"), (61.0, "up"), (62.0, "down")]
    assert [repeats.admit("nvml", state, at) for at, state in times] == [0, None, None, 2, 0, 0]


def test_repeats_remember_a_bounded_number_of_keys():
    repeats = logs.Repeats(every=60, limit=2)
    assert [repeats.admit(key, "x", 0.0) for key in ("a", "b", "c", "b", "a")] == [0, 0, 0, None, 0]

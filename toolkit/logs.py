"""Log lines that a machine can read and a tenant cannot forge.

Pod, container and process names are chosen by tenants and end up in log lines; a name with a line feed in it must not make
a second line. So every message is a constant sentence, what varies goes into fields, and everything that is not printable
is escaped in both formats.

    log(logger, logging.WARNING, "the source is down", source="nvml", reason="timeout")
    ts=2025-01-02T03:04:05.678Z level=warn msg="the source is down" source=nvml reason=timeout
"""

from __future__ import annotations

import json
import logging
import re
import threading
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from toolkit.redact import redacted
from toolkit.values import Level, LogFormat

OWN_LOGGERS = ("exporter", "slo", "toolkit", "slicewatch")
"""Loggers that follow `--log.level`; other libraries are heard from warnings on: their debug lines may hold tokens."""

_LEVELS = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARN: logging.WARNING,
    Level.ERROR: logging.ERROR,
}
_NOT_KEY = re.compile(r"[^A-Za-z0-9_.]")
_RESERVED = frozenset({"ts", "level", "msg"})
_MAX_VALUE = 1024
_MAX_STACK = 16384

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is logged, and how."""

    level: Level
    format: LogFormat


def log(logger: logging.Logger, level: int, message: str, /, *, exc_info: bool = False, **fields: object) -> None:
    """Log a sentence with fields. With `exc_info`, the exception being handled is added as `error` and `stack`."""
    logger.log(level, message, exc_info=exc_info, extra={"fields": fields})


def setup(settings: Log, stream: TextIO) -> logging.Handler:
    """Send every logger's lines to `stream`, replacing what an earlier call set up; return the handler."""
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _LineHandler)]:
        root.removeHandler(old)
    handler = _LineHandler(stream)
    handler.setFormatter(Logfmt() if settings.format is LogFormat.LOGFMT else Json())
    root.addHandler(handler)
    level = _LEVELS[settings.level]
    root.setLevel(max(level, logging.WARNING))
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)
    return handler


class Logfmt(logging.Formatter):
    """`key=value` pairs; a value with anything but plain characters is quoted as JSON quotes it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without its end."""
        return " ".join(f"{key}={_logfmt_value(value)}" for key, value in _pairs(record))


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without its end."""
        pairs = (f"{_json_text(key)}: {_json_value(value)}" for key, value in _pairs(record))
        return "{" + ", ".join(pairs) + "}"


class Repeats:
    """Lets a message through when its state changes, and again at most every so often while it does not.

    A tick a second would otherwise write the same line a second. Thread-safe; remembers a bounded number of keys, because
    keys may hold tenants' names.
    """

    def __init__(self, every: float = 600.0, limit: int = 1024) -> None:
        self._every = every
        self._limit = limit
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[str, float, int]] = OrderedDict()  # key → state, last let through, held back

    def admit(self, key: str, state: str, now: float) -> int | None:
        """Return None to hold the message back, else how many were held back since the last one. `now` is seconds."""
        with self._lock:
            before = self._seen.pop(key, None)
            if before is not None and before[0] == state and now - before[1] < self._every:
                self._seen[key] = (state, before[1], before[2] + 1)
                return None
            self._seen[key] = (state, now, 0)
            while len(self._seen) > self._limit:
                self._seen.popitem(last=False)
            return 0 if before is None else before[2]


class _LineHandler(logging.StreamHandler[TextIO]):
    """A handler whose own failure stays its own: a full disk or a closed pipe behind the log must not end the exporter."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        pass


def _pairs(record: logging.LogRecord) -> Iterator[tuple[str, Value]]:
    yield "ts", datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield "level", _level_word(record.levelno)
    yield "msg", _short(record.getMessage(), _MAX_VALUE)
    fields = getattr(record, "fields", {})
    for key, value in fields.items():
        word = _NOT_KEY.sub("_", str(key)) or "_"
        yield f"{word}_" if word in _RESERVED else word, _plain(value)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        if "error" not in fields:
            yield "error", _short(f"{type(error).__name__}: {error}", _MAX_VALUE)
        yield "stack", _short("".join(traceback.format_exception(error)), _MAX_STACK)


def _level_word(level: int) -> str:
    if level >= logging.ERROR:
        return "error"
    if level >= logging.WARNING:
        return "warn"
    return "info" if level >= logging.INFO else "debug"


def _plain(value: object) -> Value:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _short(str(value), _MAX_VALUE)


def _short(text: str, limit: int) -> str:
    text = redacted(text)
    return text if len(text) <= limit else text[:limit] + "…"


def _json_text(text: str) -> str:
    """Quote as JSON, with every character escaped that a terminal or a log reader may take for more than itself.

    json.dumps escapes only U+0000 to U+001F; DEL, C1 controls, line separators, bidirectional overrides and lone
    surrogates are what isprintable refuses too.
    """
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


def _json_value(value: Value) -> str:
    if isinstance(value, float):
        # JSON has no NaN and no infinity.
        return repr(value) if value - value == 0 else _json_text(str(value))
    return _json_text(value) if isinstance(value, str) else json.dumps(value)


def _logfmt_value(value: Value) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = value and value.isprintable() and not any(c in value for c in ' "=\\')
    return value if plain else _json_text(value)

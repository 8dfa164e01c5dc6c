"""Values that are written as text, in flags and in files, each parsed once into a type.

A parser raises ValueError whose message is what was expected, so that whoever read the text can say where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from toolkit.yamltree import one_of

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. An empty host is every interface, IPv4 and IPv6; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Level(StrEnum):
    """Least severe log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line is written."""

    LOGFMT = "logfmt"
    JSON = "json"


_UNITS = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))
_HOST = re.compile(r"[A-Za-z0-9_.-]{0,253}")
_HOST_V6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?")
_MAX_PORT = 65535


def duration(text: str) -> float:
    """Return seconds of a duration as Prometheus writes it: `500ms`, `1m30s`, `0`; units from large to small."""
    if text == "0":
        return 0.0
    found = DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError("a duration such as 500ms, 1s or 1m30s")
    return sum(int(number) * unit for number, unit in zip(found.groups(), _UNITS.values(), strict=True) if number)


def duration_within(least: str, most: str) -> Callable[[str], float]:
    """Return a parser of durations that refuses those outside of the bounds."""

    def parse(text: str) -> float:
        seconds = duration(text)
        if not duration(least) <= seconds <= duration(most):
            raise ValueError(f"a duration from {least} to {most}")
        return seconds

    return parse


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of decimal whole numbers within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def address(text: str) -> Address:
    """Parse `host:port`, `[::]:port` or `:port`."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    pattern = _HOST if bare == host else _HOST_V6
    if not colon or not pattern.fullmatch(bare) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _MAX_PORT:
        raise ValueError("an address such as 0.0.0.0:9945, [::]:9945 or :9945")
    return Address(bare, int(port))


def word_of(kind: type[E]) -> Callable[[str], E]:
    """Return a parser of the words of an enumeration."""

    def parse(text: str) -> E:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(one_of([member.value for member in kind])) from None

    return parse


def path(text: str) -> Path:
    """Parse a path that must be given."""
    if not text or "\0" in text:
        raise ValueError("a path")
    return Path(text)


def optional_path(text: str) -> Path | None:
    """Parse a path; empty text is none."""
    return path(text) if text else None


def switch(text: str) -> bool:
    """Parse true or false."""
    if text not in {"true", "false"}:
        raise ValueError("true or false")
    return text == "true"

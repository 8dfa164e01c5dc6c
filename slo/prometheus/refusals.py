"""What a site's failure is in one line: whom we asked, what it answered, and what to do about it where we know."""

from __future__ import annotations

import json
import re
import ssl
from http import HTTPStatus
from typing import Final

from urllib3.exceptions import IncompleteRead, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as TimedOut

from toolkit.errors import UnreachableError

_LONGEST: Final = 200
_TOO_MUCH: Final = re.compile(
    r"too many (samples|points|series|chunks)|too large|larger than|exceed|cannot select more|limit", re.IGNORECASE
)
_ROOM: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}


class RefusedError(UnreachableError):
    """The site answered, with a status that is not the one hoped for."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TooMuchError(RefusedError):
    """The site has no room for so large an answer: a smaller question may do."""


def printable(text: str) -> str:
    """Return one line of a foreign text: cut, and with everything that is not printable written out."""
    line = " ".join(text.split())
    short = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)


def refused(url: str, status: int, reason: str, said: str) -> RefusedError:
    """Return the error for a status that is not 200; `said` is what the site said about it."""
    line = f"{url}: answers {status} {printable(reason)}".rstrip() + (f": {said}" if said else "")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        hint = "--prometheus.tenant" if "org id" in said else "--prometheus.credentials-file"
        return RefusedError(f"{line} (see {hint})", status)
    if status in _ROOM and _TOO_MUCH.search(said):
        return TooMuchError(line, status)
    return RefusedError(line, status)


def said(body: bytes, kind: str) -> str:
    """Return what the body of a refusal says: the error of Prometheus's JSON, or its text; of a web page nothing."""
    text = body.decode(errors="replace")
    try:
        found = json.loads(text)
        return printable(str(found["error"]))
    except (ValueError, KeyError, TypeError):
        return "" if "html" in kind or text.lstrip().startswith("<") else printable(text)


def failed(url: str, error: Exception, deadline: float) -> UnreachableError:
    """Return the error for a connection that could not be made, or broke."""
    if isinstance(error, TimedOut) and not isinstance(error, NewConnectionError):
        return UnreachableError(f"{url}: no answer in {deadline:g} s")
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = f"its certificate is not trusted ({cause.verify_message}); --prometheus.ca-file names the authority"
            return UnreachableError(f"{url}: {why}")
        if isinstance(cause, IncompleteRead) or "IncompleteRead" in type(cause).__name__:
            return UnreachableError(f"{url}: the answer broke off")
    cause = _causes(error)[-1]
    why = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    if isinstance(error, ProtocolError) and not why:
        why = "closed the connection without an answer"
    return UnreachableError(f"{url}: {printable(why or type(cause).__name__)}")


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from, to the first."""
    found = [error]
    while (inner := found[-1].__cause__ or found[-1].__context__) is not None and inner not in found:
        found.append(inner)
    return found

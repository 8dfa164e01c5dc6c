"""One HTTP request with a deadline, a bound on the answer and no surprises: no proxy, no redirect, no password in a message."""

from __future__ import annotations

import http.client
import io
import ssl
import time
import urllib.error
import urllib.request
from typing import IO, Protocol

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.why.figures import clean
from toolkit.site import Site, hidden
from toolkit.timedhead import TimedHead

DEADLINE = 20.0
"""Seconds for one whole answer."""
BOUND = 256 * 1024 * 1024
"""Bytes of the largest answer: ten thousand partitions with all their counters are a quarter of that."""
_CHUNK = 65536
_SAID = 300


class Ask(Protocol):
    """How a site is asked; a test may answer itself."""

    def __call__(self, site: Site, path: str, form: bytes | None = None) -> bytes:
        """Return the answer's body. Raises SourceError."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the Authorization header to whoever is named in it."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Follow none."""
        del req, fp, code, msg, headers, newurl


class _PlainConnection(http.client.HTTPConnection):
    response_class = TimedHead


class _SecureConnection(http.client.HTTPSConnection):
    response_class = TimedHead


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PlainConnection, req)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req, context=self._context)  # type: ignore[attr-defined]  # not in the stubs


def fetch(site: Site, path: str, form: bytes | None = None, *, deadline: float = DEADLINE, bound: int = BOUND) -> bytes:
    """GET, or POST when there is a form; return the body of at most `bound` bytes, within `deadline` seconds.

    Raises SourceError for every way in which that fails.
    """
    headers = {"Accept": "application/json"} | ({"Authorization": site.authorization} if site.authorization else {})
    request = urllib.request.Request(site.url + path, data=form, headers=headers)  # noqa: S310  # the scheme is checked by `site`
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirects(), _Plain()]
    if site.tls is not None:
        handlers.append(_Secure(context=site.tls))
    until = time.monotonic() + deadline
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=deadline) as answer:
            return _read(answer, until, bound, site.url)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error, site.url) from error
    except TimeoutError as error:
        raise SourceError(f"{site.url}: no answer in {deadline:g} s", Reason.TIMEOUT) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise SourceError(f"{site.url}: {_cause(error)}") from error


def _read(answer: http.client.HTTPResponse, until: float, bound: int, url: str) -> bytes:
    """Read what is there, piece by piece, under one deadline: a socket's own time-out starts anew with every byte."""
    body = io.BytesIO()
    while chunk := answer.read1(_CHUNK):
        body.write(chunk)
        if body.tell() > bound:
            raise SourceError(f"{url}: the answer is larger than {bound // 1024} KiB")
        if time.monotonic() > until:
            raise SourceError(f"{url}: the answer did not end in time", Reason.TIMEOUT)
    return body.getvalue()


def _refused(error: urllib.error.HTTPError, url: str) -> SourceError:
    status = http.HTTPStatus
    if error.code in {status.UNAUTHORIZED, status.FORBIDDEN}:
        return SourceError(
            f"{url}: {error.code} {clean(str(error.reason))}: give --web.credentials-file, or http://USER:PASSWORD@HOST",
            Reason.PERMISSION,
        )
    if status.MULTIPLE_CHOICES <= error.code < status.BAD_REQUEST:
        target = clean(hidden(error.headers.get("Location", "elsewhere")))
        return SourceError(f"{url}: redirects to {target}: give that address instead")
    try:
        said = clean(error.read(_SAID).decode(errors="replace").strip())
    except OSError:
        said = ""
    return SourceError(f"{url}: answers {error.code} {clean(str(error.reason))}{': ' if said else ''}{said}")


def _cause(error: Exception) -> str:
    """What the system said, in its own words and in one line."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message}); --tls.ca-file names the authority"
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return clean(text or type(error).__name__)

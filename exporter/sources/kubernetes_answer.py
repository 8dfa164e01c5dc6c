"""What comes back from the API server, under bounds: a whole document, or the lines of a watch.

The server is believed, but what answers at its address may be something else, and a process that is a guest on its node must
not be made to hold whatever it is sent. So an answer has a size and a deadline besides the time between its bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from exporter.errors import SourceError
from exporter.model import Reason

if TYPE_CHECKING:
    import urllib3

MAX_LINE = 32 * 1024 * 1024
"""Bytes; etcd takes objects of 1.5 MiB, so that a longer line is no event."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes, unpacked; a page of 500 pods of the largest kind that is met has a few of them."""

WHOLE_SECONDS = 60.0
"""For the whole of a document."""

_PIECE = 64 * 1024


def within(what: str, call: Any) -> Any:
    """Call, and translate what urllib3 and the TLS library raise."""
    import urllib3  # noqa: PLC0415  # comes with the client

    try:
        return call()
    except urllib3.exceptions.NewConnectionError as error:  # a ConnectTimeoutError by descent, though nothing timed out
        raise SourceError(f"kubernetes: {what}: {line(error)}") from error
    except urllib3.exceptions.TimeoutError as error:
        raise SourceError(f"kubernetes: {what}: {line(error)}", Reason.TIMEOUT) from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise SourceError(f"kubernetes: {what}: {line(error)}") from error


def whole(
    what: str, response: urllib3.BaseHTTPResponse, *, bound: int = MAX_ANSWER, seconds: float = WHOLE_SECONDS
) -> bytes:
    """Read a whole answer. Raises SourceError when it is larger than `bound` bytes, or does not end in `seconds`."""
    until = time.monotonic() + seconds
    body = bytearray()
    while piece := within(what, lambda: response.read1(_PIECE, decode_content=True)):
        body += piece
        if len(body) > bound:
            raise SourceError(f"kubernetes: {what}: an answer of more than {bound >> 20} MiB")
        if time.monotonic() > until:
            raise SourceError(f"kubernetes: {what}: the answer did not end in {seconds:g} s", Reason.TIMEOUT)
    return bytes(body)


def lines_of(what: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Return the lines of an answer as they come. Raises SourceError for one that is too long, or a connection that breaks."""
    chunks = response.stream(_PIECE, decode_content=True)
    return split_lines(what, iter(lambda: within(what, lambda: next(chunks, b"")), b""))


def split_lines(what: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines of a stream; a last line without its end was cut off and is dropped."""
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *complete, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            yield from (each for each in complete if each.strip())
        if len(rest) > MAX_LINE:
            raise SourceError(f"kubernetes: {what}: an event of more than {MAX_LINE >> 20} MiB")


def line(error: object) -> str:
    """One bounded line of a foreign text: it is not ours, and may be long."""
    return " ".join(str(error).split())[:256]

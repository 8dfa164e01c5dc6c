"""What a gRPC server's frames say: one response, put together and judged. Pure: bytes in, a message or an error out.

Apart from the connection so that every way in which an answer can be wrong is a row of a table, with no socket in it.

Facts: grpc/grpc doc/PROTOCOL-HTTP2.md (framing, trailers, RST_STREAM codes), doc/http-grpc-status-mapping.md,
doc/statuscodes.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from urllib.parse import unquote_to_bytes

from toolkit.errors import SliceWatchError


class Code(IntEnum):
    """The status codes of gRPC (doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class GrpcError(SliceWatchError):
    """A call that gave no message: the server's own status, or what this side makes of the failure.

    `message` is the server's text, whole and as it came (several lines perhaps), or one line of ours.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


_BY_STATUS = {str(code.value).encode(): code for code in Code}

_BY_HTTP_STATUS = {
    b"400": Code.INTERNAL,
    b"401": Code.UNAUTHENTICATED,
    b"403": Code.PERMISSION_DENIED,
    b"404": Code.UNIMPLEMENTED,
    b"429": Code.UNAVAILABLE,
    b"502": Code.UNAVAILABLE,
    b"503": Code.UNAVAILABLE,
    b"504": Code.UNAVAILABLE,
}
"""For an answer that has no `grpc-status`, such as a proxy's (doc/http-grpc-status-mapping.md)."""

_BY_RESET = {
    7: Code.UNAVAILABLE,  # REFUSED_STREAM
    8: Code.CANCELLED,  # CANCEL
    11: Code.RESOURCE_EXHAUSTED,  # ENHANCE_YOUR_CALM
    12: Code.PERMISSION_DENIED,  # INADEQUATE_SECURITY
}
"""For a stream that was reset before its trailers; what is not named is INTERNAL (doc/PROTOCOL-HTTP2.md, Errors)."""

PREFIX = 5
"""Bytes before a message: a flag that says whether it is compressed, and its length in four, big-endian."""


class Answer:
    """One response, fed with what its stream receives. `max_message` is in bytes; not more than that is ever kept."""

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._fields: dict[bytes, bytes] = {}
        self._prefix = bytearray()
        self._body = bytearray()
        self._size = 0
        self.started = False
        self.ended = False

    def headers(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Take a header block: the response's first, its trailers, or both in one. Raises GrpcError if it is not gRPC."""
        self.started = True
        self._fields.update(fields)
        if b"grpc-status" in self._fields:
            return
        status = self._fields.get(b":status", b"")
        kind = self._fields.get(b"content-type", b"")
        if status != b"200" or not kind.startswith(b"application/grpc"):
            code = _BY_HTTP_STATUS.get(status, Code.UNKNOWN)
            raise GrpcError(code, f"HTTP status {_text(status)} with content type {_text(kind)}, not gRPC")

    def data(self, chunk: bytes) -> None:
        """Take a piece of the body. Raises GrpcError on a message that cannot or shall not be read, before keeping it."""
        taken = min(len(chunk), PREFIX - len(self._prefix))
        if taken:
            self._prefix += chunk[:taken]
            if len(self._prefix) == PREFIX:
                self._size = self._announced()
        if len(self._body) + len(chunk) - taken > self._size:
            raise GrpcError(Code.INTERNAL, "the answer goes on behind its only message")
        self._body += chunk[taken:]

    def end(self) -> None:
        """Take the end of the stream."""
        self.ended = True

    def reset(self, error: int) -> None:
        """Take a RST_STREAM with its HTTP/2 error code. Raises GrpcError."""
        raise GrpcError(_BY_RESET.get(error, Code.INTERNAL), f"the server reset the stream, HTTP/2 error {error}")

    def message(self) -> bytes:
        """Return the message of an answer that has ended. Raises GrpcError, the server's status first of all."""
        status = self._fields.get(b"grpc-status")
        if status is None:
            raise GrpcError(Code.UNKNOWN, "the answer ended without a grpc-status")
        code = _BY_STATUS.get(status, Code.UNKNOWN)
        if code is not Code.OK:
            raise GrpcError(code, _percent_decoded(self._fields.get(b"grpc-message", b"")))
        if len(self._prefix) < PREFIX or len(self._body) < self._size:
            raise GrpcError(Code.INTERNAL, "the answer is OK and its message is missing or cut short")
        return bytes(self._body)

    def _announced(self) -> int:
        """Read the prefix: the length in bytes of the message to come."""
        if self._prefix[0]:
            raise GrpcError(Code.INTERNAL, "the message is compressed, which was not asked for")
        size = int.from_bytes(self._prefix[1:], "big")
        if size > self._max_message:
            raise GrpcError(Code.RESOURCE_EXHAUSTED, f"message larger than max ({size} vs. {self._max_message} bytes)")
        return size


def _percent_decoded(raw: bytes) -> str:
    """Text of a `grpc-message`: UTF-8, percent-encoded; what is not well formed is kept readable, as the protocol asks."""
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def _text(raw: bytes) -> str:
    """A header's value for a message of ours: short, and ASCII in one line whatever the server sent."""
    return raw[:60].decode("ascii", "backslashreplace") or "none"

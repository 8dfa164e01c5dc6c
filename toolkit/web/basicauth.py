"""Basic authentication against bcrypt hashes, whose verdicts are remembered.

One bcrypt check of cost 10 takes some 60 ms of a core, which a scrape must not pay every time, and an attacker must not be
able to make the server pay as often as he likes. So verdicts are kept in memory, under a key that only this process can
compute, and one check runs at a time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping

_MAX_REFUSED = 1024
_MAX_PASSWORD = 72
"""Bytes of a password that bcrypt uses; htpasswd and Go ignore the rest, newer Python bindings refuse to hash it."""

_MAX_HEADER = 4096

MOST_CHECKS = 16
"""Passwords that wait for their check at a time, about a second's worth; one more is not checked."""


def credentials(header: str) -> tuple[str, bytes] | None:
    """Return user and password of an Authorization header, or None when it holds no basic credentials (RFC 7617)."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MAX_HEADER:
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


class Authenticator:
    """Says whether a header's user and password are right. Thread-safe. Without users everybody is let in."""

    def __init__(self, users: Mapping[str, bytes]) -> None:
        self._users = dict(users)
        self._key = secrets.token_bytes(32)
        self._stranger = _hash_of_nobody(users)
        self._accepted: dict[str, bytes] = {}  # user → fingerprint of the right password
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        self._bcrypt = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_CHECKS)

    def allows(self, header: str) -> bool | None:
        """Whether an Authorization header (empty: there was none) lets its sender in; None while too many are checked."""
        if not self._users:
            return True
        given = credentials(header)
        if given is None:
            return False
        user, password = given
        verdict = self._remembered(user, password)
        if verdict is not None or not self._places.acquire(blocking=False):
            return verdict
        try:
            with self._bcrypt:
                # Another thread may have asked the same while this one waited.
                verdict = self._remembered(user, password)
                if verdict is None:
                    verdict = self._check(user, password)
                    self._remember(user, password, allowed=verdict)
        finally:
            self._places.release()
        return verdict

    def _check(self, user: str, password: bytes) -> bool:
        import bcrypt  # noqa: PLC0415  # most exporters have no passwords and need not load it

        known = self._users.get(user)
        # An unknown user costs as much as a wrong password, so that the time does not tell who exists.
        try:
            right = bcrypt.checkpw(password[:_MAX_PASSWORD], known or self._stranger)
        except ValueError:
            return False
        return right and known is not None

    def _fingerprint(self, user: str, password: bytes) -> bytes:
        name = user.encode()
        return hmac.digest(self._key, len(name).to_bytes(4, "big") + name + password, hashlib.sha256)

    def _remembered(self, user: str, password: bytes) -> bool | None:
        mark = self._fingerprint(user, password)
        with self._lock:
            if hmac.compare_digest(self._accepted.get(user, b""), mark):
                return True
            if mark in self._refused:
                self._refused.move_to_end(mark)
                return False
        return None

    def _remember(self, user: str, password: bytes, *, allowed: bool) -> None:
        """Right passwords are kept apart: a flood of wrong ones pushes out only wrong ones."""
        mark = self._fingerprint(user, password)
        with self._lock:
            if allowed:
                self._accepted[user] = mark
                return
            self._refused[mark] = None
            while len(self._refused) > _MAX_REFUSED:
                self._refused.popitem(last=False)


def _hash_of_nobody(users: Mapping[str, bytes]) -> bytes:
    """Return a well-formed hash that no password has in practice, as costly as the costliest user's."""
    cost = max((int(stored.split(b"$")[2]) for stored in users.values()), default=10)
    return b"$2b$%02d$" % cost + b"." * 53

"""Whom to ask over HTTP: an address as a user wrote it, who asks, and whom to trust."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from toolkit.errors import ConfigError
from toolkit.yamltree import quoted

MOST_CREDENTIALS = 4096
"""Characters of a file of credentials."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where to ask: an address without user info, the Authorization header if there is one, and whom to trust."""

    url: str
    authorization: str | None = None
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a site is asked: whom to trust, who asks (one line user:password), and the client's own certificate, in PEM."""

    ca_file: Path | None = None
    credentials_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


ANYBODY = Access()
"""No name, no certificate; the system's authorities are trusted."""


def site(text: str, access: Access = ANYBODY) -> Site:
    """Parse a URL as the user wrote it. Raises ConfigError."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ConfigError(f"{quoted(hidden(text))}: expected a URL such as http://HOST:PORT") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isprintable() or " " in text:
        raise ConfigError(f"{quoted(hidden(text))}: expected a URL such as http://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    if access.credentials_file is not None:
        user = _credentials(access.credentials_file)
    header = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None
    url = urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))
    return Site(url, header, _tls(url, access))


def hidden(text: str) -> str:
    """The text without what may be a password."""
    before, at, after = text.rpartition("@")
    return f"…{at}{after}" if at and before else text


def _credentials(path: Path) -> str:
    try:
        with path.open() as file:
            line = file.read(MOST_CREDENTIALS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {_why(error)}") from error
    if ":" not in line or "\n" in line or len(line) > MOST_CREDENTIALS:
        raise ConfigError(f"{path}: expected one line, user:password")
    return line


def _tls(url: str, access: Access) -> ssl.SSLContext | None:
    if access.key_file is not None and access.cert_file is None:
        raise ConfigError(f"{access.key_file}: a client's key needs its certificate")
    if not url.startswith("https:"):
        if access.cert_file is not None:
            raise ConfigError(f"{url}: a client certificate needs https")
        return None
    tls = _trust(access.ca_file)
    if access.cert_file is not None:
        _show(tls, access.cert_file, access.key_file)
    return tls


def _show(tls: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    def no_password() -> str:  # else OpenSSL asks for it on the terminal
        raise ValueError("the key is encrypted")

    try:
        tls.load_cert_chain(cert_file, key_file, password=no_password)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{cert_file}: no certificate with its key could be read ({_why(error)})") from error


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca_file}: no certificates in PEM could be read ({_why(error)})") from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__

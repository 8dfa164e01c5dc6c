"""Who may connect and ask, kept up to date with the files that say so.

Certificates are short-lived (cert-manager renews them under a running pod) and passwords are rotated, so the web
configuration and the files it names are read again when they change; the exporter-toolkit does the same. While changed
files do not fit together, what was in force stays in force.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError
from toolkit.web import tls, webconfig
from toolkit.web.basicauth import Authenticator
from toolkit.web.webconfig import Tls, WebConfig

Signature = tuple[tuple[int, int, int] | None, ...]
"""What changes when a file is replaced or written to; None stands for a file that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What is in force for a connection or a request."""

    tls: Tls | None
    context: ssl.SSLContext | None  # None: plain HTTP
    headers: Mapping[str, str]
    authenticator: Authenticator


class WebAccess:
    """The access in force. Thread-safe."""

    def __init__(self, file: Path | None, complain: Callable[[ConfigError], None]) -> None:
        """Read the web configuration, if one is named. Raises ConfigError.

        `complain` hears, once, of changed files that cannot be used.
        """
        self._file = file
        self._complain = complain
        self._lock = threading.Lock()
        config = WebConfig() if file is None else webconfig.read(file)
        self._files = _files(file, config)
        self._seen = _signature(self._files)
        self._users = config.users
        self._access = _access(config, Authenticator(config.users))

    def current(self) -> Access:
        """Return the access in force, read again if a file has changed. Costs a stat for each file."""
        if self._file is None or _signature(self._files) == self._seen:
            return self._access
        with self._lock:
            seen = _signature(self._files)
            if seen != self._seen:
                self._seen = seen
                try:
                    self._reload(self._file)
                except ConfigError as error:
                    self._complain(error)
            return self._access

    def _reload(self, file: Path) -> None:
        config = webconfig.read(file)
        before = self._access
        if (config.tls is None) is not (before.tls is None):
            raise ConfigError(f"{file}: TLS cannot be switched on or off while running; restart for it")
        # The new list of files is watched even if one of them turns out bad: its repair must be noticed.
        self._files = _files(file, config)
        self._seen = _signature(self._files)
        # A renewed certificate is no reason to forget which passwords are right.
        same = dict(config.users) == dict(self._users)
        self._access = _access(config, before.authenticator if same else Authenticator(config.users))
        self._users = config.users


def _access(config: WebConfig, authenticator: Authenticator) -> Access:
    context = None if config.tls is None else tls.context(config.tls)
    return Access(tls=config.tls, context=context, headers=config.headers, authenticator=authenticator)


def _files(file: Path | None, config: WebConfig) -> tuple[Path, ...]:
    asked = config.tls
    named = () if asked is None else (asked.cert_file, asked.key_file, asked.client_ca_file)
    return tuple(path for path in (file, *named) if path is not None)


def _signature(files: Iterable[Path]) -> Signature:
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()  # follows the links of a mounted Secret
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size

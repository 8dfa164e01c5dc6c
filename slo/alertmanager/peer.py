"""One Alertmanager: where it is, who asks, and whom to trust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from slo.alertmanager.payload import PATH
from toolkit.errors import ConfigError
from toolkit.site import Site, site


@dataclass(frozen=True, slots=True)
class Peer:
    """An Alertmanager. A path in its URL is the prefix that it serves under."""

    site: Site

    @property
    def url(self) -> str:
        """Its address without credentials, which is also its name in metrics and in the journal."""
        return self.site.url


def peer(
    text: str,
    *,
    ca_file: Path | None = None,
    credentials_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
) -> Peer:
    """Parse a peer's URL; `cert_file` and `key_file` are the client's certificate, in PEM. Raises ConfigError."""
    found = site(text, ca_file, credentials_file)
    if found.url.endswith(PATH):
        raise ConfigError(f"{found.url}: expected the address of an Alertmanager, without {PATH}")
    if key_file is not None and cert_file is None:
        raise ConfigError(f"{key_file}: a client's key needs its certificate")
    if cert_file is not None:
        if found.tls is None:
            raise ConfigError(f"{found.url}: a client certificate needs https")
        _show(found.tls, cert_file, key_file)
    return Peer(found)


def _show(tls: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    def no_password() -> str:  # else OpenSSL asks for it on the terminal
        raise ValueError("the key is encrypted")

    try:
        tls.load_cert_chain(cert_file, key_file, password=no_password)
    except (OSError, ValueError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"{cert_file}: no certificate with its key could be read ({said})") from error

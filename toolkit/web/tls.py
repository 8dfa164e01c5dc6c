"""TLS as the web configuration asks for it, with Python's `ssl`."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from toolkit.errors import ConfigError
from toolkit.web.webconfig import CIPHERS, CURVES, ClientAuth, Tls, TlsVersion

_VERSIONS = {TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3}
MAX_PEM = 4 << 20
"""Bytes of a file of certificates; a whole system's authorities have a quarter of a megabyte."""

_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


def context(tls: Tls) -> ssl.SSLContext:
    """Build a server's context. Raises ConfigError with one line when a file cannot be read or does not fit."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lowest = tls.min_version
    if tls.cipher_suites:
        suites = [CIPHERS[name] for name in tls.cipher_suites if name in CIPHERS]
        if suites:
            made.set_ciphers(":".join(suites))
        else:
            lowest = TlsVersion.TLS13  # a list of TLS 1.3 suites only leaves TLS 1.2 none to speak
    made.minimum_version, made.maximum_version = _VERSIONS[lowest], _VERSIONS[tls.max_version]
    if tls.prefer_server_cipher_suites:
        made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.curve:
        made.set_ecdh_curve(CURVES[tls.curve])
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    _load_own(made, tls)
    if tls.client_ca_file is not None:
        _load_authority(made, tls.client_ca_file)
    made.verify_mode = _VERIFY[tls.client_auth]
    return made


def _load_own(made: ssl.SSLContext, tls: Tls) -> None:
    for name, file in (("cert_file", tls.cert_file), ("key_file", tls.key_file)):
        _readable(name, file)
    try:
        # Without a password of our own, OpenSSL would ask for an encrypted key's on the terminal.
        made.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"key_file {tls.key_file} is not the key of cert_file {tls.cert_file}") from error
        raise ConfigError(
            f"cert_file {tls.cert_file} and key_file {tls.key_file} hold no certificate and key in PEM without "
            f"password: {error.reason or error}"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"cert_file {tls.cert_file} and key_file {tls.key_file} cannot be loaded: {error}") from error


def _no_password() -> str:
    return ""


def _load_authority(made: ssl.SSLContext, file: Path) -> None:
    _readable("client_ca_file", file)
    try:
        made.load_verify_locations(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"client_ca_file {file} holds no certificate in PEM: {error}") from error


def _readable(name: str, file: Path) -> None:
    try:
        with file.open("rb") as opened:
            size = len(opened.read(MAX_PEM + 1))
    except OSError as error:
        raise ConfigError(f"{name} {file} cannot be read: {error.strerror or error}") from error
    if size > MAX_PEM:
        raise ConfigError(f"{name} {file} is larger than {MAX_PEM >> 20} MiB; expected certificates or a key in PEM")


def names_of(certificate: object) -> frozenset[str]:
    """Return the subject alternative names (DNS, address, e-mail, URI) of a verified peer, as getpeercert tells them."""
    found = certificate.get("subjectAltName", ()) if isinstance(certificate, dict) else ()
    return frozenset(_canonical(name) for kind, name in found if kind in {"DNS", "IP Address", "email", "URI"})


def may_enter(tls: Tls, certificate: object) -> bool:
    """Whether a verified peer's certificate holds one of the allowed names; without a list everybody's does."""
    allowed = frozenset(_canonical(name) for name in tls.client_allowed_sans)
    return not allowed or bool(allowed & names_of(certificate))


def _canonical(name: str) -> str:
    """One spelling for an address: OpenSSL prints IPv6 in capitals and in full."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name

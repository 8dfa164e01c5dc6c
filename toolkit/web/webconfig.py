"""The exporter-toolkit's web configuration file, read strictly into types: TLS, basic authentication, response headers.

One format protects every Prometheus exporter, so ours is the same to the letter (prometheus/exporter-toolkit,
docs/web-configuration.md) and `promtool check web-config` accepts what we accept. What Python's TLS cannot do as asked is
refused with a line that says so; nothing is weakened silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from toolkit import yamlfile
from toolkit.yamltree import Fields, Node


class ClientAuth(StrEnum):
    """What a client's certificate is needed for; the words are Go's."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


class TlsVersion(StrEnum):
    """TLS versions that are still safe."""

    TLS12 = "TLS12"
    TLS13 = "TLS13"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to serve TLS. Paths are absolute or relative to the working directory, no longer to the file."""

    cert_file: Path
    key_file: Path
    client_auth: ClientAuth = ClientAuth.NONE
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: TlsVersion = TlsVersion.TLS12
    max_version: TlsVersion = TlsVersion.TLS13
    cipher_suites: tuple[str, ...] = ()  # Go's names; empty: the library's own choice
    prefer_server_cipher_suites: bool = True
    curve: str = ""  # Go's name; empty: the library's own choice


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """What a web configuration file says; the default is a server without TLS and without passwords."""

    tls: Tls | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)  # name → bcrypt hash


CIPHERS: Mapping[str, str] = MappingProxyType(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    }
)
"""TLS 1.2 suites that Go offers (crypto/tls CipherSuites, Go 1.22) and OpenSSL's names for them."""

TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Always offered under TLS 1.3, whatever the list says; so in Go, and so here."""

CURVES: Mapping[str, str] = MappingProxyType(
    {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
)
"""Go's names and OpenSSL's."""

_HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Content-Security-Policy": (),
        "X-Frame-Options": ("deny", "sameorigin"),
        "X-Content-Type-Options": ("nosniff",),
        "X-XSS-Protection": (),
        "Strict-Transport-Security": (),
    }
)
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 19)
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_OLD_VERSIONS = ("TLS10", "TLS11")


def read(path: Path) -> WebConfig:
    """Read a web configuration file; relative paths in it are relative to it.

    Raises ConfigError with one line for each fault. The certificates themselves are not opened here.
    """
    document = yamlfile.read(path)
    config = _config(document.root, path.parent)
    document.finish()
    return config


def _config(root: Node, base: Path) -> WebConfig:
    if root.null:
        return WebConfig()
    fields = root.mapping()
    tls = _optional(fields, "tls_server_config")
    http = _optional(fields, "http_server_config")
    users = _optional(fields, "basic_auth_users")
    if (limit := fields.get("rate_limit")) is not None:
        limit.fail("rate_limit is not supported here; --web.max-requests bounds the load")
    config = WebConfig(
        tls=None if tls is None else _tls(tls, base),
        headers=MappingProxyType({} if http is None else _headers(http)),
        users=MappingProxyType({} if users is None else _users(users)),
    )
    fields.finish()
    return config


def _optional(fields: Fields, key: str) -> Node | None:
    """Return a key's value; written with nothing behind it, it is as good as absent, as in Go."""
    node = fields.get(key)
    return None if node is None or node.null else node


def _tls(node: Node, base: Path) -> Tls | None:
    fields = node.mapping()
    for inline in ("cert", "key", "client_ca"):
        if (written := fields.get(inline)) is not None:
            written.fail(f"{inline} inside of the file is not supported", f"{inline}_file")
    cert, key = _path(fields, "cert_file", base), _path(fields, "key_file", base)
    if not (cert and key):
        missing = " and ".join(name for name, value in (("cert_file", cert), ("key_file", key)) if value is None)
        node.fail(f"tls_server_config without {missing}", "both cert_file and key_file")
    authority = _path(fields, "client_ca_file", base)
    client_auth = _client_auth(fields, authority)
    lowest, highest = _versions(fields)
    prefer = _optional(fields, "prefer_server_cipher_suites")
    tls = Tls(
        cert_file=cert or base,
        key_file=key or base,
        client_auth=client_auth,
        client_ca_file=authority,
        client_allowed_sans=_sans(fields, client_auth),
        min_version=lowest,
        max_version=highest,
        cipher_suites=_words(fields, "cipher_suites", (*CIPHERS, *TLS13_CIPHERS)),
        prefer_server_cipher_suites=prefer is None or prefer.boolean() is not False,
        curve=_curve(fields),
    )
    fields.finish()
    return tls if cert and key else None


def _path(fields: Fields, key: str, base: Path) -> Path | None:
    node = _optional(fields, key)
    text = None if node is None else node.string()
    return base / text if text else None


def _client_auth(fields: Fields, authority: Path | None) -> ClientAuth:
    node = _optional(fields, "client_auth_type")
    text = "" if node is None else node.string()
    if node is None or not text:
        if authority is not None:
            fields.take("client_ca_file").fail("client_ca_file without client_auth_type", ClientAuth.REQUIRED)
        return ClientAuth.NONE
    if text in _UNVERIFIED:
        node.fail(f"{text} takes certificates that nobody verified, which Python's TLS cannot", ClientAuth.REQUIRED)
        return ClientAuth.NONE
    word = node.choice([kind.value for kind in ClientAuth])
    kind = ClientAuth.NONE if word is None else ClientAuth(word)
    if kind is not ClientAuth.NONE and authority is None:
        # Go would fall back to the system's authorities, from which anybody can buy a certificate.
        node.fail(f"{kind} needs client_ca_file: the authority that signs the clients' certificates")
    if word == ClientAuth.NONE and authority is not None:
        node.fail("client_ca_file is set and NoClientCert asks for no certificate", ClientAuth.REQUIRED)
    return kind


def _sans(fields: Fields, client_auth: ClientAuth) -> tuple[str, ...]:
    node = _optional(fields, "client_allowed_sans")
    if node is None:
        return ()
    names = tuple(text for item in node.sequence() if (text := item.string()) is not None)
    if names and client_auth is not ClientAuth.REQUIRED:
        node.fail("client_allowed_sans protects nothing unless a certificate is required", ClientAuth.REQUIRED)
    return names


def _versions(fields: Fields) -> tuple[TlsVersion, TlsVersion]:
    lowest = _version(fields, "min_version", TlsVersion.TLS12)
    highest = _version(fields, "max_version", TlsVersion.TLS13)
    if highest < lowest:
        fields.take("max_version").fail(f"max_version {highest} is below min_version {lowest}")
    return lowest, highest


def _version(fields: Fields, key: str, default: TlsVersion) -> TlsVersion:
    node = _optional(fields, key)
    if node is None:
        return default
    if node.string() in _OLD_VERSIONS:
        node.fail(f"{node.string()} is not safe and is not offered (RFC 8996)", "TLS12 or TLS13")
        return default
    word = node.choice([version.value for version in TlsVersion])
    return default if word is None else TlsVersion(word)


def _words(fields: Fields, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    node = _optional(fields, key)
    if node is None:
        return ()
    return tuple(word for item in node.sequence() if (word := item.choice(known)) is not None)


def _curve(fields: Fields) -> str:
    curves = _words(fields, "curve_preferences", tuple(CURVES))
    if len(curves) > 1:
        fields.take("curve_preferences").fail("Python's TLS can be told one curve only", "one curve, or none")
    return curves[0] if curves else ""


def _headers(node: Node) -> dict[str, str]:
    fields = node.mapping()
    if (http2 := _optional(fields, "http2")) is not None:
        http2.boolean()  # accepted either way: HTTP/2 is offered to nobody, and no client insists on it
    headers: dict[str, str] = {}
    if (written := _optional(fields, "headers")) is not None:
        inner = written.mapping()
        for name, allowed in _HEADERS.items():
            value = _optional(inner, name)
            text = None if value is None else value.choice(allowed) if allowed else value.string()
            if value is None or not text:
                continue
            if text.isascii() and text.isprintable():
                headers[name] = text
            else:
                value.fail(f"{name} holds a character that no header may hold", "printable ASCII")
        inner.finish()
    fields.finish()
    return headers


def _users(node: Node) -> dict[str, bytes]:
    users: dict[str, bytes] = {}
    for name, mark, value in node.mapping():
        text = value.string()
        found = None if text is None else _BCRYPT.fullmatch(text)
        if not name or ":" in name:
            node.problems.add(
                mark, "a user name that is empty or holds a colon, which basic authentication cannot send"
            )
        elif text is None or found is None:
            # The text is a secret, or was meant to be one: it is not repeated.
            value.fail(f"the password of {name} is no bcrypt hash", "what `htpasswd -nBC 10` prints, $2y$…")
        elif int(found[1]) not in _COSTS:
            value.fail(
                f"bcrypt cost {found[1]}", f"from {_COSTS.start} to {_COSTS.stop - 1}: each step doubles the time"
            )
        else:
            users[name] = text.encode()
    return users

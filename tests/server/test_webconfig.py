"""The web configuration file: what is accepted, what is refused and where, and that promtool agrees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.server.certs import authority
from toolkit.errors import ConfigError
from toolkit.web import tls, webconfig
from toolkit.web.webconfig import ClientAuth, Tls, TlsVersion, WebConfig

HASH = "$2y$04$" + "a" * 21 + "e" + "b" * 31
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ca.pem, server.crt and server.key."""
    made = tmp_path_factory.mktemp("web")
    authority(made).sign("server")
    return made


def read(folder: Path, text: str) -> WebConfig:
    path = folder / "web.yml"
    path.write_text(text)
    return webconfig.read(path)


ACCEPTED = {
    "empty": "",
    "tls": TLS,
    "mutual": TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n",
    "if given": TLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n",
    "versions": TLS + "  min_version: TLS13\n  max_version: TLS13\n",
    "ciphers": TLS
    + "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n"
    + "  prefer_server_cipher_suites: false\n",
    "all ciphers": TLS + "  cipher_suites:\n" + "".join(f"    - {name}\n" for name in webconfig.CIPHERS),
    "curve": TLS + "  curve_preferences: [X25519]\n",
    "http": "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: '1'\n",
    "users": f"basic_auth_users:\n  alice: {HASH}\n  bob: '{HASH}'\n",
    "no users": "basic_auth_users:\n",
}


@pytest.mark.parametrize("name", list(ACCEPTED))
def test_a_good_file_is_accepted_and_its_tls_can_be_served(folder: Path, name: str):
    config = read(folder, ACCEPTED[name])
    if config.tls is not None:
        tls.context(config.tls)


@pytest.mark.real
@pytest.mark.parametrize("name", list(ACCEPTED))
def test_promtool_accepts_what_we_accept(folder: Path, name: str):
    code, said = promtool(folder, ACCEPTED[name])
    assert code == 0, said


def promtool(folder: Path, text: str) -> tuple[int, str]:
    """Run `promtool check web-config` on a file with this text."""
    if shutil.which("promtool") is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing: apt-get install prometheus")
        pytest.skip("promtool is missing: apt-get install prometheus")
    path = folder / "promtool.yml"
    path.write_text(text)
    done = subprocess.run(
        ["promtool", "check", "web-config", path], capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout + done.stderr


def test_values_are_read_as_they_are_meant(folder: Path):
    config = read(folder, ACCEPTED["mutual"] + "  client_allowed_sans: [prom]\n" + ACCEPTED["users"])
    assert config.tls == Tls(
        cert_file=folder / "server.crt",
        key_file=folder / "server.key",
        client_auth=ClientAuth.REQUIRED,
        client_ca_file=folder / "ca.pem",
        client_allowed_sans=("prom",),
    )
    assert config.tls.min_version is TlsVersion.TLS12
    assert config.users == {"alice": HASH.encode(), "bob": HASH.encode()}
    assert HASH not in repr(config)
    assert read(folder, ACCEPTED["http"]).headers == {"X-Frame-Options": "deny", "X-XSS-Protection": "1"}


REFUSED_BY_BOTH = [
    ("tls_sever_config: {}\n", '1:1: unknown key "tls_sever_config", did you mean "tls_server_config"?'),
    (TLS + "  certfile: x\n", '4:3: unknown key "certfile", did you mean "cert_file"?'),
    ("tls_server_config:\n  cert_file: server.crt\n", "2:3: tls_server_config without key_file; expected both"),
    (TLS + "  client_auth_type: Require\n", '4:21: "Require"; expected NoClientCert'),
    (TLS + "  client_ca_file: ca.pem\n", "4:19: client_ca_file without client_auth_type; expected Require"),
    (TLS + "  min_version: TLS14\n", '4:16: "TLS14", did you mean "TLS1'),
    (TLS + "  cipher_suites: [TLS_RSA_WITH_RC4]\n", '4:19: "TLS_RSA_WITH_RC4"'),
    (TLS + "  curve_preferences: [P256]\n", '4:23: "P256"; expected CurveP256, CurveP384'),
    ("http_server_config: {headers: {X-Powered-By: x}}\n", '1:32: unknown key "X-Powered-By"'),
    ("http_server_config: {headers: {X-Frame-Options: allow}}\n", '1:49: "allow"; expected deny or sameorigin'),
    ("basic_auth_users: {alice: hunter2}\n", "1:27: the password of alice is no bcrypt hash; expected what"),
    (f"basic_auth_users: {{alice: {HASH}, alice: {HASH}}}\n", '1:89: the key "alice" is written twice'),
]
REFUSED_BY_US = [
    ("http_server_config: {http2: 'true'}\n", '1:29: "true"; expected true or false'),
    (TLS + "  client_auth_type: RequireAnyClientCert\n", "4:21: RequireAnyClientCert takes certificates that nobody"),
    (TLS + "  client_auth_type: RequestClientCert\n", "4:21: RequestClientCert takes certificates that nobody"),
    (TLS + "  client_auth_type: RequireAndVerifyClientCert\n", "4:21: RequireAndVerifyClientCert needs client_ca_file"),
    (TLS + "  client_allowed_sans: [a]\n", "4:24: client_allowed_sans protects nothing unless"),
    (TLS + "  min_version: TLS10\n", "4:16: TLS10 is not safe"),
    (TLS + "  min_version: TLS13\n  max_version: TLS12\n", "5:16: max_version TLS12 is below min_version TLS13"),
    (TLS + "  curve_preferences: [X25519, CurveP256]\n", "4:22: Python's TLS can be told one curve only"),
    (TLS + "  key: PRIVATE\n", "4:8: key inside of the file is not supported; expected key_file"),
    ("rate_limit: {interval: 1s}\n", "1:13: rate_limit is not supported here"),
    (f"basic_auth_users: {{'a:b': {HASH}}}\n", "1:20: a user name that is empty or holds a colon"),
    (f"basic_auth_users: {{a: {HASH.replace('$04', '$31')}}}\n", "1:23: bcrypt cost 31; expected from 4 to 18"),
    ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nSet-Cookie: b"}}\n', "1:50: X-XSS-Protection holds a"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED_BY_BOTH + REFUSED_BY_US)
def test_a_bad_file_is_refused_with_the_faults_place(folder: Path, text: str, expected: str):
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    (line,) = caught.value.problems
    assert line.startswith(f"{folder}/web.yml:{expected}"), line
    assert "hunter2" not in line
    assert "PRIVATE" not in line


@pytest.mark.real
@pytest.mark.parametrize("text", [text for text, _ in REFUSED_BY_BOTH])
def test_promtool_refuses_what_is_wrong_for_everybody(folder: Path, text: str):
    code, said = promtool(folder, text)
    assert code != 0, said


def test_all_faults_of_a_file_are_told_at_once(folder: Path):
    with pytest.raises(ConfigError) as caught:
        read(folder, TLS + "  min_version: TLS1\n  wrong: 1\nbasic_auth_users: {a: b}\nalso: 1\n")
    assert [line.removeprefix(f"{folder}/web.yml:").split(":")[0] for line in caught.value.problems] == [
        "4",
        "5",
        "6",
        "7",
    ]


def test_certificates_that_cannot_be_used_are_one_clear_line(folder: Path):
    other = folder / "other"
    other.mkdir(exist_ok=True)
    _, foreign = authority(other).sign("server")
    junk = folder / "junk.pem"
    junk.write_text("junk")
    certificate, key = folder / "server.crt", folder / "server.key"
    for cert_file, key_file, ca_file, expected in (
        (folder / "none.crt", key, None, f"cert_file {folder}/none.crt cannot be read: No such file or directory"),
        (certificate, folder / "none.key", None, f"key_file {folder}/none.key cannot be read: No such file"),
        (certificate, foreign, None, f"key_file {foreign} is not the key of cert_file {certificate}"),
        (junk, key, None, f"cert_file {junk} and key_file {key} hold no certificate and key in PEM"),
        (certificate, key, junk, f"client_ca_file {junk} holds no certificate in PEM"),
    ):
        with pytest.raises(ConfigError) as caught:
            tls.context(Tls(cert_file=cert_file, key_file=key_file, client_ca_file=ca_file))
        (line,) = caught.value.problems
        assert line.startswith(expected), line


def test_a_file_of_certificates_has_a_size(folder: Path):
    large = folder / "large.pem"
    large.write_bytes(b"\n" * (tls.MAX_PEM + 1))
    with pytest.raises(ConfigError, match=r"client_ca_file .* is larger than 4 MiB"):
        tls.context(
            Tls(
                cert_file=folder / "server.crt",
                key_file=folder / "server.key",
                client_auth=ClientAuth.REQUIRED,
                client_ca_file=large,
            )
        )


def test_an_encrypted_key_is_refused_and_asked_for_on_no_terminal(folder: Path):
    locked = folder / "locked.key"
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), password=None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match="in PEM without password"):
        tls.context(Tls(cert_file=folder / "server.crt", key_file=locked))

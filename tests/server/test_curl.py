"""TLS, client certificates and passwords as curl sees them: a client that shares no code with the server."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.server.certs import Authority, authority
from tests.server.serving import Running, eventually, running

CONFIG = """\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus]
http_server_config: {{headers: {{Strict-Transport-Security: max-age=60}}}}
basic_auth_users: {{prometheus: '{hashed}'}}
"""
REFUSED = "000"
"""What curl writes for a status when it was given none."""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = authority(tmp_path_factory.mktemp("ca"))
    made.sign("server")
    for name, ends in (("prometheus", 60), ("grafana", 60), ("expired", -1)):
        made.sign(name, client=True, ends=ends)
    authority(made.folder, "stranger").sign("pretender", client=True)
    return made


@pytest.fixture(scope="module")
def served(ca: Authority) -> Iterator[Running]:
    if shutil.which("curl") is None:
        if os.environ.get("CI"):
            pytest.fail("curl is missing: apt-get install curl")
        pytest.skip("curl is missing: apt-get install curl")
    path = ca.folder / "web.yml"
    path.write_text(CONFIG.format(hashed=bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()))
    with running(config=path) as found:
        yield found


def curl(
    served: Running, ca: Authority, *flags: str, name: str = "prometheus", path: str = "/metrics"
) -> tuple[str, str]:
    """Ask; return the status and all headers of the answer. `name` is the client's certificate, none when it is empty."""
    shown = ["--cert", str(ca.folder / f"{name}.crt"), "--key", str(ca.folder / f"{name}.key")] if name else []
    form = "%{stderr}%{http_code} %{http_version}"
    done = subprocess.run(
        ["curl", "--silent", "--noproxy", "*", "--max-time", "10", "--dump-header", "-", "--output", os.devnull, "--write-out", form,
         "--cacert", str(ca.file), *shown, *flags, f"https://localhost:{served.port}{path}"],
        capture_output=True, text=True, check=False, timeout=20, env={"PATH": os.environ["PATH"], "HOME": str(Path("/nonexistent"))},
    )  # fmt: skip
    return done.stderr, done.stdout


USER = ("--user", "prometheus:right")


@pytest.mark.parametrize(
    ("name", "flags", "status"),
    [
        ("prometheus", USER, "200"),
        ("prometheus", (*USER, "--tlsv1.3"), "200"),
        ("prometheus", (*USER, "--tls-max", "1.2"), "200"),
        ("prometheus", (*USER, "--compressed"), "200"),
        ("prometheus", ("--user", "prometheus:wrong"), "401"),
        ("prometheus", ("--user", "nobody:right"), "401"),
        ("prometheus", ("--oauth2-bearer", "right"), "401"),
        ("prometheus", (), "401"),
        ("", USER, REFUSED),
        ("grafana", USER, REFUSED),  # signed by the same authority, and not on the list
        ("expired", USER, REFUSED),
        ("pretender", USER, REFUSED),  # signed by another
        ("server", USER, REFUSED),  # a server's certificate is no client's
    ],
)
def test_only_a_client_with_certificate_and_password_is_let_in(
    served: Running, ca: Authority, name: str, flags: tuple[str, ...], status: str
):
    told, headers = curl(served, ca, *flags, name=name)
    assert told.split()[0] == status
    if status != REFUSED:
        assert "strict-transport-security: max-age=60" in headers.lower()


def test_the_server_is_known_by_its_certificate(served: Running, ca: Authority):
    assert curl(served, ca, *USER, "--cacert", str(ca.folder / "stranger.pem"))[0].split()[0] == REFUSED


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_old_version_of_tls_is_not_spoken_even_to_who_insists(
    served: Running, ca: Authority, version: str, caplog: pytest.LogCaptureFixture
):
    old = ("--tls-max", version, f"--tlsv{version}", "--ciphers", "ALL:@SECLEVEL=0")
    with caplog.at_level(logging.DEBUG, "toolkit.web.server"):
        assert curl(served, ca, *USER, *old)[0].split()[0] == REFUSED
        # It came so far as to offer the version, and it was the server that refused.
        assert eventually(lambda: any("UNSUPPORTED_PROTOCOL" in str(vars(each)) for each in caplog.records))


def test_http_2_is_not_offered_and_nobody_is_worse_off(served: Running, ca: Authority):
    assert curl(served, ca, *USER, "--http2")[0] == "200 1.1"


def test_health_asks_for_a_certificate_and_not_for_a_password(served: Running, ca: Authority):
    assert curl(served, ca, path="/-/healthy")[0].split()[0] == "200"
    assert curl(served, ca, path="/-/healthy", name="")[0].split()[0] == REFUSED

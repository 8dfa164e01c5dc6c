"""Credentials and configuration: kubeconfigs with faults, service accounts over TLS, tokens that rotate."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.sources.kubernetes import KubernetesPods, auto_available
from exporter.sources.kubernetes_api import Access
from exporter.sources.kubernetes_watch import Timing
from tests.fakes.apiserver import FakeApiServer, eventually
from toolkit.errors import ConfigError

OLD, NEW = "first", "second"  # tokens
FAST = Timing(node=0.05, retry=0.01, longest_retry=0.05)


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with FakeApiServer() as server:
        server.put({"metadata": {"uid": "a", "name": "a", "namespace": "n"}, "spec": {"nodeName": "node"}})
        yield server


def _sees_the_pod(source: KubernetesPods) -> bool:
    try:
        return bool(source.read(time.monotonic()).items)
    except SourceError:
        return False


# --- kubeconfig ---


def _config(**changes: Any) -> str:
    config: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return json.dumps({**config, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "- a\n- list\n",
        "clusters: [unclosed",
        "\x00\x01",
        "{}",
        _config(**{"current-context": "absent"}),
        _config(clusters=[]),
        _config(clusters="no"),
        _config(clusters=[{"name": "c", "cluster": {}}]),
        _config(clusters=[{"name": "c", "cluster": {"server": "https://x", "certificate-authority-data": "%%%"}}]),
        _config(clusters=[{"name": "c", "cluster": {"server": "https://x", "certificate-authority": "absent.crt"}}]),
    ],
)
def test_a_kubeconfig_with_a_fault_is_one_line_that_names_the_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        KubernetesPods("node", kubeconfig=str(file), timing=FAST)
    assert str(caught.value).startswith(f"{file}: no usable kubeconfig: ")
    assert "expected a file with clusters" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_kubeconfig_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    for file, says in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"{file}: cannot read this kubeconfig: {says}"):
            KubernetesPods("node", kubeconfig=str(file), timing=FAST)


def test_a_token_of_a_kubeconfig_is_read_again_when_it_is_refused(api: FakeApiServer, tmp_path: Path) -> None:
    api.token = NEW
    source = KubernetesPods("node", kubeconfig=api.kubeconfig(tmp_path / "kubeconfig", token=OLD), timing=FAST)
    try:
        eventually(lambda: _reason(source) is Reason.PERMISSION)
        api.kubeconfig(tmp_path / "kubeconfig", token=NEW)
        eventually(lambda: _sees_the_pod(source))
    finally:
        source.close()


def _reason(source: KubernetesPods) -> Reason | None:
    try:
        source.read(time.monotonic())
    except SourceError as error:
        return error.reason
    return None


# --- service account ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that is its own authority; return it and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    day = dt.timedelta(days=1)
    now = dt.datetime.now(tz=dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "tls.crt", folder / "tls.key"


@pytest.fixture
def account(api: FakeApiServer, certificate: tuple[Path, Path], tmp_path: Path) -> Access:
    """Mount a service account for the server, which serves TLS."""
    api.stop()
    api.use_tls(*certificate)
    api.start()
    (tmp_path / "ca.crt").write_bytes(certificate[0].read_bytes())
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}
    return Access(service_account=str(tmp_path), environ=environ)


def test_a_pod_uses_its_service_account_and_follows_its_rotation(
    api: FakeApiServer, account: Access, tmp_path: Path
) -> None:
    api.token = OLD
    (tmp_path / "token").write_text(OLD)
    source = KubernetesPods("node", kubeconfig=None, access=account, timing=FAST)
    try:
        eventually(lambda: _sees_the_pod(source))
        api.token = NEW
        (tmp_path / "token").write_text(NEW)
        api.drop()
        api.delete("a")
        eventually(lambda: not _sees_the_pod(source))
        assert _reason(source) is None
    finally:
        source.close()


def test_the_token_file_is_read_again_when_its_minute_is_over(
    api: FakeApiServer, account: Access, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(OLD)
    source = KubernetesPods("node", kubeconfig=None, access=account, timing=FAST)
    try:
        eventually(lambda: _sees_the_pod(source))
        (tmp_path / "token").write_text(NEW)
        hook = source._api._configuration.refresh_api_key_hook
        loader = hook.__closure__[0].cell_contents
        loader.token_expires_at = dt.datetime(2020, 1, 1)  # noqa: DTZ001  # as the client keeps it
        eventually(lambda: any(head.get("authorization") == f"bearer {NEW}" for head in api.headers))
    finally:
        source.close()


def test_a_server_that_the_cas_do_not_vouch_for_is_refused(api: FakeApiServer, account: Access, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(OLD)
    (tmp_path / "ca.crt").write_bytes(_other_authority())
    source = KubernetesPods("node", kubeconfig=None, access=account, timing=FAST)
    try:
        eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in _words(source))
        assert api.requests == []
    finally:
        source.close()


def _other_authority() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])
    now = dt.datetime.now(tz=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _words(source: KubernetesPods) -> str:
    try:
        source.read(time.monotonic())
    except SourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("environ", [{}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}])
def test_outside_a_cluster_the_way_out_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    access = Access(service_account=str(tmp_path), environ=environ)
    with pytest.raises(ConfigError, match=r"no service account in .*; outside a cluster give the path of a kubeconfig"):
        KubernetesPods("node", kubeconfig=None, access=access, timing=FAST)


def test_auto_means_on_with_a_host_and_a_token_only(tmp_path: Path) -> None:
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert not auto_available(inside, str(tmp_path))
    (tmp_path / "token").write_text(OLD)
    assert auto_available(inside, str(tmp_path))
    assert not auto_available({}, str(tmp_path))
    assert not auto_available({"KUBERNETES_SERVICE_HOST": ""}, str(tmp_path))


# --- the optional client ---


def test_without_the_client_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)  # what import does for a module that is not there
    with pytest.raises(ConfigError, match=r"install slicewatch\[kubernetes\]"):
        KubernetesPods("node", kubeconfig=str(tmp_path / "kubeconfig"), timing=FAST)

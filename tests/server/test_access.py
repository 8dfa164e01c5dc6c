"""TLS and passwords over real connections, and files that change under a running server."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import time
from pathlib import Path

import bcrypt
import pytest

from tests.server.certs import Authority, authority
from tests.server.serving import TEXT, Running, eventually, read_to_end, running
from toolkit.errors import ConfigError
from toolkit.values import Address
from toolkit.web.basicauth import MOST_CHECKS, Authenticator, credentials
from toolkit.web.connection import Patience
from toolkit.web.page import Publisher
from toolkit.web.server import Server, Site, Web
from toolkit.web.tls import may_enter
from toolkit.web.webconfig import ClientAuth, Tls

TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    made = authority(tmp_path)
    made.sign("server")
    return made


def config(ca: Authority, text: str = TLS) -> Path:
    path = ca.folder / "web.yml"
    path.write_text(text)
    return path


def client(ca: Authority, name: str = "") -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=ca.file)
    if name:
        made.load_cert_chain(*ca.sign(name, client=True))
    return made


def get(served: Running, context: ssl.SSLContext, path: str = "/metrics", **headers: str) -> tuple[int, bytes, bytes]:
    """Ask once by TLS; return status, body and the server's certificate."""
    connection = http.client.HTTPSConnection("localhost", served.port, context=context, timeout=10)
    with contextlib.closing(connection):
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        certificate = connection.sock.getpeercert(binary_form=True) or b""
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), certificate


def test_a_page_is_served_by_tls_and_the_connection_is_kept(ca: Authority):
    with running(config=config(ca)) as served:
        connection = http.client.HTTPSConnection("localhost", served.port, context=client(ca), timeout=10)
        with contextlib.closing(connection):
            for _ in range(3):
                connection.request("GET", "/metrics")
                assert connection.getresponse().read() == TEXT


def test_a_client_that_never_shakes_hands_keeps_nobody_waiting_and_is_cut_off(ca: Authority):
    with running(config=config(ca), patience=Patience(handshake=0.4)) as served, served.raw() as mute:
        assert get(served, client(ca))[0] == 200
        assert read_to_end(mute) == b""


def test_plain_http_to_a_tls_port_is_cut_off_and_the_server_goes_on(ca: Authority):
    with running(config=config(ca)) as served:
        with served.raw() as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"HTTP/1.1 200" not in read_to_end(plain)
        assert get(served, client(ca))[0] == 200


def test_no_version_below_the_lowest_is_spoken(ca: Authority):
    lower = client(ca)
    lower.maximum_version = ssl.TLSVersion.TLSv1_2
    with running(config=config(ca)) as served:
        assert get(served, lower)[0] == 200
    with running(config=config(ca, TLS + "  min_version: TLS13\n")) as served, pytest.raises(ssl.SSLError):
        get(served, lower)
    only_13 = TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"
    with running(config=config(ca, only_13)) as served, pytest.raises(ssl.SSLError):
        get(served, lower)


def test_the_named_cipher_and_curve_are_used(ca: Authority):
    asked = client(ca)
    asked.maximum_version = ssl.TLSVersion.TLSv1_2
    text = TLS + "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n  curve_preferences: [CurveP384]\n"
    with (
        running(config=config(ca, text)) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as sock,
        asked.wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        assert (secure.cipher() or ("",))[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    asked.set_ecdh_curve("prime256v1")
    with running(config=config(ca, text)) as served, pytest.raises(ssl.SSLError):
        get(served, asked)


def test_a_required_certificate_is_required(ca: Authority, tmp_path: Path):
    stranger = authority(_folder(tmp_path / "stranger"), "stranger")
    pretender = client(ca)
    pretender.load_cert_chain(*stranger.sign("prometheus", client=True))
    with running(config=config(ca, MUTUAL)) as served:
        assert get(served, client(ca, "prometheus"))[0] == 200
        for refused in (client(ca), pretender):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                get(served, refused)


def test_only_the_named_clients_may_enter(ca: Authority):
    text = MUTUAL + "  client_allowed_sans: [prometheus]\n"
    with running(config=config(ca, text)) as served:
        assert get(served, client(ca, "prometheus"))[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            get(served, client(ca, "grafana"))


def test_names_are_compared_in_one_spelling():
    tls = Tls(
        cert_file=Path("c"),
        key_file=Path("k"),
        client_auth=ClientAuth.REQUIRED,
        client_allowed_sans=("2001:db8::1", "spiffe://x/y"),
    )
    assert may_enter(tls, {"subjectAltName": (("IP Address", "2001:DB8:0:0:0:0:0:1"),)})
    assert may_enter(tls, {"subjectAltName": (("URI", "spiffe://x/y"),)})
    assert not may_enter(tls, {"subjectAltName": (("DNS", "spiffe"),)})
    assert not may_enter(tls, {})
    assert not may_enter(tls, None)


def test_a_renewed_certificate_is_served_without_a_restart(ca: Authority, caplog: pytest.LogCaptureFixture):
    with running(config=config(ca)) as served:
        before = get(served, client(ca))[2]
        assert get(served, client(ca))[2] == before
        key = ca.folder / "server.key"
        old_key = key.read_bytes()
        ca.sign("server")
        new_key = key.read_bytes()
        key.write_bytes(old_key)  # a renewal that is half done
        assert get(served, client(ca))[2] == before
        assert get(served, client(ca))[2] == before
        assert [record.message for record in caplog.records] == [
            "the changed web configuration cannot be used; the old one stays"
        ]
        key.write_bytes(new_key + b"\n")
        assert get(served, client(ca))[2] != before


def test_a_certificate_that_cannot_be_read_refuses_the_start(tmp_path: Path):
    path = tmp_path / "web.yml"
    path.write_text(TLS)
    web = Web(listen=Address("127.0.0.1", 0), config_file=path, max_requests=1)
    with pytest.raises(ConfigError, match=r"cert_file .*server\.crt cannot be read: No such file"):
        Server(web, Site(Publisher(), bool, str))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def users_file(folder: Path, cost: int = 4, **users: str) -> Path:
    path = folder / "users.yml"
    lines = [
        f"  {name}: {bcrypt.hashpw(word.encode(), bcrypt.gensalt(cost)).decode()}\n" for name, word in users.items()
    ]
    path.write_text("basic_auth_users:\n" + "".join(lines))
    return path


def test_a_password_opens_every_page_but_health_needs_none(tmp_path: Path):
    with running(config=users_file(tmp_path, alice="pass:word")) as served:
        for path in ("/metrics", "/snapshot", "/", "/nothing"):
            response, body = served.get(path)
            assert (response.status, body) == (401, b"user and password are needed\n"), path
            assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert served.get("/metrics", Authorization=basic("alice", "pass:word"))[0].status == 200
        for wrong in (basic("alice", "word"), basic("bob", "pass:word"), basic("", ""), "Bearer x", "Basic !", "Basic"):
            assert served.get("/metrics", Authorization=wrong)[0].status == 401, wrong
        for path in ("/-/healthy", "/-/ready", "/healthz", "/readyz"):
            assert served.get(path)[0].status == 200, path


def test_configured_headers_stand_on_every_response(tmp_path: Path):
    path = tmp_path / "web.yml"
    path.write_text("http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}\n")
    with running(config=path) as served:
        for asked in ("/metrics", "/nothing", "/-/healthy"):
            headers = served.get(asked)[0].headers
            assert (headers["X-Frame-Options"], headers["Strict-Transport-Security"]) == ("deny", "max-age=1")


def test_a_changed_password_holds_at_once_and_a_broken_file_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with running(config=users_file(tmp_path, alice="old")) as served:

        def status(password: str) -> int:
            return served.get("/metrics", Authorization=basic("alice", password))[0].status

        assert (status("old"), status("new")) == (200, 401)
        path = users_file(tmp_path, alice="new", bob="x")
        assert (status("old"), status("new")) == (401, 200)
        path.write_text("basic_auth_users: {alice: new}")
        assert (status("old"), status("new")) == (401, 200)
        assert len(caplog.records) == 1


def test_tls_is_not_switched_off_under_a_running_server(ca: Authority):
    path = config(ca)
    with running(config=path) as served:
        path.write_text("# no TLS any more\n")
        assert get(served, client(ca))[0] == 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("alice", "a:b"), ("alice", b"a:b")),
        (basic("zoë", "é"), ("zoë", "é".encode())),
        ("bASIC " + base64.b64encode(b"a:").decode(), ("a", b"")),
        ("Basic " + base64.b64encode(b"a").decode(), None),
        ("Basic " + base64.b64encode(b"\xff:a").decode(), None),
        ("Basic é", None),
        ("Basic " + "A" * 5000, None),
        ("", None),
    ],
)
def test_credentials_are_read_as_the_rfc_has_them(header: str, expected: tuple[str, bytes] | None):
    assert credentials(header) == expected


def _seconds(authenticator: Authenticator, user: str, password: str) -> tuple[bool | None, float]:
    started = time.process_time()
    verdict = authenticator.allows(basic(user, password))
    return verdict, time.process_time() - started


def test_verdicts_good_and_bad_are_remembered_and_a_stranger_costs_as_much_as_a_wrong_password():
    authenticator = Authenticator({"alice": bcrypt.hashpw(b"right", bcrypt.gensalt(9))})
    for user, password, expected in (("alice", "right", True), ("alice", "wrong", False), ("bob", "right", False)):
        first, slow = _seconds(authenticator, user, password)
        second, fast = _seconds(authenticator, user, password)
        assert first is second is expected
        assert fast < slow / 4, f"{user} {password}: {slow} then {fast}"
    stranger = _seconds(authenticator, "carol", "x")[1]
    wrong = _seconds(authenticator, "alice", "x")[1]
    assert wrong / 4 < stranger < wrong * 4


def test_a_flood_of_wrong_passwords_is_remembered_within_bounds_and_the_right_one_stays():
    authenticator = Authenticator({"alice": bcrypt.hashpw(b"right", bcrypt.gensalt(4))})
    assert authenticator.allows(basic("alice", "right"))
    for number in range(1100):
        authenticator._remember("alice", b"%d" % number, allowed=False)
    assert len(authenticator._refused) == 1024
    assert authenticator._remembered("alice", b"right") is True
    assert authenticator._remembered("alice", b"0") is None
    assert authenticator._remembered("alice", b"1099") is False


def test_whoever_guesses_passwords_does_not_take_the_places_of_those_who_know_one(tmp_path: Path):
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: '{bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}'}}\n")
    with running(config=path, max_requests=1) as served, contextlib.ExitStack() as stack:
        assert served.get("/metrics", Authorization=basic("alice", "right"))[0].status == 200
        authenticator = served.server._listener.access().authenticator
        with authenticator._bcrypt:  # as while a check takes its time
            for number in range(MOST_CHECKS):
                guess = basic("alice", f"guess {number}")
                waiting = stack.enter_context(served.raw())
                waiting.sendall(f"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: {guess}\r\n\r\n".encode())
            assert eventually(lambda: authenticator._places._value == 0)
            assert served.get("/metrics", Authorization=basic("alice", "one more"))[0].status == 503
            assert served.get("/metrics", Authorization=basic("alice", "right"))[0].status == 200
        assert eventually(lambda: served.get("/metrics", Authorization=basic("alice", "one more"))[0].status == 401)


def test_a_client_that_never_shakes_hands_makes_way_for_one_that_does(ca: Authority):
    with running(config=config(ca), max_requests=1) as served, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(served.raw()) for _ in range(64)]
        assert get(served, client(ca))[0] == 200
        assert read_to_end(silent[0]) == b""


def test_a_password_longer_than_bcrypt_uses_is_compared_as_htpasswd_and_go_do():
    authenticator = Authenticator({"alice": bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4))})
    assert authenticator.allows(basic("alice", "x" * 100))
    assert not authenticator.allows(basic("alice", "x" * 71))
    assert not authenticator.allows(basic("alice", "x\0"))


def _folder(path: Path) -> Path:
    path.mkdir()
    return path

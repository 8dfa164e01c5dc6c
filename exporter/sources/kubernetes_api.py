"""The API server through the official client's eyes: authentication, TLS, kubeconfig and token rotation are the client's.

Its generated models are not used: they build the whole object tree of a pod, tens of kilobytes of which the join keeps a
few hundred bytes, and their call signatures changed with version 37. Requests go through the client's own connection
pool, set up by its own `Configuration`; answers are decoded here. Every foreign exception becomes a `SourceError`.

Facts: kubernetes.io/docs/reference/using-api/api-concepts; kubernetes-client/python config/incluster_config.py (the
token file is read again each minute, when a request asks for its header), client/rest.py.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.sources.kubernetes_answer import line, lines_of, whole, within
from toolkit.errors import ConfigError
from toolkit.timedhead import TimedHead

if TYPE_CHECKING:
    import urllib3

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the kubelet mounts a pod's token and the cluster's CA."""

_JSON = "application/json"
_CONNECT_SECONDS = 10.0
_MAX_STATUS = 16 * 1024
_MAX_KUBECONFIG = 4 << 20
"""Bytes; a kubeconfig of a hundred clusters with their certificates has some hundred kilobytes."""
_KEEPALIVE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # The kernel finds a peer that is gone after a minute, long before the read timeout of a quiet watch does.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Expired(SourceError):  # noqa: N818  # the API's own word for it
    """The resource version is too old (410 Gone): list again."""


class Absent(SourceError):  # noqa: N818  # what is not there is no error of the server's
    """Nothing of that name, or no such API (404)."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach the API server. `kubeconfig` None: as a pod, by service account."""

    kubeconfig: str | None = None
    service_account: str = SERVICE_ACCOUNT
    environ: Mapping[str, str] | None = None  # None: this process's


class Api:
    """GET requests with the client's credentials. Safe to use from several threads.

    Raises ConfigError from the constructor when there is no client, or nothing to configure it from.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._configuration, self._pool = _connect(access)
        self._streams: set[urllib3.BaseHTTPResponse] = set()
        self._closed = False

    def get(self, what: str, path: str, params: Mapping[str, str], *, accept: str = _JSON, timeout: float) -> Any:
        """GET one JSON document; `timeout` is seconds between bytes. `what` names it in an error's line."""
        response = self._request(what, path, params, accept, timeout)
        try:
            return json.loads(whole(what, response))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"kubernetes: {what}: the answer is no JSON: {line(error)}") from error
        finally:
            response.release_conn()

    @contextmanager
    def lines(self, what: str, path: str, params: Mapping[str, str], *, timeout: float) -> Iterator[Iterator[bytes]]:
        """Open a watch: the lines of a chunked answer, which ends when the server ends it.

        `timeout` is seconds between bytes. A connection that breaks raises SourceError from the iterator.
        """
        response = self._request(what, path, params, _JSON, timeout)
        self._streams.add(response)
        try:
            if not self._closed:
                yield lines_of(what, response)
            else:
                yield iter(())
        finally:
            self._streams.discard(response)
            response.close()

    def close(self) -> None:
        """End the watches that are open, from whatever thread."""
        self._closed = True
        for response in tuple(self._streams):
            shutdown = getattr(response, "shutdown", None)  # urllib3 2.3; close() would wait for the reading thread
            if shutdown is not None:
                try:
                    shutdown()
                except (OSError, RuntimeError, ValueError):
                    continue  # it has ended in this moment

    def _request(
        self, what: str, path: str, params: Mapping[str, str], accept: str, timeout: float
    ) -> urllib3.BaseHTTPResponse:
        import urllib3  # noqa: PLC0415  # comes with the client, which is optional

        url = f"{self._configuration.host.rstrip('/')}{path}?{urlencode(params)}"
        timeouts = urllib3.Timeout(connect=_CONNECT_SECONDS, read=timeout)
        credentials = self._credentials(what)
        headers = {"Accept": accept, "User-Agent": "slicewatch", **credentials}
        response: urllib3.BaseHTTPResponse = within(
            what,
            lambda: self._pool.request(
                "GET", url, headers=headers, timeout=timeouts, preload_content=False, retries=False
            ),
        )
        if response.status == 200:  # noqa: PLR2004  # HTTP's own number
            return response
        try:
            raise _refused(what, response.status, response.reason or "", _message(response, credentials.values()))
        finally:
            response.close()
            if response.status == 401:  # noqa: PLR2004  # HTTP's own number
                self._renew()

    def _credentials(self, what: str) -> dict[str, str]:
        """Return the headers that authenticate; asking for them is what makes the client read a token file again."""
        try:
            settings = self._configuration.auth_settings()
        except Exception as error:
            raise SourceError(f"kubernetes: {what}: no credentials: {line(error)}", Reason.PERMISSION) from error
        return {entry["key"]: entry["value"] for entry in settings.values() if entry.get("value")}

    def _renew(self) -> None:
        """Read the configuration again: its token may have been replaced since."""
        try:
            self._configuration, self._pool = _connect(self._access)
        except ConfigError:
            return  # half-written, perhaps; the old credentials stay and the next refusal tries again


def _connect(access: Access) -> tuple[Any, Any]:
    """Return the client's Configuration and its urllib3 pool. Raises ConfigError."""
    client = _module("kubernetes.client")
    configuration = client.Configuration()
    if access.kubeconfig is None:
        _load_service_account(access, configuration)
    else:
        _load_kubeconfig(access.kubeconfig, configuration)
    configuration.socket_options = list(_KEEPALIVE)
    try:
        return configuration, _timed(client.ApiClient(configuration=configuration).rest_client.pool_manager)
    except Exception as error:
        raise ConfigError(f"kubernetes: cannot set up a connection: {line(error)}") from error


def _timed(pools: Any) -> Any:
    """Put a deadline on the heads of all answers."""
    pools.pool_classes_by_scheme = {
        scheme: type(
            "Timed", (kind,), {"ConnectionCls": type("Timed", (kind.ConnectionCls,), {"response_class": TimedHead})}
        )
        for scheme, kind in pools.pool_classes_by_scheme.items()
    }
    return pools


def _module(name: str) -> Any:
    """Import a module of the client, which is optional and slow to import."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"no Kubernetes client ({line(error)}): install slicewatch[kubernetes]") from error


def _load_service_account(access: Access, configuration: Any) -> None:
    config = _module("kubernetes.config.incluster_config")
    directory = Path(access.service_account)
    loader = config.InClusterConfigLoader(
        token_filename=str(directory / "token"),
        cert_filename=str(directory / "ca.crt"),
        environ=os.environ if access.environ is None else access.environ,
    )
    try:
        loader.load_and_set(configuration)
        _check(configuration)
    except (config.ConfigException, OSError, ValueError) as error:
        hint = "outside a cluster give the path of a kubeconfig, or off"
        raise ConfigError(f"kubernetes: no service account in {directory}: {line(error)}; {hint}") from error


def _load_kubeconfig(file: str, configuration: Any) -> None:
    config = _module("kubernetes.config")
    try:
        with Path(file).expanduser().open("rb") as opened:  # the client takes a missing file for an empty one
            size = len(opened.read(_MAX_KUBECONFIG + 1))
    except OSError as error:
        raise ConfigError(f"{file}: cannot read this kubeconfig: {error.strerror or error}") from error
    if size > _MAX_KUBECONFIG:
        raise ConfigError(f"{file}: larger than {_MAX_KUBECONFIG >> 20} MiB; expected a kubeconfig")
    try:
        config.load_kube_config(config_file=file, client_configuration=configuration, persist_config=False)
        _check(configuration)
    # The client raises whatever its look-ups run into: KeyError, TypeError, AttributeError, YAMLError, binascii.Error.
    except Exception as error:
        expected = "expected a file with clusters, users, contexts and current-context"
        raise ConfigError(f"{file}: no usable kubeconfig: {line(error)}; {expected}") from error


def _check(configuration: Any) -> None:
    """Open what the first request would open, so that a fault is told at the start. Raises ValueError or OSError."""
    if not str(configuration.host).startswith(("http://", "https://")):
        raise ValueError("the cluster's server is not a URL")  # nor repeated: it may hold a password
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        # An encrypted key fails here; asked for a password, this process would wait for a terminal for ever.
        context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")


def _message(response: urllib3.BaseHTTPResponse, secrets: Iterable[str]) -> str:
    """Return the message of a Status object without our credentials, which some gateways repeat; or nothing."""
    try:
        status = json.loads(whole("status", response, bound=_MAX_STATUS, seconds=_CONNECT_SECONDS))
    except (SourceError, ValueError, RecursionError):
        return ""
    said = str(status.get("message") or "") if isinstance(status, dict) else ""
    for secret in secrets:
        said = said.replace(secret.rpartition(" ")[2], "…")
    return said


_REFUSALS = {
    401: ("the API server does not accept the credentials", Reason.PERMISSION),
    403: ("the service account needs list and watch on pods, get on nodes", Reason.PERMISSION),
    404: ("is this an API server, and the node's name right?", Reason.ERROR),
    429: ("the API server asks to slow down", Reason.ERROR),
}


def _refused(what: str, status: int, words: str, message: str) -> SourceError:
    """Say what an HTTP status means."""
    hint, reason = _REFUSALS.get(status, ("", Reason.ERROR))
    parts = [f"kubernetes: {what}: {status} {words}".strip(), line(message), hint]
    said = "; ".join(part for part in parts if part)
    known = {404: Absent, 410: Expired}
    return known[status](said) if status in known else SourceError(said, reason)

"""The serving threads: one accepts, one a connection answers, and none ever touches a driver.

A scrape must be answered whatever else happens: by a slow client, by a hundred clients, while a certificate is renewed.
So connections and requests are bounded, everything that waits for a client has a deadline, and the TLS handshake happens
in the connection's own thread.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from toolkit.errors import ConfigError
from toolkit.logs import log
from toolkit.values import Address
from toolkit.web.access import Access, WebAccess
from toolkit.web.connection import Connection, Patience
from toolkit.web.handler import Handler, Site
from toolkit.web.page import Page, Publisher
from toolkit.web.tls import may_enter

__all__ = ["Page", "Patience", "Publisher", "Server", "Site", "Web"]

_logger = logging.getLogger(__name__)

_CONNECTIONS_PER_REQUEST = 4
_LEAST_CONNECTIONS = 64
"""Kept connections mostly wait, so more are held than requests are answered at a time."""

_REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this process may not; ports below 1024 need CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no interface has this address",
    errno.EAFNOSUPPORT: "this kernel has no IPv6",
}
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""What binding to `::` says where the kernel has no IPv6, or has it switched off."""

_POLL = 0.1
_BACKLOG = 128
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What the server needs."""

    listen: Address
    config_file: Path | None  # exporter-toolkit's web configuration
    max_requests: int  # answered at a time


class Server:
    """Serves a site. Binds when made, answers from `start` to `shutdown`; also a context manager.

    Raises ConfigError when the address cannot be had or the web configuration cannot be used.
    """

    def __init__(self, web: Web, site: Site, patience: Patience | None = None) -> None:
        access = WebAccess(web.config_file, _complain)
        self._listener = _Listener(_bind(web.listen), web.max_requests, site, access, patience or Patience())
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(_POLL,), name="slicewatch-accept", daemon=True
        )

    @property
    def address(self) -> Address:
        """The address in use; with the port that was found free, if port 0 was asked for."""
        host, port, *_ = self._listener.socket.getsockname()
        return Address(host, port)

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def shutdown(self, grace: float = 5.0) -> None:
        """Accept no more, let requests under way finish for `grace` seconds, then close what is left."""
        self._listener.stopping = True
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join()
        self._listener.server_close()
        self._listener.drain(grace)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()


class _Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The accepting thread and the book of open connections."""

    daemon_threads = True

    def __init__(
        self, bound: socket.socket, max_requests: int, site: Site, access: WebAccess, patience: Patience
    ) -> None:
        super().__init__(
            ("", 0), socketserver.BaseRequestHandler, bind_and_activate=False
        )  # finish_request makes Handlers
        self.socket.close()
        self.socket = bound
        self.site = site
        self.patience = patience
        self.stopping = False
        self._web_access = access
        self._requests = threading.BoundedSemaphore(max_requests)
        self._most = max(_LEAST_CONNECTIONS, _CONNECTIONS_PER_REQUEST * max_requests)
        self._change = threading.Condition()
        self._count = 0
        self._open: dict[int, Connection] = {}  # by the identity of the thread that serves it

    # --- the accepting thread -----------------------------------------------------------------------------------------

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept. When no file descriptor is left, wait a moment: the selector would otherwise spin."""
        try:
            return self.socket.accept()
        except OSError:
            time.sleep(_POLL)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread. When there are too many, one that only waits makes way, or this one is turned away."""
        with self._change:
            full = self._count >= self._most and not self._make_way()
            self._count += not full
        if full:
            if self._web_access.current().context is None:
                request.settimeout(0)
                with contextlib.suppress(OSError):
                    request.send(_FULL)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._left()
            raise

    def _make_way(self) -> bool:
        """Hang up on the client that has kept its connection the longest without being answered; False when there is none.

        Else whoever opens connections and says nothing would keep Prometheus out.
        """
        waiting = [(thread, each) for thread, each in self._open.items() if not each.answering]
        if not waiting:
            return False
        thread, longest = min(waiting, key=lambda found: found[1].since)
        del self._open[thread]
        longest.hang_up()
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # the signature is socketserver's
        """Log a fault of one connection; the server goes on."""
        broken = isinstance(sys.exception(), OSError)  # the client went away: nobody's fault
        log(
            _logger,
            logging.DEBUG if broken else logging.ERROR,
            "a connection failed",
            exc_info=True,
            client=_name(client_address),
        )

    # --- a connection's thread ----------------------------------------------------------------------------------------

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._left()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Greet the client, in TLS if that is asked for, and hold the conversation."""
        access = self.access()
        if access.context is None:
            Handler(request, client_address, self, self)
            return
        try:
            request.settimeout(self.patience.handshake)
            self.opened(Connection(request, self.patience))  # so that it can be hung up on before it has said anything
            secure = access.context.wrap_socket(request, server_side=True)
        except OSError as error:  # of which ssl.SSLError and TimeoutError are kinds
            log(_logger, logging.DEBUG, "a TLS handshake failed", client=_name(client_address), error=str(error))
            return
        with secure:
            if access.tls is not None and not may_enter(access.tls, secure.getpeercert()):
                log(_logger, logging.DEBUG, "a certificate names nobody who may enter", client=_name(client_address))
                return
            Handler(secure, client_address, self, self)
            # Say goodbye without waiting for the client's own.
            with contextlib.suppress(OSError, ValueError):
                secure.settimeout(0)
                secure.unwrap()

    def access(self) -> Access:
        """Return the access in force."""
        return self._web_access.current()

    @contextlib.contextmanager
    def slot(self) -> Iterator[bool]:
        """Take one of the places for requests; False when there is none left."""
        free = self._requests.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._requests.release()

    def opened(self, connection: Connection) -> None:
        """Enter a connection into the book."""
        with self._change:
            self._open[threading.get_ident()] = connection

    def _left(self) -> None:
        with self._change:
            self._open.pop(threading.get_ident(), None)
            self._count -= 1
            self._change.notify_all()

    # --- the end ------------------------------------------------------------------------------------------------------

    def drain(self, grace: float) -> None:
        """Hang up on idle connections at once, and on busy ones after `grace` seconds."""
        self._hang_up(busy_too=False)
        with self._change:
            self._change.wait_for(lambda: not self._open, timeout=grace)
        self._hang_up(busy_too=True)

    def _hang_up(self, *, busy_too: bool) -> None:
        with self._change:
            connections = list(self._open.values())
        for connection in connections:
            if busy_too or not connection.busy:
                connection.hang_up()


def _bind(address: Address) -> socket.socket:
    """Bind and listen. An empty host is every interface, by IPv6 with IPv4 where the kernel has IPv6, else by IPv4."""
    if address.host == "" and socket.has_dualstack_ipv6():
        try:
            return _listen("::", address.port, both=True)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise ConfigError(f"cannot listen on {address}: {_reason(error)}") from error
    try:
        return _listen(address.host, address.port, both=address.host == "::" and socket.has_dualstack_ipv6())
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {_reason(error)}") from error


def _listen(host: str, port: int, *, both: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=both, backlog=_BACKLOG)


def _reason(error: OSError) -> str:
    number = error.errno or 0
    # getaddrinfo's errors are negative; socket.create_server makes plain OSErrors of them.
    return "the host's name has no address" if number < 0 else _REASONS.get(number, os.strerror(number))


def _complain(error: ConfigError) -> None:
    log(_logger, logging.ERROR, "the changed web configuration cannot be used; the old one stays", error=str(error))


def _name(client_address: object) -> str:
    return str(client_address[0]) if isinstance(client_address, tuple) and client_address else ""

"""An API server for tests: real HTTP, chunked watches, resource versions, and the faults of a real one.

It knows pods (list by page, watch with bookmarks and a bounded history) and nodes (get). Selectors are honoured for
`spec.nodeName`. A test changes the cluster through the methods; a watch that is open sees it at once.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Object = dict[str, Any]


class FakeApiServer:
    """Serves on a free loopback port from entering the context to leaving it, or between `start` and `stop`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []  # (path, query) of each request
        self.headers: list[dict[str, str]] = []
        self.token: str | None = None  # accept only this bearer token
        self.refuse: dict[str, tuple[int, str]] = {}  # verb ("list", "watch", "get", "group") → HTTP status and message
        self.groups: dict[str, Object] = {}  # what named API groups serve, by path; nothing else is there
        self.page = 0  # objects on a page, whatever the client's limit; 0: all at once
        self.half_open = False  # watches keep their connection and send nothing more
        self.ends_at_once = False  # watches end before they have said anything
        self.opened = 0  # watches that have begun
        self.port = 0
        self._pods: dict[str, Object] = {}
        self._nodes: dict[str, Object] = {}
        self._log: list[tuple[int, str, Object]] = []
        self._version = 100
        self._oldest = 0  # watches from before it are refused as expired
        self._changed = threading.Condition()
        self._cut = 0  # raised to break every open watch
        self._raw: list[tuple[int, bytes]] = []
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._tls: ssl.SSLContext | None = None

    # --- the server ---

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def use_tls(self, certificate: Path, key: Path) -> None:
        """Serve TLS from the next start."""
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)

    def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        handler = type("Handler", (_Handler,), {"api": self})
        http = _Server(("127.0.0.1", self.port), handler)
        if self._tls is not None:
            http.socket = self._tls.wrap_socket(http.socket, server_side=True)
        self.port = http.server_address[1]
        self._http = http
        self._thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go away: open watches break, new connections are refused."""
        if self._http is None or self._thread is None:
            return
        http, self._http = self._http, None
        self.drop()
        http.shutdown()
        http.server_close()
        self._thread.join(5)

    @property
    def running(self) -> bool:
        """Whether it has not been stopped."""
        return self._http is not None

    def kubeconfig(self, path: Path, token: str | None = None) -> str:
        """Write a kubeconfig for this server; return its path."""
        user = {"token": token} if token else {}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "here",
        }
        path.write_text(json.dumps(config))
        return str(path)

    # --- the cluster ---

    def put(self, pod: Object) -> None:
        """Create or change a pod."""
        with self._changed:
            kind = "MODIFIED" if pod["metadata"]["uid"] in self._pods else "ADDED"
            self._record(kind, pod)
            self._pods[pod["metadata"]["uid"]] = pod

    def delete(self, uid: str) -> None:
        """Delete a pod."""
        with self._changed:
            self._record("DELETED", self._pods.pop(uid))

    def put_node(self, name: str, labels: dict[str, str]) -> None:
        """Create or change a node."""
        with self._changed:
            self._nodes[name] = {"kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"images": []}}

    def bookmark(self) -> None:
        """Move the version on and tell every watch that asked for bookmarks."""
        with self._changed:
            self._version += 10
            self._log.append((self._version, "BOOKMARK", {"kind": "Pod", "metadata": self._meta()}))
            self._changed.notify_all()

    def compact(self) -> None:
        """Forget history: a watch from any version before now is answered 410, in HTTP."""
        with self._changed:
            self._version += 10
            self._oldest = self._version

    def trim(self, keep: int) -> None:
        """Hold only the newest events, so that a long run's memory is bounded; watches have to be at most that far behind."""
        with self._changed:
            self._log = self._log[-keep:]
            del self.requests[:-keep], self.headers[:-keep]

    def send(self, line: bytes) -> None:
        """Push a raw line into every open watch."""
        with self._changed:
            self._version += 1
            self._raw.append((self._version, line))
            self._changed.notify_all()

    def send_error(self, **status: object) -> None:
        """Push the ERROR event with this Status, as an open watch gets one when its version is compacted away."""
        self.send(json.dumps({"type": "ERROR", "object": {"kind": "Status", **status}}).encode() + b"\n")

    def drop(self) -> None:
        """Break every open watch in the middle of its chunked answer."""
        with self._changed:
            self._cut += 1
            self._changed.notify_all()

    def count(self, verb: str) -> int:
        """How many requests of a verb have come."""
        return sum(verb_of(path, query) == verb for path, query in list(self.requests))

    def queries(self, verb: str) -> list[dict[str, str]]:
        """The queries of a verb's requests, oldest first."""
        return [query for path, query in list(self.requests) if verb_of(path, query) == verb]

    def _record(self, kind: str, pod: Object) -> None:
        self._version += 1
        pod.setdefault("metadata", {})["resourceVersion"] = str(self._version)
        self._log.append((self._version, kind, json.loads(json.dumps(pod))))
        self._changed.notify_all()

    def _meta(self) -> dict[str, str]:
        return {"resourceVersion": str(self._version)}

    # --- what the handler asks ---

    def listed(self, query: dict[str, str]) -> Object:
        """Answer a list."""
        with self._changed:
            pods = [pod for pod in self._pods.values() if _selected(pod, query)]
            first = int(query.get("continue") or 0)
            meta = self._meta()
            if self.page and first + self.page < len(pods):
                meta["continue"] = str(first + self.page)
                pods = pods[first : first + self.page]
            else:
                pods = pods[first:]
            return {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": pods}

    def node(self, name: str) -> Object | None:
        """Answer a get of a node."""
        return self._nodes.get(name)

    def expired(self, query: dict[str, str]) -> bool:
        """Whether a watch's version is older than the history."""
        return int(query.get("resourceVersion") or 0) < self._oldest

    def follow(self, query: dict[str, str], write: Any) -> bool:
        """Feed a watch until its time is over (True) or it is cut (False)."""
        seen = raw = int(query.get("resourceVersion") or 0)
        until = time.monotonic() + (0.0 if self.ends_at_once else float(query.get("timeoutSeconds") or 60))
        bookmarks = query.get("allowWatchBookmarks") == "true"
        with self._changed:
            cut, raw = self._cut, max(raw, self._version)
            self.opened += 1
        while True:
            with self._changed:
                fresh = [entry for entry in self._log if entry[0] > seen]
                lines = [entry for entry in self._raw if entry[0] > raw]
                if not fresh and not lines and cut == self._cut and time.monotonic() < until:
                    self._changed.wait(min(0.2, max(0.0, until - time.monotonic())))
                    continue
                if cut != self._cut:
                    return False
            if not fresh and not lines:
                return True
            if self.half_open:
                seen, raw = self._version, self._version
                continue
            for version, kind, item in fresh:
                seen = version
                if (kind == "BOOKMARK" and bookmarks) or (kind != "BOOKMARK" and _selected(item, query)):
                    write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
            for version, line in lines:
                raw = version
                write(line)


def eventually(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until a condition holds; fail the test when it does not within so many seconds."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"not within {within:g} s")
        time.sleep(0.005)


def verb_of(path: str, query: dict[str, str]) -> str:
    """Return the API's verb of a request."""
    if path.startswith("/apis/"):
        return "group"
    if path.startswith("/api/v1/nodes/"):
        return "get"
    return "watch" if query.get("watch") in {"1", "true"} else "list"


def _selected(pod: Object, query: dict[str, str]) -> bool:
    field, _, value = query.get("fieldSelector", "").partition("=")
    return field != "spec.nodeName" or pod.get("spec", {}).get("nodeName") == value


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    api: FakeApiServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve one request."""
        split = urlsplit(self.path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        self.api.requests.append((split.path, query))
        self.api.headers.append({key.lower(): value for key, value in self.headers.items()})
        verb = verb_of(split.path, query)
        if not self.api.running:
            self.close_connection = True
        elif self.api.token and self.headers.get("Authorization", "").lower() != f"bearer {self.api.token}".lower():
            self._status(401, "Unauthorized")
        elif verb in self.api.refuse:
            self._status(*self.api.refuse[verb])
        elif verb == "group" and split.path in self.api.groups:
            self._json(200, self.api.groups[split.path])
        elif verb == "group":
            self._status(404, "the server could not find the requested resource")
        elif verb == "watch":
            self._watch(query)
        elif verb == "list":
            self._json(200, self.api.listed(query))
        elif (node := self.api.node(split.path.rpartition("/")[2])) is not None:
            slim = {**node, "kind": "PartialObjectMetadata"}
            slim.pop("status")
            self._json(200, slim if "PartialObjectMetadata" in self.headers.get("Accept", "") else node)
        else:
            self._status(404, "not found")

    def _watch(self, query: dict[str, str]) -> None:
        if self.api.expired(query):
            self._status(410, "too old resource version")
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        if self.api.follow(query, lambda line: self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))):
            self.wfile.write(b"0\r\n\r\n")

    def _status(self, code: int, message: str) -> None:
        self._json(code, {"kind": "Status", "code": code, "message": message})

    def _json(self, code: int, body: Object) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output quiet."""

"""The watch of this node's pods: list, then follow, and never stop for good.

The rules are those of client-go's reflector: the first list from the server's cache (`resourceVersion=0`, so that a
roll-out of the DaemonSet does not read etcd once a node), bookmarks to keep the resource version young, resume from the
last one when the server ends the watch, list again without one when it is too old (410), and back off with jitter after
every failure. Facts: kubernetes.io/docs/reference/using-api/api-concepts; kubernetes client-go tools/cache/reflector.go.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from exporter.errors import SourceError
from exporter.model import Pod, Reason
from exporter.sources.kubernetes_api import Api, Expired
from exporter.sources.pods import PodStore, slim

_PAGE = "500"
_MOST_PAGES = 40
"""A node has at most a few hundred pods; a list that goes on and on is not one of a node."""
_MOST_PODS = 5000
"""Pods of one node; Kubernetes is tested with 110. Beyond it the selector was not honoured."""

_GONE = 410
_SHORT_WATCH = 1.0
"""Seconds. A watch that ends sooner without an event is a failure, else a broken proxy makes a busy loop."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Every period of the watch, in seconds."""

    watch: float = 290.0  # asked of the server, ±10 %, so that a fleet's watches do not end together
    silence: float = 330.0  # without a byte, after which a connection is half-open; longer than any watch
    request: float = 30.0  # between the bytes of a list
    stale: float = 400.0  # without a word from the server, after which the store is no longer believed
    node: float = 60.0  # between two looks at the node's labels
    claims: float = 10.0  # between two looks at the claims of the node's pods
    retry: float = 1.0  # the first back-off
    longest_retry: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the watch knows; replaced as a whole. `items` is None until the first list; times are monotonic seconds."""

    items: tuple[Pod, ...] | None = None
    deleted: Mapping[str, float] = field(default_factory=dict)
    contact: float = 0.0
    error: SourceError | None = None


class Backoff:
    """Delays that double from `first` to `longest` seconds, each shortened by up to half at random."""

    def __init__(self, first: float, longest: float, jitter: Callable[[], float] = random.random) -> None:
        self._first, self._longest, self._jitter = first, longest, jitter
        self._failures = 0

    def next(self) -> float:
        """Return the delay after one more failure."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * (1 - self._jitter() / 2)

    def reset(self) -> None:
        """Forget the failures: the server has kept its word."""
        self._failures = 0


class PodWatch:
    """Follows the pods of one node until `stop` is set. `state` may be read from any thread."""

    def __init__(
        self, api: Api, node: str, timing: Timing, stop: threading.Event, jitter: Callable[[], float] = random.random
    ) -> None:
        self.state = Watched()
        self._api, self._timing, self._stop, self._jitter = api, timing, stop, jitter
        self._selector = {"fieldSelector": f"spec.nodeName={node}"}
        self._store = PodStore()
        self._backoff = Backoff(timing.retry, timing.longest_retry, jitter)

    def run(self) -> None:
        """List and watch until stopped. Never raises: a thread that dies would look like a quiet node."""
        version, start = "", "0"
        while not self._stop.is_set():
            try:
                if not version:
                    version, start = self._list(start), ""
                version = self._follow(version)
                self._backoff.reset()
            except Expired as error:
                version = ""
                self._pause(error)
            except _Lost as error:
                version = error.version
                self._pause(error.cause)
            except SourceError as error:
                self._pause(error)
            except Exception as error:  # noqa: BLE001  # see the docstring
                version = ""
                self._pause(SourceError(f"kubernetes: unexpected {type(error).__name__}: {error}"))

    def _list(self, start: str) -> str:
        """Fill the store; return the resource version to watch from."""
        found: list[Pod] = []
        params = {**self._selector, "limit": _PAGE, "resourceVersion": start}
        for _ in range(_MOST_PAGES):
            page = self._api.get("list pods", "/api/v1/pods", params, timeout=self._timing.request)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise SourceError("kubernetes: list pods: the answer is no list")
            found.extend(pod for item in page["items"] if (pod := slim(item)) is not None)
            meta = page.get("metadata") or {}
            if len(found) > _MOST_PODS:
                break
            if not meta.get("continue"):
                self._store.replace(found, time.monotonic())
                self._publish()
                return str(meta.get("resourceVersion") or "0")
            # A continued list is of the version that its token names; giving one beside it is refused.
            params = {**self._selector, "limit": _PAGE, "continue": str(meta["continue"])}
        raise SourceError(f"kubernetes: list pods: no end after {len(found)} pods; no node has more than {_MOST_PODS}")

    def _follow(self, version: str) -> str:
        """Apply events until the server ends the watch; return the version to resume from."""
        seconds = max(1, round(self._timing.watch * (0.9 + self._jitter() / 5)))
        params = {
            **self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        opened, events = time.monotonic(), 0
        try:
            with self._api.lines("watch pods", "/api/v1/pods", params, timeout=self._timing.silence) as lines:
                self._publish()
                for kind, item in _events(lines):
                    version = self._apply(kind, item) or version
                    events += 1
                    self._backoff.reset()
        except Expired:
            raise
        except SourceError as error:
            raise _Lost(version, error) from error
        if not events and time.monotonic() - opened < _SHORT_WATCH and not self._stop.is_set():
            raise _Lost(version, SourceError("kubernetes: watch pods: ended at once without an event"))
        self._publish()
        return version

    def _apply(self, kind: str, item: Mapping[str, Any]) -> str:
        """Take one event; return its resource version."""
        now = time.monotonic()
        pod = slim(item)
        if kind == "DELETED" and pod is not None:
            self._store.remove(pod.uid, now)
        elif kind in {"ADDED", "MODIFIED"} and pod is not None:
            self._store.put(pod, now)
            if len(self._store) > _MOST_PODS:
                raise Expired(f"kubernetes: watch pods: more than {_MOST_PODS} pods on one node")
        self._publish(changed=kind != "BOOKMARK")
        meta = item.get("metadata")
        return str(meta.get("resourceVersion") or "") if isinstance(meta, Mapping) else ""

    def _publish(self, *, changed: bool = True) -> None:
        """Show readers the store, and that the server was heard just now."""
        if not changed:
            self.state = replace(self.state, contact=time.monotonic(), error=None)
            return
        self.state = Watched(items=self._store.items, deleted=self._store.deleted, contact=time.monotonic())

    def _pause(self, error: SourceError) -> None:
        """Remember why, say so once, and wait."""
        if self._stop.is_set():
            return
        known = self.state.error
        if known is None or str(known) != str(error):
            logging.getLogger(__name__).warning("%s", error)
        self.state = replace(self.state, error=error)
        self._stop.wait(self._backoff.next())


class _Lost(Exception):  # noqa: N818  # no error to a caller: how a broken watch hands on where it stood
    """A watch broke at `version` for `cause`."""

    def __init__(self, version: str, cause: SourceError) -> None:
        super().__init__(str(cause))
        self.version, self.cause = version, cause


def _events(lines: Iterator[bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (type, object) of each event. Raises Expired for an ERROR event of 410, SourceError for any other."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError as error:
            # Resuming would meet the same line again, so that a list has to go around it.
            raise Expired(f"kubernetes: watch pods: an event is no JSON: {error}") from error
        if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
            raise Expired("kubernetes: watch pods: an event has no object")
        if event.get("type") == "ERROR":
            raise _error_event(event["object"])
        yield str(event.get("type") or ""), event["object"]


def _error_event(status: Mapping[str, Any]) -> SourceError:
    message = " ".join(str(status.get("message") or status.get("reason") or "no message").split())[:256]
    line = f"kubernetes: watch pods: error event {status.get('code')}: {message}"
    if status.get("code") == _GONE or status.get("reason") in {"Expired", "Gone"}:
        return Expired(line)
    return SourceError(line, Reason.ERROR)

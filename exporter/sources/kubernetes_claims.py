"""The claims that pods of this node use, and what the node's ResourceSlices publish; looked at while there are such pods.

Claims cannot be selected by node, and to watch all of a cluster's would make every node pay for all others. So each claim
that a pod of this node names is asked for by its name, and slices are listed by the node's. An API server without
`resource.k8s.io/v1` (before Kubernetes 1.34) is asked in the older versions, which differ in nothing that is read here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from exporter.errors import SourceError
from exporter.model import Missing, Pod, Reason
from exporter.records import Claim, Claims, Published
from exporter.sources.kubernetes_api import Absent, Api
from exporter.vendors import dra
from exporter.vendors.text import mapping, mappings

_VERSIONS = ("v1", "v1beta2", "v1beta1")
_MOST_CLAIMS = 512
"""A node has at most a few hundred pods; what a tenant writes must not make this process ask without end."""
_PAGES = 20
_FIRST = 1.0
"""Seconds between two looks before anything was seen: the pods are listed a moment after the start."""


class ClaimsLook:
    """Looks at claims and slices every `every` seconds until `stop` is set. `pods` are those of the node, None before any."""

    def __init__(
        self,
        api: Api,
        node: str,
        pods: Callable[[], Iterable[Pod] | None],
        stop: threading.Event,
        *,
        every: float,
        request: float,
    ) -> None:
        self._api, self._node, self._pods, self._stop = api, node, pods, stop
        self._every, self._request = every, request
        self._seen: tuple[Claims, float] | None = None
        self._reason = Reason.NOT_YET
        self._version = ""

    def claims(self, now: float) -> Claims | Missing:
        """Return what was seen last, or why there is nothing; `now` is monotonic seconds."""
        seen = self._seen
        if seen is None:
            return Missing(self._reason)
        return seen[0] if now - seen[1] <= 6 * self._every else Missing(Reason.SOURCE_STALE)

    def run(self) -> None:
        """Look until stopped. Never raises."""
        said = ""
        while not self._stop.is_set():
            try:
                self._look()
                said = ""
            except SourceError as error:
                self._reason = error.reason
                if str(error) != said:
                    said = str(error)
                    logging.getLogger(__name__).warning("%s", error)
            except Exception:
                self._reason = Reason.ERROR
                logging.getLogger(__name__).exception("kubernetes: claims: unexpected")
            self._stop.wait(self._every if self._seen else min(self._every, _FIRST))

    def _look(self) -> None:
        pods = self._pods()
        if pods is None:
            return
        named = {(pod.namespace, use.claim) for pod in pods if not pod.terminal for use in pod.claim_uses}
        if not named:
            self._seen = (Claims(), time.monotonic())
            return
        version = self._version or self._negotiated()
        try:
            published = tuple(self._published(version))
        except Absent:
            self._version = ""  # the server was upgraded: ask anew which versions it has
            raise
        items = [claim for each in sorted(named)[:_MOST_CLAIMS] if (claim := self._claim(version, *each)) is not None]
        self._seen = (Claims(items=tuple(items), published=published), time.monotonic())

    def _negotiated(self) -> str:
        for version in _VERSIONS:
            try:
                self._slices(version, {"limit": "1"})
            except Absent:
                if version == _VERSIONS[-1]:
                    raise
            else:
                self._version = version
                return version
        raise SourceError("kubernetes: no resource.k8s.io")  # the loop has raised or returned

    def _claim(self, version: str, namespace: str, name: str) -> Claim | None:
        path = f"/apis/resource.k8s.io/{version}/namespaces/{quote(namespace, safe='')}/resourceclaims/{quote(name, safe='')}"
        try:
            return dra.claim(self._api.get("get claim", path, {}, timeout=self._request))
        except Absent:
            return None  # deleted since, or named by a pod that waits for it

    def _slices(self, version: str, params: dict[str, str]) -> Any:
        # From the server's cache; a further page may not name a version.
        cached = {} if "continue" in params else {"resourceVersion": "0"}
        selector = {"fieldSelector": f"spec.nodeName={self._node}", **cached, **params}
        path = f"/apis/resource.k8s.io/{version}/resourceslices"
        return self._api.get("list slices", path, selector, timeout=self._request)

    def _published(self, version: str) -> Iterable[Published]:
        params: dict[str, str] = {"limit": "500"}
        for _ in range(_PAGES):
            page = mapping(self._slices(version, params))
            for item in mappings(page.get("items")):
                yield from dra.published(item)
            following = mapping(page.get("metadata")).get("continue")
            if not isinstance(following, str) or not following:
                return
            params = {"limit": "500", "continue": following}

"""The API server's word on this node: its pods, by a watch of their own, and its labels.

The DaemonSet needs get, list and watch on pods and nodes; a field selector keeps the traffic to this node, which is a
filter and no boundary (RBAC knows none by node). The client is optional: without it slicewatch knows owners by namespace,
pod and container, and neither uids nor workloads.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.errors import SourceError
from exporter.model import Missing, Pods, Reason
from exporter.sameness import kept
from exporter.sources.kubernetes_api import SERVICE_ACCOUNT, Access, Api
from exporter.sources.kubernetes_claims import ClaimsLook
from exporter.sources.kubernetes_watch import PodWatch, Timing
from exporter.sources.pods import TOMBSTONE_SECONDS

_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Ask for the node without its status, which lists images and is a hundred times its labels."""

_NODE_GOOD_FOR = 5
"""Periods for which labels are believed without a new answer; they change on reconfiguration only."""


def auto_available(environ: Mapping[str, str], service_account: str = SERVICE_ACCOUNT) -> bool:
    """Whether this process is a pod with a service account, so that `--kubernetes auto` means on."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (Path(service_account) / "token").is_file()


class KubernetesPods:
    """Pods of `node` and its labels. Satisfies `base.PodSource`.

    Three daemon threads start with the object: one lists and watches the pods, one looks at the node's labels each
    minute, and one at the claims of pods that use some.
    `kubeconfig` None means the pod's service account; `access` is for tests. Raises ConfigError when the client is not
    installed or cannot be configured; a server that does not answer is for `read` to say.
    """

    def __init__(
        self,
        node: str,
        *,
        kubeconfig: str | None,
        timing: Timing | None = None,
        access: Access | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._timing = timing or Timing()
        self._stop = threading.Event()
        self._api = Api(access or Access(kubeconfig=kubeconfig))
        self._watch = PodWatch(self._api, node, self._timing, self._stop, jitter)
        self._node = _NodeLabels(self._api, node, self._timing, self._stop)
        self._claims = ClaimsLook(
            self._api,
            node,
            lambda: self._watch.state.items,
            self._stop,
            every=self._timing.claims,
            request=self._timing.request,
        )
        self._last: Pods | None = None
        self._threads = [
            threading.Thread(target=self._claims.run, name="kubernetes-claims", daemon=True),
            threading.Thread(target=self._watch.run, name="kubernetes-pods", daemon=True),
            threading.Thread(target=self._node.run, name="kubernetes-node", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def read(self, now: float) -> Pods:
        """Return the store as it is, the same object while nothing changes; `now` is monotonic seconds.

        Raises SourceError while it has never been filled (with the reason of the last failure, NOT_YET before any), and
        SOURCE_STALE when the server has not been heard for `timing.stale` seconds.
        """
        state = self._watch.state
        if state.items is None:
            raise state.error or SourceError("kubernetes: pods have not been listed yet", Reason.NOT_YET)
        silent = now - state.contact
        if silent > self._timing.stale:
            because = f"; {state.error}" if state.error else ""
            raise SourceError(f"kubernetes: no word for {silent:.0f} s{because}", Reason.SOURCE_STALE)
        deleted = frozenset(uid for uid, at in state.deleted.items() if now - at < TOMBSTONE_SECONDS)
        labels, claims = self._node.labels(now), self._claims.claims(now)
        pods = Pods(items=state.items, deleted=deleted, node_labels=labels, claims=claims)
        self._last = kept(self._last, pods)
        return self._last

    def close(self) -> None:
        """End the watch; waits a moment for its threads."""
        self._stop.set()
        self._api.close()
        for thread in self._threads:
            thread.join(timeout=2)


class _NodeLabels:
    """The node's own labels, looked at each `timing.node` seconds."""

    def __init__(self, api: Api, node: str, timing: Timing, stop: threading.Event) -> None:
        self._api, self._path, self._timing, self._stop = api, f"/api/v1/nodes/{node}", timing, stop
        self._seen: tuple[Mapping[str, str], float] | None = None
        self._reason = Reason.NOT_YET

    def labels(self, now: float) -> Mapping[str, str] | Missing:
        """Return the labels as last seen, or why there are none."""
        seen = self._seen
        if seen is None:
            return Missing(self._reason)
        return seen[0] if now - seen[1] <= _NODE_GOOD_FOR * self._timing.node else Missing(Reason.SOURCE_STALE)

    def run(self) -> None:
        """Look until stopped. Never raises, as the watch of the pods does not."""
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
                logging.getLogger(__name__).exception("kubernetes: get node: unexpected")
            wait = self._timing.node if self._seen else min(self._timing.node, self._timing.longest_retry)
            self._stop.wait(wait)

    def _look(self) -> None:
        # Version 0: from the server's cache, which is good enough and does not read etcd.
        version = {"resourceVersion": "0"}
        node = self._api.get("get node", self._path, version, accept=_METADATA_ONLY, timeout=self._timing.request)
        meta = node.get("metadata") if isinstance(node, dict) else None
        if not isinstance(meta, dict):
            raise SourceError("kubernetes: get node: the answer is no node")
        labels = meta.get("labels") or {}
        self._seen = ({str(key): str(value) for key, value in labels.items()}, time.monotonic())

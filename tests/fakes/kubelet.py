"""A kubelet for tests: a real gRPC server on a real unix socket, with the faults that have been seen on one.

It serves whatever message it is given, so that recorded answers travel the wire whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf.json_format import ParseDict

from exporter.sources import podresources_pb2 as pb

RATE_LIMITED = "rejected by rate limit"
"""The text of the kubelet's limiter (pkg/kubelet/apis/podresources/grpc/ratelimit.go)."""


class FakeKubelet:
    """Serves `List` and `GetAllocatableResources` from the attributes, which a test may change at any time."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.listed = pb.ListPodResourcesResponse()
        self.allocatable = pb.AllocatableResourcesResponse()
        self.serves_allocatable = True
        self.hangs: set[str] = set()  # methods that never answer
        self.refuses: dict[str, tuple[grpc.StatusCode, str]] = {}
        self.calls: list[str] = []
        self._released = threading.Event()
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop."""
        self.stop()

    def answer(self, listed: dict[str, Any], allocatable: dict[str, Any] | None = None) -> None:
        """Take answers in proto3 JSON, as recordings have them."""
        self.listed = ParseDict(listed, pb.ListPodResourcesResponse())
        self.allocatable = ParseDict(allocatable or {}, pb.AllocatableResourcesResponse())

    def hold(self, namespace: str, pod: str, container: str, resource: str, *devices: str) -> None:
        """Add a container that holds these device ids."""
        entry = self.listed.pod_resources.add(namespace=namespace, name=pod).containers.add(name=container)
        entry.devices.add(resource_name=resource, device_ids=devices)

    def start(self) -> None:
        """Listen on the path: a new socket file each time, as the kubelet makes one."""
        self._released.clear()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4))
        handlers = {"List": self._method("List", pb.ListPodResourcesRequest, lambda: self.listed)}
        if self.serves_allocatable:
            name = "GetAllocatableResources"
            handlers[name] = self._method(name, pb.AllocatableResourcesRequest, lambda: self.allocatable)
        generic = grpc.method_handlers_generic_handler("v1.PodResourcesLister", handlers)
        self._server.add_generic_rpc_handlers((generic,))
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def stop(self) -> None:
        """Go away; calls in flight are cut off."""
        self._released.set()
        if self._server is not None:
            self._server.stop(grace=None).wait(5)
            self._server = None
        self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        """Go away and return behind a new inode on the same path."""
        self.stop()
        self.start()

    def _method(self, name: str, request: Any, answer: Callable[[], Any]) -> grpc.RpcMethodHandler[Any, Any]:
        def serve(_request: Any, context: grpc.ServicerContext) -> Any:
            self.calls.append(name)
            if name in self.hangs:
                self._released.wait(10)
            if name in self.refuses:
                context.abort(*self.refuses[name])
            return answer()

        return grpc.unary_unary_rpc_method_handler(
            serve, request_deserializer=request.FromString, response_serializer=type(answer()).SerializeToString
        )

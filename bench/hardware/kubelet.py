"""A kubelet's PodResources socket over h2, which the exporter carries anyway, so that the kit needs no gRPC package."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import H2Error

from exporter.sources import podresources_pb2 as pb

_CHUNK: Final = 64 * 1024
_OK: Final = "0"
_UNIMPLEMENTED: Final = "12"


class Kubelet:
    """Serves `List` and `GetAllocatableResources` from the attributes, from entering the context to leaving it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listed = pb.ListPodResourcesResponse()
        self.allocatable = pb.AllocatableResourcesResponse()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        """Listen."""
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Go away; connections end with their clients."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def offer(self, resource: str, *devices: str) -> None:
        """Add what a device plugin offers."""
        self.allocatable.devices.add(resource_name=resource, device_ids=devices)

    def hold(self, namespace: str, pod: str, container: str, resource: str, *devices: str) -> None:
        """Add a container that holds these device ids."""
        entry = self.listed.pod_resources.add(namespace=namespace, name=pod).containers.add(name=container)
        entry.devices.add(resource_name=resource, device_ids=devices)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        http.initiate_connection()
        paths: dict[int, str] = {}
        with connection, suppress(OSError, H2Error):
            connection.sendall(http.data_to_send())
            while data := connection.recv(_CHUNK):
                for event in http.receive_data(data):
                    match event:
                        case RequestReceived():
                            paths[event.stream_id] = dict(event.headers).get(b":path", b"").decode()
                        case DataReceived():
                            http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        case StreamEnded():
                            self._answer(http, event.stream_id, paths.pop(event.stream_id, ""))
                        case _:
                            pass
                connection.sendall(http.data_to_send())

    def _answer(self, http: H2Connection, stream: int, path: str) -> None:
        answers = {"List": self.listed, "GetAllocatableResources": self.allocatable}
        message = answers.get(path.removeprefix("/v1.PodResourcesLister/"))
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if message is None:
            http.send_headers(stream, [*head, ("grpc-status", _UNIMPLEMENTED)], end_stream=True)
            return
        body = message.SerializeToString()
        http.send_headers(stream, head)
        http.send_data(stream, b"\0" + len(body).to_bytes(4, "big") + body)
        http.send_headers(stream, [("grpc-status", _OK)], end_stream=True)

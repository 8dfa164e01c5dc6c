"""The kubelet's PodResources socket: which container holds which device id.

It is the only word on device ownership that needs no API server. The messages are generated from `podresources.proto`
beside this file, with the protoc of the oldest protobuf runtime that `pyproject.toml` allows (6.31: grpcio-tools 1.74),
since generated code refuses any runtime that is older than its compiler:

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. exporter/sources/podresources.proto

Facts: kubernetes/kubernetes pkg/kubelet/apis/podresources (server_v1.go, grpc/ratelimit.go), pkg/kubelet/server.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError

from exporter import ids
from exporter.errors import SourceError
from exporter.model import Allocation, Allocations, Missing, Reason
from exporter.sameness import kept
from exporter.sources import podresources_pb2 as pb
from exporter.sources.grpc_answer import Code, GrpcError
from exporter.sources.grpc_unary import UnaryChannel

_SERVICE = "/v1.PodResourcesLister"

_MAX_ANSWER = 16 * 1024 * 1024
"""Bytes. gRPC's default of 4 MiB is too small for a big node with the static CPU policy (NVIDIA/dcgm-exporter#509)."""

_ALLOCATABLE_GOOD_FOR = 120.0
"""Seconds. A refused GetAllocatableResources does not unsay the last answer at once: replica counts hang on it."""

_Response = TypeVar("_Response", pb.ListPodResourcesResponse, pb.AllocatableResourcesResponse)


class PodResources:
    """The kubelet, asked through its PodResources socket. Satisfies `base.Kubelet`.

    `socket` is the path as this process sees it; the directory must be mounted, not the file, because a restarted
    kubelet makes a new file. `deadline` is the seconds that one `read` may take, `allocatable_every` the seconds between
    two questions for what the device plugins offer. Needs uid 0: the directory is 0750, root's.
    """

    def __init__(self, socket: str, deadline: float = 3.0, *, allocatable_every: float = 60.0) -> None:
        self._socket = socket
        self._deadline = deadline
        self._allocatable_every = allocatable_every
        self._channel = UnaryChannel(socket, max_receive=_MAX_ANSWER)
        self._serial = 0
        self._items: tuple[Allocation, ...] = ()
        self._offered: tuple[tuple[str, ids.DeviceId], ...] | None = None
        self._offered_at = 0.0

    def read(self, now: float) -> Allocations:
        """Ask once; `now` is monotonic seconds. Raises SourceError with one line that says what to do."""
        until = time.monotonic() + self._deadline
        listed = self._call("List", pb.ListPodResourcesRequest(), pb.ListPodResourcesResponse, self._deadline)
        allocatable = self._allocatable(now, until)
        self._serial += 1
        self._items = kept(self._items, held(listed))
        return Allocations(serial=self._serial, items=self._items, allocatable=allocatable)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _allocatable(self, now: float, until: float) -> tuple[tuple[str, ids.DeviceId], ...] | Missing:
        """Return what the plugins offer, asking when the last answer is older than its period."""
        if self._offered is not None and now - self._offered_at < self._allocatable_every:
            return self._offered
        # At most half of what is left, so that a kubelet that hangs here alone does not cost the whole source.
        budget = max(0.05, (until - time.monotonic()) / 2)
        request, response = pb.AllocatableResourcesRequest(), pb.AllocatableResourcesResponse
        try:
            answer = self._call("GetAllocatableResources", request, response, budget)
        except SourceError as error:
            if self._offered is not None and now - self._offered_at < _ALLOCATABLE_GOOD_FOR:
                return self._offered
            return Missing(error.reason)
        self._offered, self._offered_at = offered(answer), now
        return self._offered

    def _call(
        self,
        method: str,
        request: pb.ListPodResourcesRequest | pb.AllocatableResourcesRequest,
        response: type[_Response],
        timeout: float,
    ) -> _Response:
        """Call one method. The service only reads, so that the channel may repeat a call."""
        try:
            answer = self._channel.call(f"{_SERVICE}/{method}", request.SerializeToString(), timeout)
        except GrpcError as error:
            raise self._translated(error, method, timeout) from error
        return decoded(answer, response, f"kubelet, {method} on {self._socket}")

    def _translated(self, error: GrpcError, method: str, timeout: float) -> SourceError:
        details = error.message.partition("\n")[0].strip()
        if error.code is Code.UNAVAILABLE:
            return _unavailable(self._socket, details)
        message, reason = _refusal(error.code, details, timeout)
        return SourceError(f"kubelet, {method} on {self._socket}: {message}", reason)


def decoded(answer: bytes, response: type[_Response], who: str) -> _Response:
    """Decode one answer; `who` gave it. Raises SourceError."""
    try:
        return response.FromString(answer)
    except DecodeError as error:
        raise SourceError(f"{who}: the answer is no {response.__name__}: {error}") from error


def _refusal(code: Code, details: str, timeout: float) -> tuple[str, Reason]:
    """Say what an answer that is an error means, and which reason it gives to what hangs on it."""
    if code is Code.DEADLINE_EXCEEDED:
        return f"no answer within {timeout:g} s; is the kubelet overloaded?", Reason.TIMEOUT
    if code is Code.UNIMPLEMENTED:
        return "this kubelet does not serve it (v1 needs Kubernetes 1.20 or newer)", Reason.UNSUPPORTED
    if code is Code.PERMISSION_DENIED:
        return f"refused: {details}", Reason.PERMISSION
    if code is Code.RESOURCE_EXHAUSTED and "larger than max" in details.lower():
        return f"the answer is larger than {_MAX_ANSWER >> 20} MiB ({details}); please report this", Reason.ERROR
    if code is Code.RESOURCE_EXHAUSTED:
        # 100 calls a second, burst 10, for all clients of the socket together (DefaultQPS, DefaultBurstTokens).
        return f"rate limited ({details}); another client of the socket asks too often", Reason.ERROR
    return f"{code.name}: {details or 'no details'}", Reason.ERROR


def _unavailable(socket: str, details: str) -> SourceError:
    """Look at the socket file to say why nothing answers there."""
    try:
        mode = Path(socket).stat().st_mode
    except PermissionError:
        return SourceError(f"kubelet socket {socket}: permission denied; run as root (uid 0)", Reason.PERMISSION)
    except FileNotFoundError:
        hint = "is a kubelet running, and is its pod-resources directory mounted here? (--podresources.socket)"
        return SourceError(f"kubelet socket {socket}: no such file; {hint}")
    except OSError as error:
        return SourceError(f"kubelet socket {socket}: {error.strerror or error}")
    if not stat.S_ISSOCK(mode):
        return SourceError(f"kubelet socket {socket}: not a socket; give the path of kubelet.sock")
    if "permission denied" in details.lower():
        return SourceError(f"kubelet socket {socket}: permission denied; run as root (uid 0)", Reason.PERMISSION)
    if "refused" in details.lower():
        hint = "the kubelet is down, or the file was mounted instead of its directory"
        return SourceError(f"kubelet socket {socket}: nobody listens; {hint}")
    return SourceError(f"kubelet socket {socket}: unavailable: {details or 'no details'}")


# --- pure: from messages to the node's types --------------------------------------------------------------------------


def held(response: pb.ListPodResourcesResponse) -> tuple[Allocation, ...]:
    """Every GPU that a container holds: once each, in the order of namespace, pod, container, resource, id.

    List has one entry for each device and NUMA node, so that a device on two nodes comes twice; and it has the devices
    of every other plugin of the node, which are left out.
    """
    rows = {
        (pod.namespace, pod.name, container.name, resource, text): device
        for pod in response.pod_resources
        for container in pod.containers
        for resource, text, device in (*_gpus(container.devices), *_claimed(container.dynamic_resources))
    }
    return tuple(Allocation(*key[:4], device) for key, device in sorted(rows.items(), key=lambda row: row[0]))


def offered(response: pb.AllocatableResourcesResponse) -> tuple[tuple[str, ids.DeviceId], ...]:
    """Every GPU device id that a plugin offers as healthy: (resource name, id), once each, in the order of the text."""
    rows = {(resource, text): device for resource, text, device in _gpus(response.devices)}
    return tuple((key[0], device) for key, device in sorted(rows.items(), key=lambda row: row[0]))


def _gpus(devices: Iterable[pb.ContainerDevices]) -> Iterable[tuple[str, str, ids.DeviceId]]:
    """Yield (resource, id as text, id); a GPU by the resource's name, or by an id that only a GPU has."""
    for entry in devices:
        for text in entry.device_ids:
            device = ids.parse(text)
            if ids.is_partition_resource(entry.resource_name) or not isinstance(device, ids.UnknownId):
                yield entry.resource_name, text, device


def _claimed(resources: Iterable[pb.DynamicResource]) -> Iterable[tuple[str, str, ids.DeviceId]]:
    """Yield (driver, names as text, id) of every device of a claim whose driver is a GPU's.

    The CDI names are no help: those of one driver pile up over the devices of a claim (kubernetes pkg/kubelet/cm/dra).
    Kubelets before 1.31 tell nothing else, so that their claims are not seen here.
    """
    for entry in resources:
        for found in entry.claim_resources:
            if found.driver_name in ids.GPU_DRIVERS and found.device_name:
                names = (entry.claim_namespace, entry.claim_name, found.driver_name, found.pool_name, found.device_name)
                device = ids.ClaimId(*names, found.share_id)
                yield found.driver_name, "/".join((*names, found.share_id)), device

"""The PodResources source against a real gRPC server on a unix socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2

from exporter.errors import SourceError
from exporter.ids import GpuId, MigId, MinorId, UnknownId
from exporter.model import Allocation, Missing, Reason
from exporter.sources import podresources_pb2 as pb
from exporter.sources.podresources import PodResources, held
from tests.fakes import captures
from tests.fakes.kubelet import RATE_LIMITED, FakeKubelet

GPU = "GPU-0a1b2c3d-0000-4000-8000-00000000000a"
OTHER = "GPU-0a1b2c3d-0000-4000-8000-00000000000b"
MIG = "MIG-0a1b2c3d-0000-5000-8000-00000000000a"


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[FakeKubelet]:
    with FakeKubelet(tmp_path / "kubelet.sock") as fake:
        yield fake


@pytest.fixture
def source(kubelet: FakeKubelet) -> Iterator[PodResources]:
    source = PodResources(str(kubelet.socket), deadline=5.0)
    yield source
    source.close()


# --- answers ---


@pytest.mark.parametrize("name", captures.cases())
def test_a_recorded_node_comes_over_the_wire_as_it_is_read_from_the_file(
    name: str, kubelet: FakeKubelet, source: PodResources
) -> None:
    capture = captures.load(name)
    kubelet.answer(capture.list_json, capture.allocatable_json)
    answer = source.read(0.0)
    assert answer.items == capture.allocations.items
    assert answer.items or name == "dra"
    if capture.allocatable_json:
        assert answer.allocatable == capture.allocations.allocatable


def test_the_devices_of_a_container_are_its_allocations(kubelet: FakeKubelet, source: PodResources) -> None:
    kubelet.hold("b", "pod", "main", "nvidia.com/gpu.shared", f"{GPU}::3", f"{GPU}::0")
    kubelet.hold("a", "pod", "main", "nvidia.com/mig-1g.10gb", MIG)
    assert source.read(0.0).items == (
        Allocation("a", "pod", "main", "nvidia.com/mig-1g.10gb", MigId(MIG)),
        Allocation("b", "pod", "main", "nvidia.com/gpu.shared", GpuId(GPU, 0)),
        Allocation("b", "pod", "main", "nvidia.com/gpu.shared", GpuId(GPU, 3)),
    )


def test_a_device_on_two_numa_nodes_is_held_once(kubelet: FakeKubelet, source: PodResources) -> None:
    container = kubelet.listed.pod_resources.add(namespace="a", name="pod").containers.add(name="main")
    for node in (0, 1):
        entry = container.devices.add(resource_name="nvidia.com/gpu", device_ids=[GPU, OTHER])
        entry.topology.nodes.add(ID=node)
    assert [item.device for item in source.read(0.0).items] == [GpuId(GPU), GpuId(OTHER)]


@pytest.mark.parametrize(
    ("resource", "device", "kept"),
    [
        ("nvidia.com/gpu", GPU, GpuId(GPU)),
        ("nvidia.com/gpu", "all", UnknownId("all")),
        ("nvidia.com/gpu", "nvidia0/gi3", MinorId(0, 3)),
        ("example.com/renamed", GPU, GpuId(GPU)),
        ("example.com/renamed", f"{MIG}::1", MigId(MIG, 1)),
        ("rdma/hca", "0000:3b:00.0", None),
        ("devices.kubevirt.io/kvm", "kvm17", None),
        ("nvidia.com/rdma", "mlx5_0", None),
    ],
)
def test_only_gpus_are_kept_by_resource_or_by_id(
    resource: str, device: str, kept: object, kubelet: FakeKubelet, source: PodResources
) -> None:
    kubelet.hold("a", "pod", "main", resource, device)
    assert [item.device for item in source.read(0.0).items] == ([] if kept is None else [kept])


def test_the_serial_grows_with_every_fresh_answer_and_with_no_other(kubelet: FakeKubelet, source: PodResources) -> None:
    first = source.read(0.0).serial
    kubelet.refuses["List"] = (grpc.StatusCode.RESOURCE_EXHAUSTED, RATE_LIMITED)
    with pytest.raises(SourceError):
        source.read(1.0)
    kubelet.refuses.clear()
    assert source.read(2.0).serial == first + 1


# --- GetAllocatableResources ---


def test_allocatable_devices_are_asked_for_once_a_minute(kubelet: FakeKubelet, source: PodResources) -> None:
    kubelet.allocatable.devices.add(resource_name="nvidia.com/gpu.shared", device_ids=[f"{GPU}::1", f"{GPU}::0"])
    kubelet.allocatable.devices.add(resource_name="rdma/hca", device_ids=["mlx5_0"])
    expected = (("nvidia.com/gpu.shared", GpuId(GPU, 0)), ("nvidia.com/gpu.shared", GpuId(GPU, 1)))
    for now in (0.0, 5.0, 59.0, 60.0, 65.0):
        assert source.read(now).allocatable == expected
    assert kubelet.calls.count("GetAllocatableResources") == 2
    assert kubelet.calls.count("List") == 5


def test_a_kubelet_that_does_not_serve_allocatable_still_lists(tmp_path: Path) -> None:
    kubelet = FakeKubelet(tmp_path / "kubelet.sock")
    kubelet.serves_allocatable = False
    kubelet.hold("a", "pod", "main", "nvidia.com/gpu", GPU)
    with kubelet:
        source = PodResources(str(kubelet.socket))
        for now in (0.0, 5.0):
            answer = source.read(now)
            assert answer.allocatable == Missing(Reason.UNSUPPORTED)
            assert len(answer.items) == 1
        source.close()


def test_a_refusal_does_not_unsay_what_the_plugin_offered_until_it_is_old(
    kubelet: FakeKubelet, source: PodResources
) -> None:
    kubelet.allocatable.devices.add(resource_name="nvidia.com/gpu", device_ids=[GPU])
    offered = source.read(0.0).allocatable
    kubelet.refuses["GetAllocatableResources"] = (grpc.StatusCode.PERMISSION_DENIED, "no")
    assert source.read(60.0).allocatable == offered == (("nvidia.com/gpu", GpuId(GPU)),)
    assert source.read(121.0).allocatable == Missing(Reason.PERMISSION)
    kubelet.refuses.clear()
    assert source.read(126.0).allocatable == offered


def test_a_kubelet_that_hangs_on_allocatable_alone_leaves_the_list_within_the_deadline(kubelet: FakeKubelet) -> None:
    kubelet.hangs.add("GetAllocatableResources")
    source = PodResources(str(kubelet.socket), deadline=1.0)
    start = time.monotonic()
    assert source.read(0.0).allocatable == Missing(Reason.TIMEOUT)
    assert time.monotonic() - start < 1.0
    source.close()


# --- the contract ---


def test_the_generated_messages_are_those_of_the_proto_file(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc")
    root = Path(__file__).parents[2]
    out = tmp_path / "set"
    file = "exporter/sources/podresources.proto"
    assert protoc.main(["protoc", f"-I{root}", f"--descriptor_set_out={out}", str(root / file)]) == 0
    (compiled,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    generated = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(generated)
    for descriptor in (compiled, generated):
        for message in descriptor.message_type:
            for entry in message.field:
                entry.ClearField("json_name")  # written by one of the two only
    assert generated == compiled


def _field(number: int, payload: bytes) -> bytes:
    """Encode one length-delimited field by hand, so that the test does not lean on the generated messages."""
    size = len(payload)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + payload


def test_the_field_numbers_are_the_kubelets() -> None:
    devices = _field(1, b"nvidia.com/gpu") + _field(2, GPU.encode()) + _field(3, _field(1, b"\x08\x01"))
    container = _field(1, b"main") + _field(2, devices) + b"\x18\x07"
    pod = _field(1, b"trainer-0") + _field(2, b"team") + _field(3, container)
    response = pb.ListPodResourcesResponse.FromString(_field(1, pod))
    assert held(response) == (Allocation("team", "trainer-0", "main", "nvidia.com/gpu", GpuId(GPU)),)
    assert response.pod_resources[0].containers[0].devices[0].topology.nodes[0].ID == 1
    assert list(response.pod_resources[0].containers[0].cpu_ids) == [7]

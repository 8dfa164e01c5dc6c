"""The kit's kubelet, asked by the exporter's own source."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.hardware.kubelet import Kubelet
from exporter.ids import GpuId
from exporter.model import Allocation
from exporter.sources.grpc_answer import Code, GrpcError
from exporter.sources.grpc_unary import UnaryChannel
from exporter.sources.podresources import PodResources

GPU = "GPU-5ca1ab1e-0000-4000-8000-00000000f00d"


def test_the_exporters_source_reads_who_holds_what_and_what_is_offered(tmp_path: Path) -> None:
    with Kubelet(tmp_path / "kubelet.sock") as kubelet:
        kubelet.offer("nvidia.com/gpu", f"{GPU}::0", f"{GPU}::1")
        kubelet.hold("kit", "one", "main", "nvidia.com/gpu", f"{GPU}::1")
        source = PodResources(str(kubelet.path))
        answers = [source.read(float(second)) for second in range(3)]
        source.close()
    assert {answer.items for answer in answers} == {
        (Allocation("kit", "one", "main", "nvidia.com/gpu", GpuId(GPU, 1)),)
    }
    assert isinstance(answers[0].allocatable, tuple)
    assert [device for _, device in answers[0].allocatable] == [GpuId(GPU, 0), GpuId(GPU, 1)]


def test_any_other_method_is_unimplemented(tmp_path: Path) -> None:
    with Kubelet(tmp_path / "kubelet.sock") as kubelet:
        channel = UnaryChannel(str(kubelet.path))
        with pytest.raises(GrpcError) as error:
            channel.call("/v1.PodResourcesLister/Get", b"", 10.0)
        channel.close()
    assert error.value.code is Code.UNIMPLEMENTED

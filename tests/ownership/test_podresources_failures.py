"""What the PodResources source says when the kubelet refuses, hangs, restarts or is not there."""

from __future__ import annotations

import os
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from exporter.errors import SourceError
from exporter.ids import GpuId
from exporter.model import Allocation, Reason
from exporter.sources.grpc_answer import GrpcError
from exporter.sources.podresources import PodResources
from tests.fakes.kubelet import RATE_LIMITED, FakeKubelet

GPU = "GPU-0a1b2c3d-0000-4000-8000-00000000000a"


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[FakeKubelet]:
    with FakeKubelet(tmp_path / "kubelet.sock") as fake:
        yield fake


@pytest.fixture
def source(kubelet: FakeKubelet) -> Iterator[PodResources]:
    source = PodResources(str(kubelet.socket), deadline=5.0)
    yield source
    source.close()


# --- refusals ---


@pytest.mark.parametrize(
    ("code", "details", "reason", "says"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, RATE_LIMITED, Reason.ERROR, "rate limited"),
        (grpc.StatusCode.UNIMPLEMENTED, "unknown service", Reason.UNSUPPORTED, "Kubernetes 1.20"),
        (grpc.StatusCode.PERMISSION_DENIED, "go away", Reason.PERMISSION, "go away"),
        (grpc.StatusCode.INTERNAL, "first\nsecond", Reason.ERROR, "INTERNAL: first"),
        (grpc.StatusCode.UNKNOWN, "", Reason.ERROR, "UNKNOWN: no details"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_socket(
    code: grpc.StatusCode, details: str, reason: Reason, says: str, kubelet: FakeKubelet, source: PodResources
) -> None:
    kubelet.refuses["List"] = (code, details)
    with pytest.raises(SourceError, match="List") as caught:
        source.read(0.0)
    line = str(caught.value)
    assert caught.value.reason is reason
    assert says in line
    assert str(kubelet.socket) in line
    assert "\n" not in line
    assert isinstance(caught.value.__cause__, GrpcError)


def test_an_answer_of_six_mebibytes_is_read(kubelet: FakeKubelet, source: PodResources) -> None:
    _fill(kubelet, mebibytes=6)
    assert source.read(0.0).items == ()


def test_an_answer_over_sixteen_mebibytes_is_told_from_a_rate_limit(kubelet: FakeKubelet, source: PodResources) -> None:
    _fill(kubelet, mebibytes=17)
    with pytest.raises(SourceError, match="larger than 16 MiB"):
        source.read(0.0)


def _fill(kubelet: FakeKubelet, mebibytes: int) -> None:
    container = kubelet.listed.pod_resources.add(namespace="a", name="pod").containers.add(name="main")
    container.devices.add(resource_name="devices.kubevirt.io/kvm", device_ids=["k" * 1_048_576] * mebibytes)


def test_no_answer_within_the_deadline_is_a_timeout(kubelet: FakeKubelet) -> None:
    kubelet.hangs.add("List")
    source = PodResources(str(kubelet.socket), deadline=0.2)
    with pytest.raises(SourceError, match=r"no answer within 0\.2 s") as caught:
        source.read(0.0)
    assert caught.value.reason is Reason.TIMEOUT
    source.close()


# --- the socket ---


def test_a_missing_socket_says_what_to_mount(tmp_path: Path) -> None:
    _fails(tmp_path / "kubelet.sock", "no such file; is a kubelet running", Reason.ERROR)


def test_a_file_that_is_no_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "kubelet.sock").write_text("")
    _fails(tmp_path / "kubelet.sock", "not a socket", Reason.ERROR)


def test_a_socket_that_nobody_listens_on_says_why_that_happens(tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "kubelet.sock"))
    _fails(tmp_path / "kubelet.sock", "nobody listens; .*directory", Reason.ERROR)


def test_a_socket_behind_a_closed_directory_asks_for_root(tmp_path: Path) -> None:
    closed = tmp_path / "pod-resources"
    closed.mkdir(mode=0o700)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    else:
        closed.chmod(0)
    try:
        _fails(closed / "kubelet.sock", "permission denied; run as root", Reason.PERMISSION)
    finally:
        os.seteuid(user)
        closed.chmod(0o700)


def _fails(path: Path, says: str, reason: Reason) -> None:
    source = PodResources(str(path), deadline=5.0)
    with pytest.raises(SourceError, match=says) as caught:
        source.read(0.0)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.reason is reason
    source.close()


def test_a_restarted_kubelet_is_found_behind_its_new_inode(kubelet: FakeKubelet, source: PodResources) -> None:
    source.read(0.0)
    before = kubelet.socket.stat().st_ino
    (kubelet.socket.parent / "holds-the-inode").hardlink_to(kubelet.socket)
    kubelet.restart()
    assert kubelet.socket.stat().st_ino != before
    kubelet.hold("a", "pod", "main", "nvidia.com/gpu", GPU)
    answer = _read_within(source, 2.0)
    assert [item.device for item in answer] == [GpuId(GPU)]


def test_a_kubelet_that_was_away_for_many_reads_is_found_by_the_first_read_after_its_return(
    kubelet: FakeKubelet, source: PodResources
) -> None:
    source.read(0.0)
    kubelet.stop()
    for now in range(1, 9):
        with pytest.raises(SourceError, match="no such file"):
            source.read(float(now))
    kubelet.start()
    assert source.read(10.0).items == ()


_COMES_AND_GOES = """
import pathlib, sys
from exporter.errors import SourceError
from exporter.sources.podresources import PodResources

socket = pathlib.Path(sys.argv[1])
PodResources(str(socket)).close()  # the first in the process to load gRPC, as in the exporter

from tests.fakes.kubelet import FakeKubelet

for _ in range(20):
    source = PodResources(str(socket))
    with FakeKubelet(socket):
        source.read(0.0)
    try:
        source.read(1.0)
    except SourceError as error:
        print(error)
    source.close()
"""


def test_grpc_prints_nothing_of_its_own_when_a_kubelet_goes_away(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    done = subprocess.run(
        [sys.executable, "-c", _COMES_AND_GOES, str(tmp_path / "kubelet.sock")],
        cwd=Path(__file__).parents[2],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("no such file") == 20
    assert done.stderr == ""


def _read_within(source: PodResources, seconds: float) -> tuple[Allocation, ...]:
    """Read again while the old connection is still being torn down."""
    until = time.monotonic() + seconds
    while True:
        try:
            return source.read(0.0).items
        except SourceError:
            if time.monotonic() > until:
                raise

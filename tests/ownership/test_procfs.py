"""Processes from procfs: cgroup paths of every runtime, hostile texts, the cache, the failures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import SourceError
from exporter.model import CgroupPod, Missing, Reason
from exporter.sources.procfs import Procfs, Stat, host_pid_namespace, parse_stat, pods_of_cgroup
from tests.fakes.procfs import UID, FakeProcfs, stat_line

UNDERSCORED = UID.replace("-", "_")
OUTER = "11111111-2222-3333-4444-555555555555"
HASH = "d41d8cd98f00b204e9800998ecf8427e"
A, B = "a" * 64, "b" * 64
POD = f"kubepods-burstable-pod{UNDERSCORED}.slice"

PATHS = {
    "containerd, systemd, burstable": (f"/kubepods.slice/kubepods-burstable.slice/{POD}/cri-containerd-{A}.scope", A),
    "containerd, systemd, guaranteed": (f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{A}.scope", A),
    "CRI-O, systemd": (f"/kubepods.slice/kubepods-burstable.slice/{POD}/crio-{A}.scope/container", A),
    "docker, systemd": (f"/kubepods.slice/kubepods-besteffort-pod{UNDERSCORED}.slice/docker-{A}.scope", A),
    "cgroupfs, burstable": (f"/kubepods/burstable/pod{UID}/{A}", A),
    "cgroupfs, guaranteed": (f"/kubepods/pod{UID}/{A}", A),
    "containerd with mismatched driver": (
        f"/system.slice/containerd.service/kubepods-besteffort-pod{UNDERSCORED}.slice:cri-containerd:{A}",
        A,
    ),
    "kind": (f"/system.slice/docker-{B}.scope/kubelet.slice/kubelet-{POD}/cri-containerd-{A}.scope", A),
    "docker in a pod": (f"/kubepods/burstable/pod{UID}/{A}/docker/{B}", A),
    "seen from a cgroup namespace": (f"/../../{POD}/cri-containerd-{A}.scope", A),
    "a pod's own cgroup": (f"/kubepods/burstable/pod{UID}", None),
    "the monitor of CRI-O": (f"/kubepods.slice/kubepods-burstable.slice/{POD}/crio-conmon-{A}.scope", None),
    "the pod was deleted": (f"/kubepods/burstable/pod{UID} (deleted)", None),
    "the container was deleted": (f"/kubepods/burstable/pod{UID}/{A} (deleted)", A),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_cgroup_path_names_its_pod_and_container(name: str) -> None:
    path, container = PATHS[name]
    assert pods_of_cgroup(f"0::{path}\n") == (CgroupPod(UID, container),)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/user.slice/user-1000.slice/session-3.scope",
        "/system.slice/nvidia-persistenced.service",
        f"/machine.slice/libpod-{A}.scope/container",
        f"/machine.slice/libpod-conmon-{A}.scope",
        f"/system.slice/docker-{A}.scope",
        f"/user.slice/notpod{UID}/x",
        f"/kubepods/pod{UID}ff/{A}",
        f"/kubepods/pod{UID.upper()}/{A}",
    ],
)
def test_a_cgroup_path_of_no_pod_names_none(path: str) -> None:
    assert pods_of_cgroup(f"0::{path}\n") == ()


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_tenant_that_names_a_cgroup_like_a_line_stays_in_its_own_pod(separator: str) -> None:
    forged = f"/kubepods/pod{UID}/{A}/x{separator}0::/kubepods/pod{OUTER}/pod{OUTER}"
    assert pods_of_cgroup(f"0::{forged}\n")[-1] == CgroupPod(UID, A)


def test_a_static_pod_is_named_by_its_config_hash() -> None:
    path = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{HASH}.slice/cri-containerd-{A}.scope"
    assert pods_of_cgroup(f"0::{path}\n") == (CgroupPod(HASH, A),)


def test_of_nested_pods_the_deepest_comes_first_and_each_has_its_own_container() -> None:
    inner = f"kubelet-kubepods-pod{UNDERSCORED}.slice"
    path = f"/kubepods/pod{OUTER}/{A}/kubelet.slice/{inner}/cri-containerd-{B}.scope"
    assert pods_of_cgroup(f"0::{path}\n") == (CgroupPod(UID, B), CgroupPod(OUTER, A))


def test_a_pod_around_another_does_not_take_the_inner_ones_container() -> None:
    assert pods_of_cgroup(f"0::/kubepods/pod{OUTER}/pod{UID}/{A}") == (CgroupPod(UID, A), CgroupPod(OUTER, None))


def test_with_version_1_the_controller_that_names_the_pod_counts() -> None:
    text = f"12:pids:/system.slice/containerd.service\n5:cpu,cpuacct:/kubepods/pod{UID}/{A}\n1:name=systemd:/\n0::/\n"
    assert pods_of_cgroup(text) == (CgroupPod(UID, A),)


@pytest.mark.parametrize("text", ["", "\n", "0::", "nonsense", "0:", f"pod{UID}", "::::::"])
def test_a_text_that_is_no_cgroup_file_names_none(text: str) -> None:
    assert pods_of_cgroup(text) == ()


_PIECES = st.sampled_from(
    ["0::", "/", "-", ":", "pod", UID, UNDERSCORED, HASH, A, "conmon-", ".slice", "\n", "a" * 500]
)


@settings(deadline=None)
@given(st.lists(_PIECES | st.text(max_size=20), max_size=200).map("".join))
def test_no_text_breaks_the_reading_of_a_cgroup(text: str) -> None:
    for pod in pods_of_cgroup(text):
        assert pod.pod_uid in {UID, HASH}
        assert pod.container_id is None or len(pod.container_id) == 64


# --- stat ---


@pytest.mark.parametrize(
    "command",
    [
        "python3",
        "a b",
        "((sd-pam))",
        ") S 1 1",
        "x) R 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 77",
        "a\nb",
        "a\\nb",
        "",
        "é",
    ],
)
def test_a_start_time_is_found_behind_any_command(command: str) -> None:
    assert parse_stat(stat_line(7, command, 4711)) == Stat(command, 4711)


@pytest.mark.parametrize("text", ["", "7", "7 (x", "7 (x) S 1 2", "7 x) S" + " 1" * 30, "7 (x) S" + " x" * 30])
def test_a_text_that_is_no_stat_is_none(text: str) -> None:
    assert parse_stat(text) is None


@settings(deadline=None)
@given(st.text(max_size=16), st.integers(0, 2**64 - 1))
def test_every_command_and_start_time_come_back(command: str, started: int) -> None:
    assert parse_stat(stat_line(1, command, started)) == Stat(command, started)


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_the_reading_of_a_stat(text: str) -> None:
    parse_stat(text)
    parse_stat(f"1 (x) S {'1 ' * 18}{text}")


# --- the source ---


@pytest.fixture
def fake(tmp_path: Path) -> FakeProcfs:
    return FakeProcfs(tmp_path / "proc")


def test_the_facts_of_a_process_are_read_and_a_gone_one_is_left_out(fake: FakeProcfs) -> None:
    fake.put_in_pod(7, "python3", UID, A, started=99)
    fake.put(8, "Xorg", "/system.slice/gdm.service")
    table = Procfs(str(fake.root)).read([7, 8, 9])
    assert set(table) == {7, 8}
    assert (table[7].pid, table[7].command, table[7].started) == (7, "python3", 99)
    assert table[7].pods == (CgroupPod(UID, A),)
    assert table[8].pods == ()


def test_a_process_seen_before_costs_its_stat_alone(fake: FakeProcfs) -> None:
    fake.put_in_pod(7, "python3", UID)
    source = Procfs(str(fake.root))
    before = source.read([7])
    (fake.root / "7" / "cgroup").unlink()
    (fake.root / "7" / "comm").unlink()
    assert source.read([7]) == before


@pytest.mark.parametrize(
    ("command", "started"), [("python3", 2000), ("trainer", 1000)], ids=["pid reused", "exec after a move"]
)
def test_another_start_time_or_command_is_looked_at_afresh(command: str, started: int, fake: FakeProcfs) -> None:
    fake.put_in_pod(7, "python3", UID, started=1000)
    source = Procfs(str(fake.root))
    source.read([7])
    fake.put_in_pod(7, command, OUTER, started=started)
    facts = source.read([7])[7]
    assert (facts.command, facts.started, facts.pods[0].pod_uid) == (command, started, OUTER)


def test_a_process_that_was_not_asked_for_is_forgotten(fake: FakeProcfs) -> None:
    fake.put_in_pod(7, "python3", UID)
    source = Procfs(str(fake.root))
    source.read([7])
    source.read([])
    fake.put_in_pod(7, "python3", OUTER)
    assert source.read([7])[7].pods[0].pod_uid == OUTER


def test_a_process_without_a_cgroup_file_is_gone(fake: FakeProcfs) -> None:
    fake.put(7, "python3", "/")
    (fake.root / "7" / "cgroup").unlink()
    assert Procfs(str(fake.root)).read([7]) == {}


def test_an_endless_file_is_read_to_its_limit(fake: FakeProcfs) -> None:
    fake.put(7, "python3", "0::/" + "x/" * 1_000_000 + f"pod{UID}/{A}")
    fake.put(8, "python3", f"0::/kubepods/pod{UID}/{A}/" + "x" * 1_000_000)
    table = Procfs(str(fake.root)).read([7, 8])
    assert table[7].pods == ()
    assert table[8].pods == (CgroupPod(UID, A),)


def test_bytes_that_are_no_text_do_no_harm(fake: FakeProcfs) -> None:
    fake.put(7, "python3", "/")
    (fake.root / "7" / "stat").write_bytes(stat_line(7, "COMM", 5).encode().replace(b"COMM", b"\xff\xfe)\x00"))
    (fake.root / "7" / "cgroup").write_bytes(b"0::/\xff/pod" + UID.encode() + b"\n")
    facts = Procfs(str(fake.root)).read([7])[7]
    assert facts.started == 5
    assert facts.pods == (CgroupPod(UID, None),)


@pytest.mark.parametrize("pids", [[], [1, 2]])
def test_a_root_that_is_no_procfs_is_an_error(pids: list[int], tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SourceError, match=r"no procfs .* set --path\.procfs"):
            Procfs(str(root)).read(pids)


def test_no_process_of_a_real_procfs_is_no_error(fake: FakeProcfs) -> None:
    assert Procfs(str(fake.root)).read([1]) == {}


@pytest.fixture
def open_to_all() -> Iterator[FakeProcfs]:
    """A procfs that another user can enter, which a test's own folder is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield FakeProcfs(Path(folder) / "proc")


def test_processes_that_are_all_closed_are_an_error_and_one_of_them_is_left_out(open_to_all: FakeProcfs) -> None:
    fake = open_to_all
    fake.put(7, "python3", "/")
    fake.put(8, "python3", "/")
    source = Procfs(str(fake.root))
    user = os.geteuid()
    (fake.root / "7").chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(SourceError, match="permission denied for 7; run as root") as caught:
            source.read([7])
        assert caught.value.reason is Reason.PERMISSION
        assert set(source.read([7, 8])) == {8}
    finally:
        os.seteuid(user)
        (fake.root / "7").chmod(0o755)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no procfs here")
def test_this_process_is_found_in_the_real_procfs() -> None:
    table = Procfs().read([os.getpid(), 2**22 + 1])
    assert set(table) == {os.getpid()}
    assert table[os.getpid()].command == Path("/proc/self/comm").read_text().rstrip("\n")
    assert table[os.getpid()].started == int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert isinstance(host_pid_namespace(), bool)


def test_the_first_pid_namespace_is_told_from_another(tmp_path: Path) -> None:
    FakeProcfs(tmp_path / "host")
    FakeProcfs(tmp_path / "pod", pid_namespace=4026532501)
    assert host_pid_namespace(str(tmp_path / "host")) is True
    assert host_pid_namespace(str(tmp_path / "pod")) is False
    assert host_pid_namespace(str(tmp_path / "absent")) == Missing(Reason.UNSUPPORTED)

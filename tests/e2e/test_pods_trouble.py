"""What the page says while the API server or procfs is in trouble, and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.node import INFO, L40S, RANKER, SLICE, furnish, held, kept, whole
from tests.e2e.rig import Rig, until


def test_an_api_server_that_is_absent_at_the_start_adds_the_owners_when_it_comes(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    rig.api.stop()
    exporter = rig.start()
    down = exporter.until(lambda page: kept(page, L40S) > 0, "partitions without an API server")
    assert down.down() == {"kubernetes"}
    assert down.rows(INFO, "device", "pod_uid", "workload").keys() == {(SLICE, "", ""), (L40S, "", "")}
    # Without pods nobody's processes can be told: that is not the same as none.
    assert down.value("slicewatch_orphans", kind="unknown_process") == 2
    assert down.value("slicewatch_orphans", kind="terminal_pod") is None
    assert "Connection refused" in exporter.log
    rig.api.start()
    back = exporter.until(whole, "the owners are known")
    assert back.rows(INFO, "device", "workload_kind", "workload").keys() == {
        (SLICE, "StatefulSet", "trainer"),
        (L40S, "Deployment", "ranker"),
    }
    # The same partitions: their counters go on.
    assert kept(back, L40S) > kept(down, L40S)
    rig.stop()


@pytest.mark.parametrize("forgets", [False, True], ids=["resumes", "410"])
def test_a_pod_deleted_while_the_api_server_was_gone_is_missed_when_it_is_back(rig: Rig, forgets: bool) -> None:  # noqa: FBT001  # a table's column
    furnish(rig).kubelet.start()
    exporter = rig.start()
    exporter.until(whole, "a good page")
    watches = rig.api.count("watch")
    rig.api.stop()
    until(lambda: "kubernetes: watch pods:" in exporter.log, "the watch is broken")
    assert held(exporter.scrape()) == {SLICE, L40S}
    rig.api.delete(RANKER.uid)
    if forgets:
        rig.api.compact()
    lists = rig.api.count("list")
    rig.api.start()
    exporter.until(lambda page: held(page) == {SLICE}, "the pod is gone")
    assert rig.api.count("watch") > watches
    assert (rig.api.count("list") > lists) is forgets
    rig.stop()


def test_credentials_that_are_refused_are_said_so_and_read_again(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    rig.api.token = "right"  # noqa: S105  # of a server that lives for a second
    rig.api.kubeconfig(rig.kubeconfig, token="wrong")  # noqa: S106  # likewise
    exporter = rig.start()
    down = exporter.until(lambda page: kept(page, L40S) > 0, "partitions without an API server")
    assert down.down() == {"kubernetes"}
    assert down.rows(INFO, "device", "pod_uid").keys() == {(SLICE, ""), (L40S, "")}
    refused = [line for line in exporter.log.splitlines() if "does not accept the credentials" in line]
    assert [line for line in refused if "source=kubernetes reason=permission" in line] != []
    rig.api.kubeconfig(rig.kubeconfig, token="right")  # noqa: S106  # likewise
    exporter.until(whole, "the new credentials are used")
    rig.stop()


def _no_stat(proc: Path) -> None:
    """A directory that is no procfs, as when the host's is not mounted."""
    for name in ("stat", "4001/stat", "4002/stat"):
        (proc / name).rename(proc / f"{name}.away")


def _other_namespace(proc: Path) -> None:
    """A procfs that has none of the driver's pids, as in a pod without hostPID."""
    for pid in ("4001", "4002"):
        (proc / pid).rename(proc / f"{pid}9")


TROUBLE: dict[str, tuple[Callable[[Path], None], set[str], str]] = {
    "no procfs": (_no_stat, {"cgroup"}, "error"),
    "other pids": (_other_namespace, set(), "host_pid"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_without_the_drivers_pids_in_procfs_only_processes_are_missing(rig: Rig, name: str) -> None:
    spoil, down, reason = TROUBLE[name]
    furnish(rig).kubelet.start()
    exporter = rig.start()
    before = exporter.until(whole, "a good page")
    spoil(rig.procfs.root)
    page = exporter.until(lambda page: page.rows("gpu_partition_processes", "device") == {}, "processes are missing")
    assert page.down() == down
    assert page.words(INFO) == before.words(INFO)
    assert {p["device"]: p["processes"] for p in exporter.snapshot()["partitions"]} == {
        SLICE: {"missing": reason},
        L40S: {"missing": reason},
    }
    # What the device itself tells needs no procfs.
    assert page.value("gpu_partition_used_memory_bytes", device=L40S) == 700 << 20
    later = exporter.until(lambda page: kept(page, SLICE) > kept(before, SLICE), "availability is told all the same")
    assert later.value("slicewatch_source_up", source="nvml") == 1
    rig.stop()

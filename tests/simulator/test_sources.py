"""The simulated sources answer as the real ones do: the same gaps, the same spellings, one caller at a time."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

import pytest

from exporter.model import DeviceUse, DeviceUuid, Missing, Process, ProcessKind, Reason
from exporter.simulator.scenario import load, parse
from exporter.simulator.sources import SimSources, build

WHOLE = """
about = "A whole GPU and whatever befalls it."
[node]
name = "gpu-test-0"
exact = true
[[gpu]]
name = "h100-0"
board = "H100-SXM-80GB"
[[pod]]
namespace = "search"
name = "embedder-0"
workload = "StatefulSet/embedder"
deleted = 40
[[pod.container]]
name = "main"
holds = ["h100-0"]
[[pod.container.process]]
command = "a-very-long-command"
demand = "backlogged"
memory_gib = 10
[[pod]]
namespace = "search"
name = "indexer-0"
workload = "Job/indexer"
born = 5
completed = 20
[[pod.container]]
name = "main"
"""


def build_with(*events: str, base: str = WHOLE) -> SimSources:
    return build(
        parse(base + "".join(f"[[event]]\n{each}\n" for each in events)), seed=4, start=100.0, sleep=naps.append
    )


naps: list[float] = []


def only_device(sources: SimSources, now: float) -> DeviceUse:
    (use,) = sources.driver.read(now).devices.values()
    return use


def test_gpm_needs_a_second_sample_at_least_a_tenth_of_a_second_later():
    sources = build_with()
    assert only_device(sources, 100.0).sm_active == Missing(Reason.NOT_YET)
    assert sources.driver.read(100.05).gpm == Missing(Reason.NOT_YET)
    assert only_device(sources, 100.05).sm_active == Missing(Reason.NOT_YET)
    second = sources.driver.read(101.0)
    assert second.gpm is True
    (use,) = second.devices.values()
    assert use.engine_active == pytest.approx(1.0)
    assert use.sm_active == pytest.approx(0.95)
    assert use.tensor_active == pytest.approx(0.45)


def test_a_reading_soon_after_the_last_one_still_looks_back_far_enough():
    sources = build_with()
    times = (100.0, 101.0, 101.02, 101.04, 101.06)
    engines = [only_device(sources, now).engine_active for now in times]
    assert engines[2:] == pytest.approx([1.0] * 3)


def test_readings_in_quick_succession_still_follow_what_the_gpu_does():
    sources = build_with(
        base=WHOLE.replace("memory_gib = 10", 'memory_gib = 10\nphase = [{ at = 2, demand = "idle" }]')
    )
    engines = [only_device(sources, 100.0 + number * 0.05).engine_active for number in range(81)]
    assert engines[30] == pytest.approx(1.0)
    assert engines[80] == 0.0


def test_a_new_mig_instance_has_no_activity_until_its_second_sample():
    sources = build(load("mig-reshaped"))
    sources.driver.read(13.0)
    sources.driver.read(14.0)
    reading = sources.driver.read(16.0)
    new = reading.inventory.gpus[0].instances[2].uuid
    assert reading.devices[new].sm_active == Missing(Reason.NOT_YET)
    assert sources.driver.read(17.0).devices[new].sm_active == 0.0


def test_under_mig_there_is_no_utilisation_and_no_share_per_process_and_the_parent_shows_its_memory():
    sources = build(load("mig-mixed"))
    sources.driver.read(0.0)
    reading = sources.driver.read(1.0)
    gpu = reading.inventory.gpus[0]
    unsupported = Missing(Reason.UNSUPPORTED)
    used = 0.0
    for instance in gpu.instances:
        use = reading.devices[instance.uuid]
        assert use.utilisation == unsupported
        assert not isinstance(use.processes, Missing)
        assert all(process.sm_share == unsupported for process in use.processes)
        assert isinstance(use.memory_used_bytes, float)
        used += use.memory_used_bytes
    parent = reading.devices[DeviceUuid(gpu.uuid)]
    assert parent.memory_total_bytes == 81559 * (1 << 20)
    assert parent.memory_used_bytes == used
    assert parent.engine_active == unsupported
    assert parent.processes == ()


@pytest.mark.parametrize(("exact", "rounded"), [("true", False), ("false", True)])
def test_the_driver_rounds_shares_to_a_percent_unless_the_scenario_wants_them_exact(exact: str, rounded: bool):  # noqa: FBT001  # a table's column
    text = WHOLE.replace("exact = true", f"exact = {exact}").replace(
        'demand = "backlogged"', 'demand = "closed"\nburst_ms = 7\nthink_ms = 5'
    )
    sources = build_with(base=text)
    sources.driver.read(100.0)
    use = only_device(sources, 101.0)
    assert not isinstance(use.processes, Missing)
    share = use.processes[0].sm_share
    assert isinstance(share, float)
    assert (share == round(share, 2)) is rounded


def test_an_idle_process_has_a_share_of_zero():
    reading = build(load("idle-tenant")).driver.read(5.0)
    assert not isinstance(reading.devices[DeviceUuid(reading.inventory.gpus[0].uuid)].processes, Missing)
    shares = [
        process.sm_share
        for use in reading.devices.values()
        if not isinstance(use.processes, Missing)
        for process in use.processes
    ]
    assert shares.count(0.0) == 2


def test_mps_clients_are_listed_as_such_beside_their_server_which_is_of_the_host():
    sources = build(load("mps-memory-hog"))
    sources.driver.read(0.0)
    use = only_device(sources, 1.0)
    assert not isinstance(use.processes, Missing)
    kinds = [process.kind for process in use.processes]
    assert kinds.count(ProcessKind.MPS) == 5
    assert kinds.count(ProcessKind.COMPUTE) == 1
    facts = sources.processes.read([process.pid for process in use.processes])
    hosts = [each for each in facts.values() if not each.pods]
    assert [each.command for each in hosts] == ["nvidia-cuda-mps"]


def test_a_command_is_cut_as_the_kernel_cuts_it_and_names_its_pod_and_container():
    sources = build_with()
    pod = next(each for each in sources.pods.read(100.0).items if each.name == "embedder-0")
    (facts,) = sources.processes.read([20_011, 99]).values()
    assert facts.command == "a-very-long-com"
    (cgroup,) = facts.pods
    assert cgroup.pod_uid == pod.uid
    assert pod.container_ids[cgroup.container_id or ""] == "main"
    assert re.fullmatch(r"[0-9a-f]{64}", cgroup.container_id or "")


def test_pods_are_born_complete_and_leave_a_tombstone():
    sources = build_with()
    phases = {}
    for now in (100.0, 106.0, 121.0, 141.0):
        store = sources.pods.read(now)
        phases[now] = {each.name: each.phase for each in store.items}
    assert phases[100.0] == {"embedder-0": "Running"}
    assert phases[106.0] == {"embedder-0": "Running", "indexer-0": "Running"}
    assert phases[121.0] == {"embedder-0": "Running", "indexer-0": "Succeeded"}
    assert phases[141.0] == {"indexer-0": "Succeeded"}
    assert len(sources.pods.read(141.0).deleted) == 1
    assert sources.kubelet.read(141.0).items == ()
    assert only_device(sources, 142.0).processes == ()


def test_the_kubelets_answers_are_numbered():
    sources = build_with()
    assert [sources.kubelet.read(100.0).serial for _ in range(3)] == [1, 2, 3]


def test_sources_may_be_read_from_many_threads_at_once():
    sources = build(load("demo"))
    problems: list[Exception] = []

    def read(offset: float) -> None:
        try:
            for number in range(60):
                now = number * 0.1 + offset
                reading = sources.driver.read(now)
                sources.kubelet.read(now)
                sources.pods.read(now)
                sources.processes.read([process.pid for process in processes_of(reading.devices.values())])
        except Exception as error:  # noqa: BLE001  # whatever it is, the test reports it
            problems.append(error)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in (0.0, 0.03, 0.06)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sources.node.now == pytest.approx(5.96)


def processes_of(uses: Iterable[DeviceUse]) -> list[Process]:
    return [each for use in uses if not isinstance(use.processes, Missing) for each in use.processes]


def test_a_process_that_starts_later_has_a_later_start_time():
    facts = build(load("rogue-process"))
    facts.driver.read(25.0)
    table = facts.processes.read(range(20_000, 20_100))
    assert [each.started - table[20_011].started for each in table.values()] == [0, 1000, 2000]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "time-slicing-hog",
            {
                "nvidia.com/gpu.sharing-strategy": "time-slicing",
                "nvidia.com/gpu.replicas": "4",
                "nvidia.com/gpu.product": "NVIDIA-L40S-SHARED",
                "nvidia.com/gpu.count": "2",
            },
        ),
        ("mps-memory-hog", {"nvidia.com/gpu.sharing-strategy": "mps", "nvidia.com/gpu.memory": "81559"}),
        (
            "mig-mixed",
            {
                "nvidia.com/mig.strategy": "mixed",
                "nvidia.com/mig-1g.10gb.count": "2",
                "nvidia.com/mig-3g.40gb.memory": "40448",
                "nvidia.com/gpu.count": "1",
                "nvidia.com/gpu.sharing-strategy": "none",
            },
        ),
        (
            "mig-single-a100",
            {
                "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb",
                "nvidia.com/gpu.count": "7",
                "nvidia.com/gpu.memory": "4864",
            },
        ),
    ],
)
def test_the_nodes_labels_are_those_of_gpu_feature_discovery(name: str, expected: dict[str, str]):
    labels = build(load(name)).pods.read(0.0).node_labels
    assert not isinstance(labels, Missing)
    assert {key: labels.get(key) for key in expected} == expected


def test_a_scenarios_own_labels_come_on_top():
    text = WHOLE.replace("exact = true", 'labels = { "nvidia.com/gpu.replicas" = "9" }')
    labels = build_with(base=text).pods.read(100.0).node_labels
    assert not isinstance(labels, Missing)
    assert labels["nvidia.com/gpu.replicas"] == "9"

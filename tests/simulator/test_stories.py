"""Each shipped scenario tells the story that its name promises: the truth says so."""

from __future__ import annotations

import pytest

from exporter.ids import GpuId, MigId
from exporter.model import Missing, Reason, Sharing, Throttle
from exporter.simulator.node import SimNode
from exporter.simulator.scenario import load, names
from exporter.simulator.sources import SimSources, build
from exporter.simulator.truth import PartitionTruth, over

SHIPPED = {
    "demo",
    "gpu-lost",
    "idle-tenant",
    "mig-mixed",
    "mig-reshaped",
    "mig-single-a100",
    "mps-memory-hog",
    "oversubscribed",
    "rogue-process",
    "thermal-throttle",
    "time-slicing-hog",
}


def played(name: str, seconds: int, seed: int = 2) -> SimNode:
    node = SimNode(load(name), seed)
    for second in range(1, seconds + 1):
        node.advance_to(second)
    return node


def mean(node: SimNode, pod: str, last: int = 20) -> PartitionTruth:
    ticks = node.truth()[-last:]
    key = next(part.key for part in ticks[-1].partitions if part.key.pod.startswith(pod))
    found = over(ticks, key)
    assert found is not None
    return found


def test_every_promised_scenario_is_shipped():
    assert set(names()) >= SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_scenario_says_what_it_is_about_and_runs_for_two_minutes(name: str):
    node = SimNode(load(name))
    for second in range(2, 121, 2):
        node.advance_to(second)
    assert len(node.scenario.about) > 30
    assert node.truth()[-1].partitions


def test_mig_mixed_keeps_every_promise_and_has_one_free_instance():
    node = played("mig-mixed", 30)
    parts = node.truth()[-1].partitions
    assert all(part.lost == 0.0 for part in parts)
    held = {part.key.device for part in parts}
    free = [device for device in node.gpus[0].devices if device.uuid not in held]
    assert [device.row.profile.name for device in free if device.row] == ["1g.10gb"]
    two = [part for part in parts if part.key.pod == "card-scoring-0"]
    assert len({part.key.device for part in two}) == len({part.key.container for part in two}) == 2


@pytest.mark.parametrize(
    ("pod", "sms"), [("query-embedder", 60), ("card-scoring", 16), ("pretrain", 132)], ids=["3g", "1g", "whole"]
)
def test_a_mig_promise_is_its_sms_over_those_of_the_full_board(pod: str, sms: int):
    node = SimNode(load("mig-mixed"))
    node.advance_to(1.0)
    shares = [part.promised for part in node.truth()[-1].partitions if part.key.pod.startswith(pod)]
    assert min(shares) == pytest.approx(sms / 132)


def test_a100_instances_are_seven_of_fourteen_sms_each():
    node = played("mig-single-a100", 5)
    assert {part.promised for part in node.truth()[-1].partitions} == {14 / 98}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_hog_starves_the_training_job_and_nobody_else_is_to_blame(seed: int):
    node = played("time-slicing-hog", 60, seed)
    train = mean(node, "demand-forecast")
    assert train.sharing is Sharing.TIME_SLICING
    assert train.wanted
    assert train.entitled == pytest.approx(0.25)
    assert train.delivered < 0.9 * train.entitled
    assert max(train.neighbours, key=lambda name: train.neighbours[name])[1].startswith("video-transcode")
    assert train.causes["neighbour"] > 0.8 * train.lost
    hog = mean(node, "video-transcode")
    assert hog.used > 2 * hog.promised
    assert mean(node, "elasticity-fit").lost < 0.01


def test_a_mostly_idle_notebook_is_entitled_to_no_more_than_it_wants():
    notebook = mean(played("time-slicing-hog", 300), "notebook", last=300)
    assert notebook.entitled < 0.06
    assert notebook.demand < 0.06


def test_the_mps_hog_holds_more_memory_than_its_promise_though_each_client_keeps_its_limit():
    node = played("mps-memory-hog", 30)
    hog = mean(node, "doc-summarizer", last=1)
    limit = 81559 // 4 * (1 << 20)
    assert hog.memory_promised == limit
    assert hog.memory_used > 2 * limit
    clients = [each for each in node.population.processes.values() if each.pod and "summarizer" in each.pod.spec.name]
    assert all(node.gpus[0].whole.memory.of(each.pid) <= limit for each in clients)
    victim = mean(node, "call-transcriber", last=1)
    assert victim.memory_promised == limit
    assert victim.memory_obtainable < 0.98 * limit


def test_before_it_grows_the_mps_hog_leaves_everyone_their_memory():
    node = played("mps-memory-hog", 10)
    for part in node.truth()[-1].partitions:
        assert part.memory_promised is not None
        assert part.memory_obtainable > part.memory_promised


def test_thermal_throttling_takes_a_share_while_it_lasts_and_names_its_cause():
    node = SimNode(load("thermal-throttle"))
    lost = {}
    for second in range(1, 71):
        node.advance_to(second)
        part = node.truth()[-1].partitions[0]
        lost[second] = part.causes.get("thermal", 0.0)
        assert set(part.causes) <= {"thermal"}
    assert [second for second, amount in lost.items() if amount > 0.2] == list(range(21, 51))
    assert node.gpus[0].climate.throttle == frozenset()


def test_a_throttled_gpu_reports_a_clock_below_the_reference_and_the_reason():
    sources = build(load("thermal-throttle"))
    use = next(iter(sources.driver.read(40.0).gpus.values()))
    assert use.throttle == frozenset({Throttle.HW_THERMAL})
    assert isinstance(use.sm_clock_hertz, float)
    assert isinstance(use.sm_clock_max_hertz, float)
    assert use.sm_clock_hertz < 0.6 * use.sm_clock_max_hertz


def test_a_lost_gpu_takes_everything_from_its_owner_and_nothing_from_the_other():
    node = played("gpu-lost", 25)
    gone, other = mean(node, "variant-caller-worker-1", last=3), mean(node, "variant-caller-worker-0", last=3)
    assert (gone.gone, gone.delivered, gone.causes) == ("device_lost", 0.0, {"device_lost": 1.0})
    assert (other.gone, other.lost) == ("", 0.0)


def test_the_reshaped_instance_gives_its_id_to_another_with_a_new_uuid():
    sources = build(load("mig-reshaped"))
    before = sources.driver.read(14.0).inventory
    after = sources.driver.read(16.0).inventory
    old, new = before.gpus[0].instances[2], after.gpus[0].instances[2]
    assert (old.gpu_instance, old.profile) == (new.gpu_instance, "1g.10gb")
    assert new.profile == "1g.20gb"
    assert old.uuid != new.uuid
    assert after.generation == before.generation + 1
    held = [each.device for each in sources.kubelet.read(16.0).items if each.pod == "card-scoring-1"]
    assert held == [MigId(old.uuid)]
    assert sources.node.truth()[-1].of("card-scoring-1").causes.keys() == {"mig_reconfigured"}


def test_idle_tenants_hold_devices_and_want_nothing():
    node = played("idle-tenant", 20)
    for pod in ("workbench-amara", "workbench-li"):
        part = mean(node, pod)
        assert (part.wanted, part.entitled, part.lost) == (False, 0.0, 0.0)
    assert mean(node, "image-filter").wanted


def test_the_rogue_and_the_host_process_take_from_the_owner_each_in_its_time():
    node = SimNode(load("rogue-process"))
    causes = []
    for until in (8.0, 18.0, 30.0):
        while node.now < until:
            node.advance_to(node.now + 1.0)
        causes.append(set(node.truth()[-1].of("session-model-train-c7m4x").causes))
    assert causes == [set(), {"rogue_pod"}, {"rogue_pod", "host_process"}]
    rogue = next(each for each in node.population.processes.values() if each.spec.command == "gpu_burn")
    assert rogue.pid in node.truth()[-1].partitions[0].intruders


def test_more_holders_than_slots_means_that_nobody_can_get_his_promise():
    sources = build(load("oversubscribed"))
    sources.node.advance_to(10.0)
    allocations = sources.kubelet.read(10.0)
    assert not isinstance(allocations.allocatable, Missing)
    assert len(allocations.items) == 4
    assert len(allocations.allocatable) == 2
    for part in sources.node.truth()[-1].partitions:
        assert part.promised == 0.5
        assert part.delivered == pytest.approx(0.25, abs=0.01)
        assert part.causes["neighbour"] == pytest.approx(0.25, abs=0.01)


def test_the_demo_shows_a_hog_then_a_reshaped_instance_then_a_hot_gpu():
    node = SimNode(load("demo"))
    first: dict[str, int] = {}
    for second in range(1, 36):
        node.advance_to(second)
        for part in node.truth()[-1].partitions:
            for cause, amount in part.causes.items():
                if amount > 0.05:
                    first.setdefault(cause, second)
    assert 6 <= first["neighbour"] < 10
    assert first["mig_reconfigured"] == 15
    assert first["thermal"] == 26


def uses(sources: SimSources, now: float) -> list[tuple[str, object, object]]:
    reading = sources.driver.read(now)
    return [(device[:3], use.engine_active, use.utilisation) for device, use in reading.devices.items()]


def test_an_a100_in_mig_mode_has_no_activity_at_all():
    sources = build(load("mig-single-a100"))
    unsupported = Missing(Reason.UNSUPPORTED)
    for now in (0.0, 1.0, 2.0):
        assert all(engine == utilisation == unsupported for _, engine, utilisation in uses(sources, now))


def test_a_whole_gpu_before_hopper_reports_its_utilisation_as_its_engine():
    sources = build(load("gpu-lost"))
    uses(sources, 0.0)
    assert uses(sources, 1.0) == [("GPU", 1.0, 1.0), ("GPU", 1.0, 1.0)]


def test_single_strategy_offers_mig_instances_as_plain_gpus():
    allocations = build(load("mig-single-a100")).kubelet.read(0.0)
    assert not isinstance(allocations.allocatable, Missing)
    assert {name for name, _ in allocations.allocatable} == {"nvidia.com/gpu"}
    assert all(isinstance(device, MigId) for _, device in allocations.allocatable)
    assert len(allocations.allocatable) == 7


def test_replicas_are_spelled_as_slots_of_the_gpu():
    allocations = build(load("time-slicing-hog")).kubelet.read(0.0)
    assert not isinstance(allocations.allocatable, Missing)
    slots = [device for _, device in allocations.allocatable if isinstance(device, GpuId)]
    assert len({(device.uuid, device.replica) for device in slots}) == 8

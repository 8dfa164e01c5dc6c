"""The join's edge cases, one sentence each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.exposition import Distribution
from exporter.ids import parse
from exporter.metrics import Own, families
from exporter.model import (
    CgroupPod,
    DeviceState,
    DeviceUuid,
    Missing,
    ProcessFacts,
    ProcessKind,
    Reason,
    Relation,
    Sharing,
)
from tests.join.worlds import (
    MIB,
    allocations,
    evidence,
    facts,
    gpu,
    gpu_id,
    holds,
    instance,
    mig_id,
    pod,
    pods,
    process,
    reading,
    run,
    think,
    use,
    uuid,
)

GPU1 = uuid("GPU", 1)
DOWN = Missing(Reason.TIMEOUT)


def test_two_slots_of_a_device_in_one_container_are_one_partition_with_two_slots() -> None:
    held = allocations(holds("a", f"{GPU1}::0", f"{GPU1}::3"), allocatable=[f"{GPU1}::{n}" for n in range(4)])
    (found,) = think(evidence(reading([gpu(1)]), held, pods(pod("a")))).snapshot.partitions
    assert (found.slots, found.sharing, found.replicas) == (2, Sharing.TIME_SLICING, 4.0)
    assert found.promise.compute is not None
    assert found.promise.compute.amount == 0.25


def test_one_device_in_two_containers_of_a_pod_is_two_partitions() -> None:
    held = allocations(holds("a", f"{GPU1}::0", container="x"), holds("a", f"{GPU1}::1", container="y"))
    found = run(evidence(reading([gpu(1)]), held, pods(pod("a", containers=("x", "y"))))).partitions
    assert [p.key.container for p in found] == ["x", "y"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_holds_nothing_whatever_the_kubelet_says(phase: str) -> None:
    instant = evidence(reading([gpu(1)]), allocations(holds("old", GPU1)), pods(pod("old", phase=phase)))
    snapshot = run(instant, instant)
    assert snapshot.partitions == ()
    assert snapshot.orphans["terminal_pod"] == 1


def test_a_container_that_has_ended_in_a_running_pod_holds_nothing() -> None:
    done = pod("a", containers=("main", "other"), ended_containers=frozenset({"main"}))
    assert run(evidence(reading([gpu(1)]), allocations(holds("a", GPU1)), pods(done))).partitions == ()


def test_two_pods_that_claim_one_exclusive_device_own_it_neither() -> None:
    instant = evidence(reading([gpu(1)]), allocations(holds("a", GPU1), holds("b", GPU1)), pods(pod("a"), pod("b")))
    snapshot = run(instant, instant)
    assert snapshot.partitions == ()
    assert snapshot.orphans["conflict"] == 1


def test_an_oddity_is_counted_from_its_second_join_in_a_row_on() -> None:
    odd = evidence(reading([gpu(1)]), allocations(holds("ghost", GPU1)), pods())
    fine = evidence(reading([gpu(1)]), allocations(), pods())
    assert run(odd).orphans["unknown_pod"] == 0
    assert run(odd, odd).orphans["unknown_pod"] == 1
    assert run(odd, fine, odd).orphans["unknown_pod"] == 0


def test_a_destroyed_mig_instance_stays_its_holders_device_and_its_successor_is_unowned() -> None:
    # The instance number is reused at once; the uuid is new: never rebind.
    store, held = pods(pod("a")), allocations(holds("a", mig_id(1), resource="nvidia.com/mig-1g.10gb"))
    before = evidence(reading([gpu(1, [instance(1, 9)])]), held, store)
    after = evidence(reading([gpu(1, [instance(2, 9)])]), held, store)
    first = run(before, after)
    assert (first.partitions[0].state, first.partitions[0].doubt) == (DeviceState.RECONFIGURED, Reason.AMBIGUOUS)
    second = run(before, after, after)
    (found,) = second.partitions
    assert (found.key.gpu, found.key.device, found.state, found.doubt) == (
        gpu_id(1),
        mig_id(1),
        DeviceState.RECONFIGURED,
        None,
    )
    assert second.orphans["unowned_device"] == 1
    assert second.orphans["missing_device"] == 1


def test_an_instance_held_by_number_is_not_rebound_when_the_number_is_reused() -> None:
    held = allocations(holds("a", f"MIG-{GPU1}/9/0"))
    before = evidence(reading([gpu(1, [instance(1, 9)])]), held, pods(pod("a")))
    after = evidence(reading([gpu(1, [instance(2, 9)])]), held, pods(pod("a")))
    (found,) = run(before, after).partitions
    assert (found.key.device, found.state) == (mig_id(1), DeviceState.RECONFIGURED)


def test_an_instance_that_the_driver_never_showed_is_a_partition_of_an_unknown_gpu() -> None:
    held = allocations(holds("a", mig_id(7)))
    (found,) = run(evidence(reading([gpu(1)]), held, pods(pod("a")))).partitions
    assert (found.key.gpu, found.state) == ("unknown", DeviceState.MISSING)


def test_a_gpu_that_the_driver_does_not_list_is_missing() -> None:
    (found,) = run(evidence(reading([]), allocations(holds("a", GPU1)), pods(pod("a")))).partitions
    assert (found.key.gpu, found.key.device, found.state) == (GPU1, GPU1, DeviceState.MISSING)


def test_a_whole_gpu_that_was_put_into_mig_mode_under_its_holder_is_reconfigured() -> None:
    held, store = allocations(holds("a", GPU1)), pods(pod("a"))
    (found,) = run(evidence(reading([gpu(1, mig=True)]), held, store)).partitions
    assert found.state is DeviceState.RECONFIGURED


def test_while_the_driver_is_silent_partitions_stay_and_are_in_doubt() -> None:
    held, store = allocations(holds("a", GPU1)), pods(pod("a"))
    snapshot = run(evidence(reading([gpu(1)]), held, store), evidence(DOWN, held, store))
    (found,) = snapshot.partitions
    assert (found.state, found.doubt, found.used_memory_bytes) == (DeviceState.UNKNOWN, Reason.TIMEOUT, DOWN)
    assert [d.use.memory_used_bytes for d in snapshot.devices] == [DOWN]
    assert "unowned_device" not in snapshot.orphans


def test_a_stale_answer_of_the_kubelet_keeps_the_partition_in_doubt() -> None:
    held, store = allocations(holds("a", GPU1)), pods(pod("a"))
    (found,) = run(evidence(reading([gpu(1)]), held, store, stale=True)).partitions
    assert found.doubt is Reason.SOURCE_STALE


def test_a_partition_has_gone_when_two_fresh_answers_say_so() -> None:
    driver, store = reading([gpu(1)]), pods(pod("a"))
    listed = evidence(driver, allocations(holds("a", GPU1), serial=1), store)
    gone = [evidence(driver, allocations(serial=serial), store) for serial in (2, 2, 3)]
    assert len(run(listed, *gone[:1]).partitions) == 1
    assert len(run(listed, *gone[:2]).partitions) == 1, "the same answer twice is one answer"
    assert run(listed, *gone).partitions == ()


def test_a_partition_has_gone_at_once_when_its_pod_was_deleted() -> None:
    driver = reading([gpu(1)])
    listed = evidence(driver, allocations(holds("a", GPU1)), pods(pod("a")))
    deleted = evidence(driver, allocations(holds("a", GPU1)), pods(deleted=["uid-a"]))
    assert run(listed, deleted).partitions == ()


def test_a_pod_of_the_same_name_waits_for_an_answer_asked_after_its_birth() -> None:
    driver = reading([gpu(1)])
    old = evidence(driver, allocations(holds("a-0", GPU1), serial=1), pods(pod("a-0", uid="u1")))
    new_pod = pods(pod("a-0", uid="u2"), deleted=["u1"])
    same = evidence(driver, allocations(holds("a-0", GPU1), serial=1), new_pod)
    fresh = evidence(driver, allocations(holds("a-0", GPU1), serial=2), new_pod)
    assert run(old, same).partitions == ()
    (found,) = run(old, same, fresh).partitions
    assert found.owner.pod_uid == "u2"


def test_without_an_api_server_names_are_known_and_uids_are_not() -> None:
    off = Missing(Reason.NOT_CONFIGURED)
    (found,) = run(evidence(reading([gpu(1)]), allocations(holds("a", GPU1)), off)).partitions
    assert (found.owner.pod, found.owner.pod_uid, found.owner.workload) == ("a", "", "")


def test_an_api_server_that_goes_away_takes_no_owner_with_it() -> None:
    driver, held = reading([gpu(1)]), allocations(holds("a", GPU1))
    (found,) = run(evidence(driver, held, pods(pod("a"))), evidence(driver, held, DOWN)).partitions
    assert found.owner.pod_uid == "uid-a"


@pytest.mark.parametrize("text", ["GPU-not-a-uuid", "all", "", "x" * 1000, "GPU-" + "0" * 40])
def test_an_id_that_no_grammar_knows_is_an_orphan(text: str) -> None:
    instant = evidence(reading([gpu(1)]), allocations(holds("a", text)), pods(pod("a")))
    snapshot = run(instant, instant)
    assert snapshot.partitions == ()
    assert snapshot.orphans["unresolved_device_id"] == 1
    assert parse(text) is not None


SHARED = {f"{GPU1}": use((process(10, 4 * MIB, 0.3), process(11, 2 * MIB, 0.1), process(12, MIB, 0.05)))}


def test_processes_are_charged_to_the_container_their_cgroup_names() -> None:
    held = allocations(holds("a", f"{GPU1}::0"), holds("b", f"{GPU1}::1"))
    who = facts(10, "uid-a", "a-main"), facts(11, "uid-a", "a-main"), facts(12, "uid-b", "b-main")
    a, b = run(evidence(reading([gpu(1)], SHARED), held, pods(pod("a"), pod("b")), *who)).partitions
    assert [a.used_compute, a.used_memory_bytes] == pytest.approx([0.4, 6 * MIB])
    assert [b.used_compute, b.used_memory_bytes] == pytest.approx([0.05, MIB])
    free = 81559 * MIB - 7 * MIB
    assert (a.obtainable_memory_bytes, b.obtainable_memory_bytes) == (6 * MIB + free, MIB + free)


def test_a_process_that_cannot_be_placed_makes_every_sum_of_its_device_unknown() -> None:
    held = allocations(holds("a", f"{GPU1}::0"))
    who = facts(10, "uid-a", "a-main"), facts(11, "uid-a", "a-main")
    snapshot = run(evidence(reading([gpu(1)], SHARED), held, pods(pod("a")), *who))
    assert snapshot.partitions[0].used_compute == Missing(Reason.AMBIGUOUS)


def test_pids_of_another_namespace_are_no_processes() -> None:
    held = allocations(holds("a", f"{GPU1}::0"))
    (found,) = run(evidence(reading([gpu(1)], SHARED), held, pods(pod("a")))).partitions
    assert found.consumers == Missing(Reason.HOST_PID)
    assert found.used_memory_bytes == Missing(Reason.HOST_PID)


@pytest.mark.parametrize(
    ("fact", "relation"),
    [
        (facts(10, "uid-a", "a-main"), Relation.OWNER),
        (facts(10, "uid-a", "0" * 64), Relation.POD),
        (facts(10, "uid-c", "c-main"), Relation.ROGUE),
        (facts(10, "uid-nobody-knows", None), Relation.UNKNOWN),
        (facts(10), Relation.HOST),
        (facts(10, command="nvidia-cuda-mps"), Relation.ALLOWED),
        (facts(10, "uid-c", "c-main", command="Xorg"), Relation.ROGUE),
        (facts(10, "uid-sys", None, command="nv-hostengine"), Relation.ALLOWED),
        (facts(10, "uid-sys", None, command="python"), Relation.ROGUE),
    ],
)
def test_a_process_has_a_relation_to_the_holders(fact: object, relation: Relation) -> None:
    driver = reading([gpu(1)], {GPU1: use((process(10),))})
    store = pods(pod("a"), pod("c"), pod("sys", namespace="kube-system"))
    instant = evidence(driver, allocations(holds("a", GPU1)), store, fact)  # type: ignore[arg-type]
    (found,) = run(instant).consumers[DeviceUuid(gpu_id(1))]  # type: ignore[misc]
    assert found.relation is relation


def test_a_process_of_a_third_container_of_a_pod_with_two_holders_is_nobodys_in_particular() -> None:
    held = allocations(holds("a", f"{GPU1}::0", container="x"), holds("a", f"{GPU1}::1", container="y"))
    driver = reading([gpu(1)], {GPU1: use((process(10),))})
    snapshot = run(evidence(driver, held, pods(pod("a", containers=("x", "y"))), facts(10, "uid-a", "debug")))
    assert [p.consumers for p in snapshot.partitions] == [(), ()]
    (consumer,) = snapshot.consumers[DeviceUuid(gpu_id(1))]  # type: ignore[misc]
    assert (consumer.relation, consumer.holder) == (Relation.POD, None)


def test_memory_that_two_holders_of_one_gpu_instance_share_is_told_by_their_processes() -> None:
    pair = [instance(n, 2, "2g.20gb", ci=n, sms=16.0) for n in (1, 2)]
    both = use((process(10, 3.0), process(11, 5.0)))
    alone = {mig_id(1): use((process(10, 3.0),)), mig_id(2): use((process(11, 5.0),))}
    shared = {uuid_: replace(found, memory_used_bytes=both.memory_used_bytes) for uuid_, found in alone.items()}
    resource = "nvidia.com/mig-2g.20gb"
    held = allocations(holds("a", mig_id(1), resource=resource), holds("b", mig_id(2), resource=resource))
    who = facts(10, "uid-a", "a-main"), facts(11, "uid-b", "b-main")
    found = run(evidence(reading([gpu(1, pair)], shared), held, pods(pod("a"), pod("b")), *who)).partitions
    assert [p.used_memory_bytes for p in found] == [3.0, 5.0]


def test_a_tenant_cannot_put_its_process_on_another_pods_account() -> None:
    # Deepest first: the tenant of pod a made a cgroup named after pod b inside its own.
    forged = ProcessFacts(pid=10, command="x", started=1, pods=(CgroupPod("uid-b", None), CgroupPod("uid-a", "a-main")))
    driver = reading([gpu(1)], {GPU1: use((process(10),))})
    held = allocations(holds("a", f"{GPU1}::0"), holds("b", f"{GPU1}::1"))
    snapshot = run(evidence(driver, held, pods(pod("a"), pod("b")), forged))
    assert {p.key.pod: len(p.consumers) for p in snapshot.partitions} == {"a": 1, "b": 0}  # type: ignore[arg-type]


def test_a_cluster_nested_in_a_pod_is_that_pods() -> None:
    nested = ProcessFacts(
        pid=10, command="x", started=1, pods=(CgroupPod("uid-inner", None), CgroupPod("uid-a", "a-main"))
    )
    driver = reading([gpu(1)], {GPU1: use((process(10),))})
    (found,) = run(evidence(driver, allocations(holds("a", GPU1)), pods(pod("a")), nested)).partitions
    assert len(found.consumers) == 1  # type: ignore[arg-type]


def test_rogue_and_host_processes_are_counted_once_they_last() -> None:
    driver = reading([gpu(1)], {GPU1: use((process(10), process(11)))})
    store = pods(pod("a"), pod("c"))
    who = facts(10, "uid-c", None), facts(11)
    first, second = (evidence(driver, allocations(holds("a", GPU1), serial=n), store, *who) for n in (1, 2))
    assert run(first).orphans["rogue_process"] == 0
    orphans = run(first, second).orphans
    assert (orphans["rogue_process"], orphans["host_process"], orphans["unknown_process"]) == (1, 1, 0)


def test_a_pod_that_has_just_started_is_no_rogue_before_the_kubelet_was_asked_again() -> None:
    driver = reading([gpu(1)], {GPU1: use((process(10), process(11)))})
    store, who = pods(pod("a"), pod("new")), (facts(10, "uid-a", "a-main"), facts(11, "uid-new", "new-main"))
    old = evidence(driver, allocations(holds("a", f"{GPU1}::0"), serial=1), store, *who)
    asked = allocations(holds("a", f"{GPU1}::0"), holds("new", f"{GPU1}::1"), serial=2)
    assert run(old, old, old, old).orphans["rogue_process"] == 0
    assert run(old, old, evidence(driver, asked, store, *who)).orphans["rogue_process"] == 0
    silent = evidence(driver, allocations(holds("a", f"{GPU1}::0"), serial=2), store, *who)
    assert run(old, old, silent).orphans["rogue_process"] == 1


def test_without_labels_the_drivers_mps_clients_tell_mps_from_time_slicing() -> None:
    driver = reading([gpu(1)], {GPU1: use((process(10, kind=ProcessKind.MPS),))})
    (found,) = run(evidence(driver, allocations(holds("a", f"{GPU1}::0")), pods(pod("a")), facts(10))).partitions
    assert found.sharing is Sharing.MPS


def test_use_of_an_instance_is_in_shares_of_its_gpu() -> None:
    driver = reading([gpu(1, [instance(1, 9)])], {mig_id(1): use(sm_active=0.5)})
    held = allocations(holds("a", mig_id(1), resource="nvidia.com/mig-1g.10gb"))
    (found,) = run(evidence(driver, held, pods(pod("a")))).partitions
    assert found.used_compute == pytest.approx(0.5 * 16 / 132)


def test_two_compute_instances_of_one_gpu_instance_show_its_memory_once() -> None:
    lower, higher = instance(1, 2, "2g.20gb", ci=0, sms=16.0), instance(2, 2, "2g.20gb", ci=1, sms=16.0)
    snapshot = run(evidence(reading([gpu(1, [higher, lower])]), allocations(), pods()))
    assert {d.uuid: d.shows_memory for d in snapshot.devices if d.kind == "mig"} == {mig_id(1): True, mig_id(2): False}


def test_the_page_shows_the_memory_of_a_gpu_instance_once() -> None:
    pair = [instance(n, 2, "2g.20gb", ci=n, sms=16.0) for n in (1, 2)]
    result = think(evidence(reading([gpu(1, pair)]), allocations(), pods()))
    own = Own(version="0", python="3", ticks=Distribution((), (0,), 0.0), sources=())
    found = {f.metric.name: f.rows for f in families(result.snapshot, result.verdicts, result.state.ledger, own)}
    assert {key[1] for key, _ in found["gpu_device_memory_used_bytes"]} == {gpu_id(1), mig_id(1)}
    assert {key[1] for key, _ in found["gpu_device_sm_count"]} == {gpu_id(1), mig_id(1), mig_id(2)}

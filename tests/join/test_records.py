"""What schedulers' records do to the join: what they may give, what they may not, and what a tenant cannot do with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.ids import GpuId, MigId
from exporter.model import (
    DeviceUuid,
    Missing,
    Partition,
    Reason,
    Relation,
)
from exporter.partitions import Evidence
from exporter.pipeline import Result
from exporter.records import Grant, Limit, Role, Sharing
from exporter.verdict import Cause, Guarantee, Outcome
from tests.drift.worlds import fractions, hooked, part, set_as_promised, twice
from tests.join.worlds import (
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
)

GPU1, GPU2 = gpu_id(1), gpu_id(2)
GIB = 1 << 30


def by_pod(result: Result) -> dict[str, Partition]:
    return {partition.key.pod: partition for partition in result.snapshot.partitions}


def outcome(result: Result, pod_name: str, guarantee: Guarantee) -> Outcome:
    return result.verdicts[by_pod(result)[pod_name].key][guarantee].outcome


# --- HAMi -------------------------------------------------------------------------------------------------------------


def test_an_annotation_without_an_id_of_the_kubelets_gives_nothing() -> None:
    store = pods(pod("thief", grants=(part(100, 40),)), pod("a"))
    assert run(evidence(reading([gpu(1)]), allocations(holds("a", GPU1)), store)).partitions[0].key.pod == "a"


def test_an_annotation_gives_no_more_devices_than_the_kubelet_has_ids() -> None:
    grants = (part(30, 10), replace(part(30, 10), device=GpuId(GPU2)))
    held = allocations(holds("a", f"{GPU1}-0"))
    (partition,) = run(evidence(reading([gpu(1), gpu(2)]), held, pods(pod("a", grants=grants)))).partitions
    assert partition.key.device == GPU1


def test_an_id_without_an_annotation_stays_a_guess() -> None:
    snapshot = run(*twice(evidence(reading([gpu(1)]), allocations(holds("a", f"{GPU1}-0")), pods(pod("a")))))
    assert snapshot.partitions == ()
    assert snapshot.orphans["unresolved_device_id"] == 1


def test_what_a_tenant_writes_later_changes_nothing() -> None:
    before = hooked(("a", part(30, 10)), ("b", part(30, 10)))
    greedy = replace(part(100, 70), device=GpuId(GPU2))
    after = hooked(("a", greedy), ("b", part(30, 10)))
    result = think(*before, *(replace(each, at=each.at + 2) for each in after))
    promised = by_pod(result)["a"].promise
    assert by_pod(result)["a"].key.device == GPU1
    assert promised.compute is not None
    assert promised.compute.amount == 0.3
    assert outcome(result, "b", Guarantee.CONFORMANCE) is not Outcome.BROKEN


def test_a_new_pod_of_the_same_name_has_its_own_record() -> None:
    before, after = hooked(("a", part(30, 10))), hooked(("a", part(60, 20)))
    store = after[0].pods
    assert not isinstance(store, Missing)
    reborn = replace(store, items=tuple(replace(each, uid="uid-new") for each in store.items))
    later = [
        replace(after[0], at=at, pods=reborn, allocations=replace(held, serial=int(at) + 2))
        for at in (2.0, 3.0, 4.0)
        if not isinstance(held := after[0].allocations, Missing)
    ]
    promised = by_pod(think(*before, *later))["a"].promise.compute
    assert promised is not None
    assert promised.amount == 0.6


def test_the_hooks_limits_are_compared_and_never_become_the_promise() -> None:
    for limit, broken in (
        (set_as_promised(30, 10), False),
        (set_as_promised(30, 5), True),
        (set_as_promised(90, 10), True),
    ):
        result = think(*hooked(("a", part(30, 10)), limits={"a": limit}))
        promise = by_pod(result)["a"].promise
        assert promise.memory is not None
        assert promise.memory.amount == 10 * GIB
        assert (outcome(result, "a", Guarantee.CONFORMANCE) is Outcome.BROKEN) is broken


def test_all_of_the_cores_need_no_limit() -> None:
    """The hook takes 100 % for no limit (HAMi-core multiprocess_memory_limit.c), and so it is read."""
    for cores, kept in ((100, True), (99, False)):
        result = think(*hooked(("a", part(cores, 10)), limits={"a": Limit(None, float(10 * GIB))}))
        assert (outcome(result, "a", Guarantee.CONFORMANCE) is Outcome.KEPT) is kept


@pytest.mark.parametrize("reason", [Reason.CONTRADICTION, Reason.NOT_YET, Reason.PERMISSION])
def test_a_limit_that_cannot_be_read_is_blind_for_its_reason(reason: Reason) -> None:
    result = think(*hooked(("a", part(30, 10)), limits={"a": Missing(reason)}))
    answer = result.verdicts[by_pod(result)["a"].key][Guarantee.CONFORMANCE]
    assert (answer.outcome, answer.reason) == (Outcome.BLIND, reason)


def test_a_record_that_cannot_be_read_promises_what_nobody_can_tell() -> None:
    illegible = Grant(sharing=Sharing.HAMI, container="main", device=GpuId(GPU1), legible=False)
    result = think(*hooked(("a", illegible)))
    assert {outcome(result, "a", g) for g in (Guarantee.COMPUTE, Guarantee.MEMORY, Guarantee.CONFORMANCE)} == {
        Outcome.BLIND
    }


def test_more_memory_than_was_given_is_the_neighbours_isolation() -> None:
    listed = (process(10, memory=30 * GIB), process(11, memory=2 * GIB))
    instants = [
        replace(
            each,
            driver=reading([gpu(1)], {GPU1: use(listed)}),
            processes={10: facts(10, "uid-a", "a-main"), 11: facts(11, "uid-b", "b-main")},
        )
        for each in hooked(("a", part(30, 10)), ("b", part(30, 10)))
    ]
    result = think(*instants)
    assert result.verdicts[by_pod(result)["b"].key][Guarantee.ISOLATION].loss == {Cause.NEIGHBOUR_OVERRUN: 1.0}
    assert outcome(result, "a", Guarantee.ISOLATION) is Outcome.KEPT


def test_an_instance_that_hami_made_is_a_mig_instance() -> None:
    grant = Grant(sharing=Sharing.MIG, container="main", device=MigId(mig_id(1)), profile="1g.10gb")
    driver = reading([gpu(1, [instance(1, 1, "1g.10gb")])])
    result = think(*twice(evidence(driver, allocations(holds("a", f"{GPU1}-0")), pods(pod("a", grants=(grant,))))))
    partition = by_pod(result)["a"]
    assert (partition.sharing, partition.promised_profile) == (Sharing.MIG, "1g.10gb")
    assert partition.promise.compute is not None
    assert (partition.promise.compute.enforcer, partition.promise.compute.source) == ("hardware", "annotation")


def test_more_on_record_than_there_is_breaks_nobodys_conformance() -> None:
    """A record is the pod's own text: what one tenant writes must not break a neighbour's promise."""
    limits: dict[str, Limit | Missing] = {"a": set_as_promised(30, 10), "b": set_as_promised(100, 70)}
    result = think(*hooked(("a", part(30, 10)), ("b", part(100, 70)), limits=limits))
    assert outcome(result, "a", Guarantee.CONFORMANCE) is Outcome.KEPT
    assert [drift.name for drift in result.drifts] == ["oversubscribed"]


def written(name: str, grant: Grant, slot: str = f"{GPU2}-0", *, also: str = "") -> list[Evidence]:
    """Pod a holds GPU 1 whole, or the instance `also` by its own record; `name` has a slot of GPU 2 and this record."""
    mine = Grant(sharing=Sharing.MIG, container="main", device=MigId(also), profile="1g.10gb")
    held = holds("a", f"{GPU2}-1") if also else holds("a", GPU1)
    offered = (f"{GPU2}-0", f"{GPU2}-1", GPU1)
    driver = reading([gpu(1), gpu(2, [instance(1, 1, "1g.10gb")] if also else ())])
    store = pods(pod("a", grants=(mine,) if also else ()), pod(name, grants=(grant,)))
    return twice(evidence(driver, allocations(held, holds(name, slot), allocatable=offered), store))


def test_a_record_gives_no_device_that_its_plugin_does_not_give_out() -> None:
    result = think(*written("thief", part(100, 70)))
    assert set(by_pod(result)) == {"a"}
    assert outcome(result, "a", Guarantee.CONFORMANCE) is Outcome.KEPT
    assert result.snapshot.orphans["unresolved_device_id"] == 1


def test_a_record_takes_no_instance_from_who_has_it_already() -> None:
    """Nobody else can tell whose it is when two records name one instance; who came first keeps it."""
    grant = Grant(sharing=Sharing.MIG, container="main", device=MigId(mig_id(1)), profile="1g.10gb")
    instants = written("thief", grant, also=mig_id(1))
    alone = []
    for each in instants:
        held = each.allocations
        assert not isinstance(held, Missing)
        alone.append(replace(each, allocations=replace(held, items=tuple(i for i in held.items if i.pod == "a"))))
    later = [replace(each, at=each.at + 2) for each in instants]
    assert set(by_pod(think(*alone, *later))) == {"a"}
    assert by_pod(think(*instants)) == {}  # both at once: neither's


def test_a_record_takes_no_instance_from_whom_the_kubelet_gave_it_to() -> None:
    grant = Grant(sharing=Sharing.MIG, container="main", device=MigId(mig_id(1)), profile="1g.10gb")
    driver = reading([gpu(2, [instance(1, 1, "1g.10gb")])])
    held = allocations(holds("a", mig_id(1), resource="nvidia.com/mig-1g.10gb"), holds("thief", f"{GPU2}-0"))
    result = think(*twice(evidence(driver, held, pods(pod("a"), pod("thief", grants=(grant,))))))
    assert set(by_pod(result)) == {"a"}
    assert result.snapshot.orphans["conflict"] == 1


@pytest.mark.parametrize("record", [(), (replace(part(30, 10), device=GpuId(GPU2)),)], ids=["none", "another's"])
def test_no_tenant_makes_itself_a_stranger_by_what_it_writes(record: tuple[Grant, ...]) -> None:
    """The kubelet says that b has a part of GPU 1; what b's record says of it is b's own text."""
    held = allocations(holds("a", f"{GPU1}-0"), holds("b", f"{GPU1}-1"))
    store = pods(pod("a", grants=(part(30, 10),)), pod("b", grants=record))
    driver = reading([gpu(1), gpu(2)], {GPU1: use((process(11, memory=float(GIB)),))})
    instants = twice(evidence(driver, held, store, facts(11, "uid-b", "b-main")))
    assert outcome(think(*instants), "a", Guarantee.ISOLATION) is Outcome.KEPT


# --- KAI --------------------------------------------------------------------------------------------------------------


def test_a_fraction_without_its_reservation_is_not_placed() -> None:
    instants = [
        replace(each, allocations=replace(held, items=()))
        for each in fractions(0.5)
        if not isinstance(held := each.allocations, Missing)
    ]
    snapshot = run(*instants)
    assert snapshot.partitions == ()
    assert snapshot.orphans["unresolved_device_id"] == 1


def test_the_reservation_owns_nothing_and_its_groups_processes_are_nobodys_rogues() -> None:
    listed = (process(10, memory=GIB), process(11, memory=GIB))
    table = {10: facts(10, "uid-w0", "w0-main"), 11: facts(11, "uid-w1", "w1-main")}
    instants = [
        replace(each, driver=reading([gpu(1)], {GPU1: use(listed)}), processes=table) for each in fractions(0.5, 0.3)
    ]
    result = think(*instants)
    hold = by_pod(result)["hold"]
    assert (hold.owner.role, hold.promise.compute, hold.promise.memory) == (Role.RESERVATION, None, None)
    assert outcome(result, "hold", Guarantee.ISOLATION) is Outcome.IDLE
    consumers = result.snapshot.consumers[DeviceUuid(GPU1)]
    assert not isinstance(consumers, Missing)
    assert {consumer.relation for consumer in consumers} == {Relation.OWNER}
    assert outcome(result, "w0", Guarantee.ISOLATION) is Outcome.KEPT


def test_what_one_tenant_writes_on_its_pod_breaks_no_neighbours_conformance() -> None:
    alone, crowded = think(*fractions(0.5)), think(*fractions(0.5, 1.0, 1.0))
    guarantees = (Guarantee.AVAILABILITY, Guarantee.CONFORMANCE, Guarantee.MEMORY, Guarantee.ISOLATION)
    assert {outcome(crowded, "w0", g) for g in guarantees} == {outcome(alone, "w0", g) for g in guarantees}

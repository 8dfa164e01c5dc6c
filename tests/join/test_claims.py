"""Claims in the join: joint promises, requests, administrators, and instances without a published UUID."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from exporter.catalogue import ACCOUNT_STATES
from exporter.ids import ClaimId, GpuId
from exporter.model import (
    Allocation,
    Allocations,
    GpuUuid,
    Missing,
    Partition,
    Placement,
    Pods,
    Promised,
    Reason,
)
from exporter.partitions import Evidence
from exporter.pipeline import Result
from exporter.records import Claim, ClaimResult, Claims, ClaimUse, Limit, Prepared, Published, Role, Sharing
from exporter.verdict import Guarantee, Outcome
from tests.drift.worlds import claimed, twice
from tests.join.worlds import (
    MIB,
    evidence,
    facts,
    gpu,
    gpu_id,
    instance,
    mig_id,
    pod,
    process,
    reading,
    run,
    think,
    use,
)
from tests.scenarios.stage import played

GPU1, GPU2 = gpu_id(1), gpu_id(2)
GIB = 1 << 30


def by_pod(result: Result) -> dict[str, Partition]:
    return {partition.key.pod: partition for partition in result.snapshot.partitions}


def outcome(result: Result, pod_name: str, guarantee: Guarantee) -> Outcome:
    return result.verdicts[by_pod(result)[pod_name].key][guarantee].outcome


# --- claims -----------------------------------------------------------------------------------------------------------


def claim_id(name: str, claim: str = "c") -> ClaimId:
    return ClaimId("team", claim, "gpu.nvidia.com", "n1", name)


def result_of(name: str, request: str = "gpu", **more: Any) -> ClaimResult:
    return ClaimResult(request=request, driver="gpu.nvidia.com", pool="n1", device=name, **more)


def claim(*results: ClaimResult, name: str = "c") -> Claim:
    return Claim(uid=f"uid-of-{name}", namespace="team", name=name, results=results)


def published(**uuids: str) -> tuple[Published, ...]:
    return tuple(
        Published(driver="gpu.nvidia.com", pool="n1", name=name.replace("_", "-"), uuid=uuid)
        for name, uuid in uuids.items()
    )


def by_claims(
    held: Mapping[tuple[str, str], tuple[ClaimId, ...]],
    claims: Claims | Missing,
    driver: Any = None,
    **more: Any,
) -> list[Evidence]:
    """Containers (pod, container) that hold devices of claims."""
    items = tuple(
        Allocation("team", name, container, "gpu.nvidia.com", device)
        for (name, container), devices in held.items()
        for device in devices
    )
    answer = Allocations(serial=1, items=items, allocatable=Missing(Reason.UNSUPPORTED))
    names = {name: tuple(c for n, c in held if n == name) for name, _ in held}
    store = Pods(
        items=tuple(pod(name, containers=containers, **more) for name, containers in names.items()), claims=claims
    )
    return twice(evidence(reading([gpu(1), gpu(2)]) if driver is None else driver, answer, store))


def test_containers_of_one_claim_have_one_promise_together() -> None:
    known = Claims(items=(claim(result_of("gpu-1")),), published=published(gpu_1=GPU1))
    held = {("a", "main"): (claim_id("gpu-1"),), ("b", "main"): (claim_id("gpu-1"),)}
    listed = (process(10, memory=70 * GIB, sm=0.6), process(11, memory=8 * GIB, sm=0.3))
    driver = reading([gpu(1), gpu(2)], {GPU1: use(listed, sm_active=0.9)})
    table = {10: facts(10, "uid-a", "a-main"), 11: facts(11, "uid-b", "b-main")}
    instants = [replace(each, processes=table) for each in by_claims(held, known, driver)]
    result = think(*instants)
    assert result.snapshot.orphans["conflict"] == 0
    for name, used in (("a", 70 * GIB), ("b", 8 * GIB)):
        partition = by_pod(result)[name]
        assert (partition.joint, partition.used_memory_bytes) == (2, used)
        # Nobody is blamed for what the claim's other container uses: it is theirs together.
        assert outcome(result, name, Guarantee.MEMORY) is Outcome.KEPT
        assert outcome(result, name, Guarantee.ISOLATION) is Outcome.KEPT
    assert [by_pod(result)[name].used_compute for name in "ab"] == [0.6, 0.3]
    split = result.state.ledger.gpus[GpuUuid(GPU1)].states
    assert (split.delivered, split.borrowed, split.unsold) == (900_000_000, 0, 0)


def test_a_container_has_the_requests_that_it_uses_and_no_others() -> None:
    known = Claims(
        items=(claim(result_of("gpu-1", "one"), result_of("gpu-2", "two")),),
        published=published(gpu_1=GPU1, gpu_2=GPU2),
    )
    both = (claim_id("gpu-1"), claim_id("gpu-2"))  # the kubelet filters by claim and not by request
    uses = (ClaimUse("main", "c", "one"), ClaimUse("side", "c", "two"))
    snapshot = run(*by_claims({("a", "main"): both, ("a", "side"): both}, known, claim_uses=uses))
    assert {(p.key.container, p.key.device) for p in snapshot.partitions} == {("main", GPU1), ("side", GPU2)}


def test_an_administrators_access_takes_nothing_and_is_no_rogue() -> None:
    known = Claims(
        items=(claim(result_of("gpu-1")), claim(result_of("gpu-1", admin=True), name="probe")),
        published=published(gpu_1=GPU1),
    )
    held = {("a", "main"): (claim_id("gpu-1"),), ("probe", "main"): (claim_id("gpu-1", "probe"),)}
    driver = reading([gpu(1), gpu(2)], {GPU1: use((process(10, memory=100 * MIB),), sm_active=0.9)})
    table = {10: facts(10, "uid-probe", "probe-main")}
    result = think(*(replace(each, processes=table) for each in by_claims(held, known, driver)))
    probe = by_pod(result)["probe"]
    assert (probe.owner.role, probe.promise.compute) == (Role.ADMIN, None)
    assert probe.used_memory_bytes == 100 * MIB
    # What the probe holds is not the owner's to get.
    assert by_pod(result)["a"].obtainable_memory_bytes == 81459 * MIB
    assert probe.used_compute == Missing(Reason.UNSUPPORTED)
    assert outcome(result, "a", Guarantee.ISOLATION) is Outcome.KEPT
    assert outcome(result, "a", Guarantee.CONFORMANCE) is Outcome.KEPT
    assert result.snapshot.orphans["conflict"] == 0


DYNAMIC = "gpu-1-mig-1g10gb-19-4"


def placed(number: int, gi: int, start: int, profile: str = "1g.10gb", profile_id: int = 19) -> Any:
    return replace(instance(number, gi, profile), placement=Placement(profile_id, start))


def dynamic(*instances: Any, prepared: tuple[Prepared, ...] = ()) -> list[Evidence]:
    known = Claims(items=(claim(result_of(DYNAMIC)),), published=published(**{DYNAMIC.replace("-", "_"): ""}))
    held = {("a", "main"): (claim_id(DYNAMIC),)}
    return [replace(each, prepared=prepared) for each in by_claims(held, known, reading([gpu(1, instances), gpu(2)]))]


def test_an_instance_without_a_published_uuid_is_found_by_where_it_lies() -> None:
    (partition,) = run(*dynamic(placed(1, 7, 0), placed(2, 9, 4))).partitions
    assert (partition.key.device, partition.sharing, partition.mode) == (mig_id(2), Sharing.DRA, Sharing.MIG)


@pytest.mark.parametrize(
    "instances",
    [
        (placed(1, 7, 0),),
        (placed(1, 7, 4, "2g.20gb", 14),),
        (instance(1, 7),),  # the driver does not tell where it lies
        (placed(1, 7, 4), replace(placed(2, 7, 4), compute_instance=1)),
    ],
    ids=["nothing there", "another profile there", "untold", "two compute instances"],
)
def test_what_lies_elsewhere_is_not_taken_for_it(instances: tuple[Any, ...]) -> None:
    snapshot = run(*dynamic(*instances))
    assert snapshot.partitions == ()
    assert snapshot.orphans["unresolved_device_id"] == 1


def test_an_instance_that_is_made_again_in_the_same_place_is_another_one() -> None:
    before, after = dynamic(placed(1, 7, 4)), dynamic(placed(5, 7, 4))
    (partition,) = run(*before, *(replace(each, at=each.at + 2) for each in after)).partitions
    assert (partition.key.device, partition.state) == (mig_id(1), "reconfigured")


def test_the_drivers_own_checkpoint_comes_first_where_it_is_ready() -> None:
    checkpoint = Prepared(claim="uid-of-c", driver="gpu.nvidia.com", pool="n1", device=DYNAMIC, uuid=mig_id(3))
    instances = (placed(2, 9, 4), placed(3, 8, 2))
    (partition,) = run(*dynamic(*instances, prepared=(checkpoint,))).partitions
    assert partition.key.device == mig_id(3)
    (partition,) = run(*dynamic(*instances, prepared=(replace(checkpoint, ready=False),))).partitions
    assert partition.key.device == mig_id(2)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (Missing(Reason.PERMISSION), Reason.PERMISSION),
        (Claims(), Reason.NOT_YET),
        (Missing(Reason.NOT_YET), Reason.NOT_YET),
    ],
)
def test_a_claim_that_cannot_be_read_is_held_and_its_promise_is_not_known(claims: Any, reason: Reason) -> None:
    result = think(*by_claims({("a", "main"): (claim_id("gpu-1"),)}, claims))
    partition = by_pod(result)["a"]
    assert partition.key.device == GPU1
    for guarantee in (Guarantee.CONFORMANCE, Guarantee.MEMORY):
        answer = result.verdicts[partition.key][guarantee]
        assert (answer.outcome, answer.reason) == (Outcome.BLIND, reason)


def test_a_plugin_and_a_claim_that_both_give_out_a_device_are_a_conflict() -> None:
    known = Claims(items=(claim(result_of("gpu-1")),), published=published(gpu_1=GPU1))
    instants = []
    for each in by_claims({("a", "main"): (claim_id("gpu-1"),), ("b", "main"): ()}, known):
        held = each.allocations
        assert not isinstance(held, Missing)
        plugin = Allocation("team", "b", "main", "nvidia.com/gpu", GpuId(GPU1))
        instants.append(replace(each, allocations=replace(held, items=(*held.items, plugin))))
    snapshot = run(*instants)
    assert snapshot.partitions == ()
    assert snapshot.orphans["conflict"] == 1


def test_a_share_of_consumed_capacity_is_arithmetic_that_nobody_keeps() -> None:
    share = result_of("gpu-1", share="s1", capacity={"memory": 10.0 * GIB})
    known = Claims(items=(claim(share),), published=published(gpu_1=GPU1))
    device = replace(claim_id("gpu-1"), share="s1")
    partition = by_pod(think(*by_claims({("a", "main"): (device,)}, known)))["a"]
    assert partition.promise.compute is None
    assert partition.promise.memory is not None
    assert (partition.promise.memory.amount, partition.promise.memory.enforcer) == (10.0 * GIB, "nobody")


def test_a_claims_mps_limits_hold_for_each_container_and_are_the_claims() -> None:
    mps = result_of("gpu-1", strategy="MPS", threads=0.4, pinned={"": 8.0 * GIB, str(GPU1): 5.0 * GIB})
    known = Claims(items=(claim(mps),), published=published(gpu_1=GPU1))
    result = think(*by_claims({("a", "main"): (claim_id("gpu-1"),)}, known))
    promise = by_pod(result)["a"].promise
    assert promise.compute is not None
    assert promise.memory is not None
    assert (promise.compute.amount, promise.compute.klass, promise.compute.source) == (0.4, "hard_cap", "claim")
    assert promise.memory.amount == 5.0 * GIB
    assert outcome(result, "a", Guarantee.CONFORMANCE) is Outcome.BLIND  # nobody has asked the claim's own daemon
    for limit, answer in (
        (Limit(0.4, 5.0 * GIB), Outcome.KEPT),
        (Limit(0.4, None), Outcome.BROKEN),
        (Limit(None, 5.0 * GIB), Outcome.BROKEN),
        (Missing(Reason.TIMEOUT), Outcome.BLIND),
    ):
        told = {("uid-of-c", str(GPU1)): limit}
        instants = [replace(e, daemons=told) for e in by_claims({("a", "main"): (claim_id("gpu-1"),)}, known)]
        assert outcome(think(*instants), "a", Guarantee.CONFORMANCE) is answer


def test_a_claim_of_a_gpu_is_judged_like_the_gpu() -> None:
    driver = reading([gpu(1), gpu(2)], {GPU1: use((), sm_active=0.8)})
    instants = [replace(each, driver=driver) for each in claimed()]
    result = think(*instants)
    assert outcome(result, "a", Guarantee.COMPUTE) is Outcome.KEPT
    assert by_pod(result)["a"].used_compute == 0.8


def test_a_device_that_a_claim_has_twice_is_what_the_containers_own_request_makes_it() -> None:
    twice_ = claim(result_of("gpu-1", "watch", admin=True), result_of("gpu-1", "work"))
    known = Claims(items=(twice_,), published=published(gpu_1=GPU1))
    held = {("a", "main"): (claim_id("gpu-1"),), ("a", "probe"): (claim_id("gpu-1"),)}
    uses = (ClaimUse("main", "c", "work"), ClaimUse("probe", "c", "watch"))
    partitions = run(*by_claims(held, known, claim_uses=uses)).partitions
    assert {p.key.container: p.owner.role for p in partitions} == {"main": Role.WORKLOAD, "probe": Role.ADMIN}


def test_a_joint_promise_counts_once_in_what_was_promised_and_in_where_the_time_went() -> None:
    """The gauge says what each container may use; the counters add up to what the claim was given."""
    result = played("dra-claims", 40).result
    joint = [p for p in result.snapshot.partitions if p.joint > 1]
    assert len(joint) == 2
    assert [_amount(p.promise.compute) for p in joint] == [1.0, 1.0]
    accounts = [result.state.ledger.accounts[p.key] for p in joint]
    assert sum(account.promised for account in accounts) / 1e9 == pytest.approx(40.0)
    assert accounts[0].promised == accounts[1].promised
    (gpu_uuid,) = {p.key.gpu for p in joint}
    states = result.state.ledger.gpus[GpuUuid(gpu_uuid)].states
    spent = {name: getattr(states, name) / 1e9 for name in ACCOUNT_STATES}
    assert sum(spent.values()) == pytest.approx(40.0)
    # All of the GPU is promised, so that nothing is left unsold, and nobody can borrow from himself.
    assert (spent["unsold"], spent["borrowed"]) == (0, 0)
    assert spent["delivered"] + spent["idle_held"] + spent["blind"] == pytest.approx(40.0)


def _amount(promised: Promised | None) -> float:
    assert promised is not None
    assert not isinstance(promised.amount, Missing)
    return promised.amount

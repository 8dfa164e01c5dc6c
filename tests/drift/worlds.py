"""Nodes on which what is held, promised, enforced and attached have come apart, one function a kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporter.ids import ClaimId, GpuId
from exporter.model import Allocation, Allocations, Missing, Reason
from exporter.partitions import Evidence
from exporter.records import Claim, ClaimResult, Claims, Grant, Limit, Prepared, Published, Role, Sharing
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
    use,
)

GPU1, MIG1 = gpu_id(1), mig_id(1)
CLAIM_UID = "50454f31-af31-7681-3e02-ea68ef786e4d"
POD_UID = "bc0dbc0e-1563-7ebb-8e3b-91d26ab4a829"
TOTAL = 81559 * MIB


def twice(instant: Evidence) -> list[Evidence]:
    """Held for two joins, the second on a fresh answer of the kubelet."""
    held = instant.allocations
    fresh = held if isinstance(held, Missing) else replace(held, serial=held.serial + 1)
    return [instant, replace(instant, at=instant.at + 1, allocations=fresh)]


def whole(*processes: Any, labels: dict[str, str] | None = None, **more: Any) -> Evidence:
    """A whole GPU held by pod a, with these processes (pid, facts) on it."""
    listed = tuple(process(each.pid, memory=1000.0 * MIB) for each in processes)
    driver = reading([gpu(1)], {GPU1: use(listed)})
    store = pods(pod("a"), pod("b"), labels=labels)
    return evidence(driver, allocations(holds("a", GPU1)), store, *processes, **more)


def mig(profile: str, promised: str, *, allocatable: tuple[str, ...] = ()) -> Evidence:
    held = allocations(holds("a", MIG1, resource=f"nvidia.com/mig-{promised}"), allocatable=allocatable)
    return evidence(reading([gpu(1, [instance(1, 1, profile)])]), held, pods(pod("a")))


def reshaped() -> list[Evidence]:
    before = mig("1g.10gb", "1g.10gb")
    after = replace(before, driver=reading([gpu(1, [instance(2, 1, "2g.20gb")])]))
    return [before, *twice(after)]


def pending() -> list[Evidence]:
    return [evidence(reading([replace(gpu(1), mig_pending=True)]), allocations(holds("a", GPU1)), pods(pod("a")))]


def stale(offered: tuple[str, ...]) -> list[Evidence]:
    held = allocations(holds("a", GPU1), allocatable=offered)
    return twice(evidence(reading([gpu(1), gpu(2)]), held, pods(pod("a"))))


def claimed(uuid: str = GPU1, **prepared: Any) -> list[Evidence]:
    """A whole GPU by a claim; the API server knows the claim, the checkpoint says this."""
    device = ClaimId("team", "claim-a", "gpu.nvidia.com", "n1", "gpu-1")
    result = ClaimResult(request="gpu", driver="gpu.nvidia.com", pool="n1", device="gpu-1")
    known = Claims(
        items=(Claim(uid=CLAIM_UID, namespace="team", name="claim-a", results=(result,)),),
        published=(Published(driver="gpu.nvidia.com", pool="n1", name="gpu-1", uuid=GPU1),),
    )
    held = Allocations(
        serial=1,
        items=(Allocation("team", "a", "main", "gpu.nvidia.com", device),),
        allocatable=Missing(Reason.UNSUPPORTED),
    )
    store = replace(pods(pod("a")), claims=known)
    instant = evidence(reading([gpu(1), gpu(2)]), held, store)
    checkpoint = Prepared(claim=CLAIM_UID, driver="gpu.nvidia.com", pool="n1", device="gpu-1", uuid=uuid, **prepared)
    return twice(replace(instant, prepared=(checkpoint,)))


def unallocated() -> list[Evidence]:
    """The kubelet hands out a device that the claim was not allocated."""
    instants = claimed()
    other = ClaimId("team", "claim-a", "gpu.nvidia.com", "n1", "gpu-2")
    moved = []
    for instant in instants:
        held = instant.allocations
        assert not isinstance(held, Missing)
        moved.append(replace(instant, allocations=replace(held, items=(replace(held.items[0], device=other),))))
    return moved


def hooked(
    *grants: tuple[str, Grant], limits: dict[str, Limit | Missing] | None = None, slot: str = GPU1
) -> list[Evidence]:
    """Containers of pods that HAMi gave parts of GPU 1; `limits` are what their hooks have set."""
    held = allocations(*(holds(name, f"{slot}-{number}") for number, (name, _) in enumerate(grants)))
    store = pods(*(pod(name, uid=f"uid-{name}", grants=(grant,)) for name, grant in grants))
    set_ = {(f"uid-{name}", "main", str(GPU1)): limit for name, limit in (limits or {}).items()}
    return twice(replace(evidence(reading([gpu(1), gpu(2)]), held, store), hooks=set_))


def part(cores: int, gibibytes: int, **more: Any) -> Grant:
    return Grant(
        sharing=Sharing.HAMI,
        container="main",
        device=GpuId(GPU1),
        compute=cores / 100,
        memory_bytes=float(gibibytes << 30),
        **more,
    )


def set_as_promised(cores: int, gibibytes: int) -> Limit:
    return Limit(cores / 100, float(gibibytes << 30))


def fractions(*shares: float) -> list[Evidence]:
    """Pods in one KAI group with these fractions."""
    reserving = Grant(sharing=Sharing.KAI, container="main", group="g", role=Role.RESERVATION)
    parts = [
        pod(
            f"w{number}",
            grants=(Grant(sharing=Sharing.KAI, container="main", resource="gpu-fraction", group="g", compute=share),),
        )
        for number, share in enumerate(shares)
    ]
    store = pods(pod("hold", grants=(reserving,)), *parts)
    return twice(evidence(reading([gpu(1)]), allocations(holds("hold", GPU1)), store))


def slots(count: int, offered: int) -> list[Evidence]:
    held = allocations(
        *(holds(f"p{number}", f"{GPU1}::{number}") for number in range(count)),
        allocatable=tuple(f"{GPU1}::{number}" for number in range(offered)),
    )
    return [evidence(reading([gpu(1)]), held, pods(*(pod(f"p{number}") for number in range(count))))]


def mps(*, daemon: Limit | Missing | None, exclusive: bool = True) -> list[Evidence]:
    """Two of four MPS slots; `daemon` is what its control daemon says."""
    labels = {"nvidia.com/gpu.sharing-strategy": "mps", "nvidia.com/gpu.replicas": "4"}
    held = allocations(holds("a", f"{GPU1}::0"), holds("b", f"{GPU1}::1"))
    driver = reading([replace(gpu(1), exclusive_process=exclusive)])
    instant = evidence(driver, held, pods(pod("a"), pod("b"), labels=labels))
    said = {} if daemon is None else {("nvidia.com/gpu", "1"): daemon}
    return [replace(instant, daemons=said)]


def mps_claim(*threads: float) -> list[Evidence]:
    """Containers of one claim with MPS, each with these default threads."""
    device = ClaimId("team", "claim-a", "gpu.nvidia.com", "n1", "gpu-1")
    result = ClaimResult(
        request="gpu", driver="gpu.nvidia.com", pool="n1", device="gpu-1", strategy="MPS", threads=threads[0]
    )
    known = Claims(items=(Claim(uid=CLAIM_UID, namespace="team", name="claim-a", results=(result,)),))
    items = tuple(Allocation("team", f"p{n}", "main", "gpu.nvidia.com", device) for n in range(len(threads)))
    held = Allocations(serial=1, items=items, allocatable=Missing(Reason.UNSUPPORTED))
    store = replace(pods(*(pod(f"p{n}") for n in range(len(threads)))), claims=known)
    return twice(evidence(reading([gpu(1)]), held, store))


def rogue() -> list[Evidence]:
    return twice(whole(facts(10, "uid-a", "a-main"), facts(11, "uid-b", "b-main")))


def host() -> list[Evidence]:
    return twice(whole(facts(10, "uid-a", "a-main"), facts(11)))


def idle() -> list[Evidence]:
    return [replace(whole(), at=float(at)) for at in (0, 300, 601)]


def ended() -> list[Evidence]:
    held = allocations(holds("done", GPU1), holds("a", GPU1))
    return twice(evidence(reading([gpu(1)]), held, pods(pod("done", phase="Succeeded"), pod("a"))))


def init_container() -> list[Evidence]:
    store = pods(pod("a", containers=("main", "warm")))
    listed = (process(10, memory=500.0 * MIB),)
    driver = reading([gpu(1)], {GPU1: use(listed)})
    return [evidence(driver, allocations(holds("a", GPU1)), store, facts(10, "uid-a", "a-warm"))]


def lost() -> list[Evidence]:
    return [evidence(reading([gpu(1, lost=True)]), allocations(holds("a", GPU1)), pods(pod("a")))]

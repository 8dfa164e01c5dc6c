"""Worlds for the join's tests: readings, answers and pods, built by hand or drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exporter.ids import parse
from exporter.join import Memory, join
from exporter.ledger import Limits
from exporter.model import (
    Allocation,
    Allocations,
    CgroupPod,
    DeviceUse,
    DeviceUuid,
    DriverReading,
    Gpu,
    GpuUse,
    GpuUuid,
    Inventory,
    MigInstance,
    Missing,
    Pod,
    Pods,
    Process,
    ProcessFacts,
    ProcessKind,
    Profile,
    Reading,
    Reason,
    Snapshot,
)
from exporter.partitions import Evidence
from exporter.pipeline import Result, State, step
from exporter.policy import Policy

MIB = 1024 * 1024
NONE = Missing(Reason.UNSUPPORTED)
POLICY = Policy()


def uuid(kind: str, number: int) -> str:
    """A UUID that shows its number."""
    return f"{kind}-00000000-0000-0000-0000-{number:012x}"


def gpu_id(number: int) -> GpuUuid:
    return GpuUuid(uuid("GPU", number))


def mig_id(number: int) -> DeviceUuid:
    return DeviceUuid(uuid("MIG", number))


H100_PROFILES = (
    Profile(name="1g.10gb", profile_id=19, slices=1, sm_count=16, memory_bytes=9984 * MIB),
    Profile(name="2g.20gb", profile_id=14, slices=2, sm_count=32, memory_bytes=20096 * MIB),
    Profile(name="3g.40gb", profile_id=9, slices=3, sm_count=60, memory_bytes=40448 * MIB),
    Profile(name="7g.80gb", profile_id=0, slices=7, sm_count=132, memory_bytes=81152 * MIB),
)


def instance(number: int, gi: int, profile: str = "1g.10gb", ci: int = 0, sms: float | None = None) -> MigInstance:
    row = next(p for p in H100_PROFILES if p.name == profile)
    return MigInstance(
        uuid=mig_id(number),
        index=gi,
        gpu_instance=gi,
        compute_instance=ci,
        profile=profile,
        sm_count=row.sm_count if sms is None else sms,
        memory_bytes=row.memory_bytes,
    )


def gpu(number: int, instances: Iterable[MigInstance] = (), *, lost: bool = False, mig: bool | None = None) -> Gpu:
    listed = tuple(instances)
    return Gpu(
        uuid=gpu_id(number),
        index=number,
        minor=number,
        model="NVIDIA H100 80GB HBM3",
        architecture="hopper",
        sm_count=132.0,
        mig_current=bool(listed) if mig is None else mig,
        mig_pending=bool(listed) if mig is None else mig,
        profiles=H100_PROFILES,
        instances=listed,
        lost=lost,
    )


def process(pid: int, memory: Reading = 100.0, sm: Reading = NONE, kind: ProcessKind = ProcessKind.COMPUTE) -> Process:
    return Process(pid=pid, kind=kind, memory_bytes=memory, sm_share=sm)


def use(
    processes: tuple[Process, ...] | Missing = (), sm_active: Reading = NONE, total: float = 81559.0 * MIB
) -> DeviceUse:
    used = (
        0.0
        if isinstance(processes, Missing)
        else sum(p.memory_bytes for p in processes if not isinstance(p.memory_bytes, Missing))
    )
    return DeviceUse(
        memory_total_bytes=total,
        memory_used_bytes=used,
        memory_free_bytes=total - used,
        engine_active=sm_active,
        sm_active=sm_active,
        tensor_active=NONE,
        memory_bandwidth=NONE,
        utilisation=NONE,
        ecc_corrected=0.0,
        ecc_uncorrected=0.0,
        processes=processes,
    )


GPU_USE = GpuUse(
    sm_clock_hertz=1.7e9,
    sm_clock_max_hertz=1.98e9,
    power_watts=300.0,
    power_limit_watts=700.0,
    temperature_celsius=50.0,
    energy_joules=1000.0,
    throttle=frozenset(),
)


def reading(
    gpus: Iterable[Gpu], uses: Mapping[Any, DeviceUse] | None = None, at: float = 0.0, **more: Any
) -> DriverReading:
    listed = tuple(gpus)
    devices = {
        DeviceUuid(u): (uses or {}).get(u, use()) for g in listed for u in (g.uuid, *(i.uuid for i in g.instances))
    }
    return DriverReading(
        at=at,
        inventory=Inventory(driver="580.95.05", nvml="13.580.95.05", gpus=listed),
        gpus={g.uuid: GPU_USE for g in listed},
        devices=devices,
        **more,
    )


def holds(
    pod: str, *ids: str, resource: str = "nvidia.com/gpu", container: str = "main", namespace: str = "team"
) -> list[Allocation]:
    return [Allocation(namespace, pod, container, resource, parse(text)) for text in ids]


def allocations(*groups: list[Allocation], serial: int = 1, allocatable: Iterable[str] = ()) -> Allocations:
    offered = tuple(("nvidia.com/gpu", parse(text)) for text in allocatable)
    return Allocations(
        serial=serial,
        items=tuple(item for group in groups for item in group),
        allocatable=offered or Missing(NONE.reason),
    )


def pod(
    name: str,
    *,
    uid: str | None = None,
    phase: str = "Running",
    namespace: str = "team",
    containers: Iterable[str] = ("main",),
    **more: Any,
) -> Pod:
    return Pod(
        uid=f"uid-{name}" if uid is None else uid,
        namespace=namespace,
        name=name,
        phase=phase,
        workload_kind="Job",
        workload=name,
        containers=frozenset(containers),
        container_ids={f"{name}-{c}": c for c in containers},
        **more,
    )


def pods(*items: Pod, labels: Mapping[str, str] | None = None, deleted: Iterable[str] = ()) -> Pods:
    return Pods(items=items, node_labels=labels or {}, deleted=frozenset(deleted))


def facts(
    pid: int, pod_uid: str | None = None, container_id: str | None = None, command: str = "python"
) -> ProcessFacts:
    named = () if pod_uid is None else (CgroupPod(pod_uid, container_id),)
    return ProcessFacts(pid=pid, command=command, started=1, pods=named)


def evidence(
    driver: DriverReading | Missing,
    held: Allocations | Missing,
    store: Pods | Missing,
    *processes: ProcessFacts,
    at: float = 0.0,
    stale: bool = False,
) -> Evidence:
    return Evidence(
        node="n1",
        at=at,
        driver=driver,
        allocations=held,
        pods=store,
        processes={p.pid: p for p in processes},
        allocations_stale=stale,
    )


def run(*instants: Evidence) -> Snapshot:
    """Join instants one after another; return the last snapshot."""
    memory = Memory()
    snapshot: Snapshot | None = None
    for instant in instants:
        snapshot, memory = join(instant, memory, POLICY)
    assert snapshot is not None
    return snapshot


def think(*instants: Evidence, policy: Policy = POLICY) -> Result:
    """Run the whole pipeline over instants; return the last result."""
    state, result = State(), None
    for instant in instants:
        result = step(state, instant, policy, Limits())
        state = result.state
    assert result is not None
    return result


def from_capture(driver: Mapping[str, Any]) -> DriverReading:
    """A driver reading with the inventory of a recorded node."""
    gpus = []
    for g in driver["gpus"]:
        profiles = tuple(
            Profile(
                name=name,
                profile_id=p["profile_id"],
                slices=p["gpu_instance_slices"],
                sm_count=p["sm_count"],
                memory_bytes=p["memory_bytes"],
            )
            for name, p in g["profiles"].items()
        )
        instances = tuple(
            MigInstance(
                uuid=DeviceUuid(m["uuid"]),
                index=i,
                gpu_instance=m["gpu_instance_id"],
                compute_instance=m["compute_instance_id"],
                profile=m["profile"],
                sm_count=m["sm_count"],
                memory_bytes=m["memory_total_bytes"],
            )
            for i, m in enumerate(g["mig_devices"])
        )
        gpus.append(
            Gpu(
                uuid=GpuUuid(g["uuid"]),
                index=g["index"],
                minor=g["minor"],
                model=g["model"],
                architecture="",
                sm_count=g["sm_count"],
                mig_current=g["mig_enabled"],
                mig_pending=g["mig_enabled"],
                profiles=profiles,
                instances=instances,
            )
        )
    totals = {g["uuid"]: use(total=float(g["memory_total_bytes"])) for g in driver["gpus"]}
    return reading(gpus, totals)

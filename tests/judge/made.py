"""Partitions, devices and processes made by hand for the judge's tables: one of each, with what a case changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from exporter.catalogue import PartitionKey
from exporter.model import (
    Consumer,
    Device,
    DeviceState,
    DeviceUse,
    DeviceUuid,
    Enforcer,
    GpuState,
    GpuUse,
    Missing,
    Owner,
    Partition,
    Process,
    ProcessKind,
    Promise,
    PromiseClass,
    Promised,
    PromiseSource,
    Reading,
    Reason,
    Relation,
    Sharing,
    Snapshot,
    Throttle,
)
from exporter.policy import Policy
from tests.join.worlds import GPU_USE, gpu, gpu_id, mig_id

GIB = float(1 << 30)
POLICY = Policy()
GPU1 = gpu_id(1)
UNREAD = Missing(Reason.TIMEOUT)
MAX_CLOCK = 2.0e9
REFERENCE = 0.6 * MAX_CLOCK

CLOCKS = replace(GPU_USE, sm_clock_hertz=MAX_CLOCK, sm_clock_max_hertz=MAX_CLOCK)


def clocks(ratio: Reading, *reasons: Throttle, throttle: frozenset[Throttle] | Missing | None = None) -> GpuUse:
    """A GPU whose SM clock is this part of the reference clock."""
    clock = ratio if isinstance(ratio, Missing) else ratio * REFERENCE
    return replace(CLOCKS, sm_clock_hertz=clock, throttle=frozenset(reasons) if throttle is None else throttle)


USE = DeviceUse(
    memory_total_bytes=80 * GIB,
    memory_used_bytes=10 * GIB,
    memory_free_bytes=70 * GIB,
    engine_active=0.9,
    sm_active=0.8,
    tensor_active=0.3,
    memory_bandwidth=0.3,
    utilisation=0.9,
    ecc_corrected=0.0,
    ecc_uncorrected=0.0,
    processes=(),
)


def device(number: int = 0, **changed: Any) -> Device:
    """A device with its readings: the whole GPU 1, or with a number its MIG instance. Readings may be named directly."""
    readings = {name: changed.pop(name) for name in list(changed) if name in DeviceUse.__slots__}
    whole = Device(
        gpu=GPU1,
        uuid=DeviceUuid(GPU1) if number == 0 else mig_id(number),
        kind="gpu" if number == 0 else "mig",
        index="0",
        model="NVIDIA H100 80GB HBM3",
        sm_count=132.0 if number == 0 else 16.0,
        attached_memory_bytes=80 * GIB if number == 0 else 10 * GIB,
        use=replace(USE, **readings),
        profile="" if number == 0 else "1g.10gb",
        gpu_instance=None if number == 0 else number,
        compute_instance=None if number == 0 else 0,
    )
    return replace(whole, **changed)


def promised(
    amount: Reading, klass: PromiseClass = PromiseClass.ISOLATED, enforcer: Enforcer = Enforcer.SCHEDULER
) -> Promised:
    return Promised(amount=amount, klass=klass, enforcer=enforcer, source=PromiseSource.RESOURCE_NAME)


def partition(
    pod: str = "a",
    on: Device | None = None,
    *,
    compute: Reading | None = 1.0,
    memory: Reading | None = 80 * GIB,
    klass: PromiseClass = PromiseClass.ISOLATED,
    **changed: Any,
) -> Partition:
    """A partition of pod `team/a` that holds the whole of its device; `compute` and `memory` are its promise."""
    held = device() if on is None else on
    made = Partition(
        key=PartitionKey(held.gpu, held.uuid, "team", pod, "main"),
        owner=Owner(namespace="team", pod=pod, container="main", pod_uid=f"uid-{pod}"),
        resource="nvidia.com/gpu",
        sharing=Sharing.EXCLUSIVE if held.kind == "gpu" else Sharing.MIG,
        slots=1,
        promised_profile="",
        profile_source=PromiseSource.RESOURCE_NAME,
        state=DeviceState.PRESENT,
        doubt=None,
        device=held,
        gpu=gpu(1),
        replicas=1.0,
        holders=1,
        consumers=(),
        used_compute=held.use.sm_active,
        used_memory_bytes=held.use.memory_used_bytes,
        obtainable_memory_bytes=80 * GIB,
        promise=Promise(
            compute=None if compute is None else promised(compute, klass),
            memory=None if memory is None else promised(memory, klass),
        ),
    )
    return replace(made, **changed)


def slice_of(pod: str, held: Device, used: Reading, *, promise: Reading = 20 * GIB, **changed: Any) -> Partition:
    """An MPS share that was promised 20 GiB and uses so much of its device's memory."""
    free = held.use.memory_free_bytes
    unread = next((each for each in (used, free) if isinstance(each, Missing)), None)
    obtainable = used + free if not isinstance(used, Missing) and not isinstance(free, Missing) else unread
    facts = {
        "used_memory_bytes": used,
        "obtainable_memory_bytes": obtainable,
        "replicas": 4.0,
        "sharing": Sharing.MPS,
        "used_compute": Missing(Reason.UNSUPPORTED),
    }
    return partition(
        pod,
        held,
        compute=0.25,
        memory=promise,
        klass=PromiseClass.HARD_CAP,
        **facts | changed,
    )


def process(pid: int, memory: Reading = GIB, sm: Reading = 0.1) -> Process:
    return Process(pid=pid, kind=ProcessKind.COMPUTE, memory_bytes=memory, sm_share=sm)


def consumer(
    relation: Relation, memory: Reading = GIB, *, pid: int = 1, pod: str = "", settled: bool = True
) -> Consumer:
    """A process of this relation to the device's holders."""
    namespace = ("other" if relation is Relation.ROGUE else "team") if pod else ""
    used = process(pid, memory)
    return Consumer(process=used, command="python", relation=relation, settled=settled, namespace=namespace, pod=pod)


def snapshot(
    *partitions: Partition,
    at: float = 0.0,
    devices: Iterable[Device] | None = None,
    consumers: Mapping[DeviceUuid, tuple[Consumer, ...] | Missing] | None = None,
    use: GpuUse = CLOCKS,
    **changed: Any,
) -> Snapshot:
    """One instant of a node with GPU 1; its devices are those that the partitions hold."""
    held = {p.device.uuid: p.device for p in partitions if p.device is not None}
    listed = tuple(held.values()) if devices is None else tuple(devices)
    placed = {each.uuid: () for each in listed} if consumers is None else consumers
    made = Snapshot(
        node="n1",
        at=at,
        driver="580.95.05",
        nvml="13.580.95.05",
        gpus=(GpuState(gpu=gpu(1), use=use),),
        devices=listed,
        partitions=partitions,
        consumers=placed,
        orphans={},
    )
    return replace(made, **changed)

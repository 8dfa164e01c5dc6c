"""Strategies: snapshots with readings that no driver should give, and stories of a node told with them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

from hypothesis import strategies as st

from exporter.model import (
    Consumer,
    Device,
    DeviceState,
    DeviceUse,
    Enforcer,
    EngineRun,
    GpuUse,
    Missing,
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
    Sampled,
    Sharing,
    Snapshot,
    Throttle,
    Xid,
)
from exporter.partitions import Evidence
from tests.join.test_properties import evidences
from tests.judge.made import GIB, GPU1, device, partition, snapshot

R = TypeVar("R")
U = TypeVar("U")

MISSING = st.sampled_from([Missing(Reason.UNSUPPORTED), Missing(Reason.NOT_YET), Missing(Reason.PERMISSION)])
ABSURD = st.sampled_from([0.0, -0.0, -1.0, -1e300, 1e-300, 1.294, 1e300, 2.0**64 - 1])


def rarely(strange: st.SearchStrategy[R], usual: st.SearchStrategy[U]) -> st.SearchStrategy[R | U]:
    """One in twelve is strange: Hypothesis gives equal branches of `|` equal chances, and most draws would be blind."""
    return st.integers(0, 11).flatmap(lambda roll: strange if roll == 0 else usual)


def number(low: float, high: float, *, wild: bool) -> st.SearchStrategy[Reading]:
    """Honest or now and then missing; `wild`: now and then absurd."""
    return rarely(ABSURD | MISSING if wild else MISSING, st.floats(low, high))


def ratio(*, wild: bool) -> st.SearchStrategy[Reading]:
    return number(0.0, 1.0, wild=wild)


def size(*, wild: bool) -> st.SearchStrategy[Reading]:
    return number(0.0, 40 * GIB, wild=wild)


PIDS = st.integers(1, 4)
SAMPLED = st.builds(
    Sampled,
    source=st.just("dcgm"),
    began=st.floats(-100.0, 200.0),
    seen=st.floats(-50.0, 200.0),
    interval=st.just(30.0),
    covers=st.booleans(),
    engine=st.none() | st.builds(EngineRun, st.floats(-100.0, 200.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    low_confidence=st.booleans(),
    readings=st.just(frozenset({"engine_active"})),
)


def processes(*, wild: bool) -> st.SearchStrategy[tuple[Process, ...]]:
    """A driver's list, duplicates and all."""
    memory, share = (size(wild=wild), ratio(wild=wild)) if wild else (st.floats(0, 3 * GIB), st.floats(0, 0.2))
    one = st.builds(Process, pid=PIDS, kind=st.sampled_from(ProcessKind), memory_bytes=memory, sm_share=share)
    return st.lists(one, max_size=4).map(tuple)


def device_uses(*, wild: bool) -> st.SearchStrategy[DeviceUse]:
    """A device's readings; tame ones have room for their processes, so that they contradict nothing."""
    sizes = {
        "memory_total_bytes": size(wild=True) if wild else st.just(80 * GIB),
        "memory_used_bytes": size(wild=True) if wild else st.floats(12 * GIB, 16 * GIB),
        "memory_free_bytes": size(wild=True) if wild else st.floats(0, 20 * GIB),
        "ecc_corrected": number(0, 9, wild=wild),
        "ecc_uncorrected": number(0, 9, wild=wild),
    }
    shares = {f.name: ratio(wild=wild) for f in fields(DeviceUse) if f.name not in {*sizes, "processes", "sampled"}}
    return st.builds(
        DeviceUse,
        **shares,
        **sizes,
        processes=rarely(MISSING, processes(wild=wild)),
        sampled=rarely(SAMPLED, st.none()),
    )


def gpu_uses(*, wild: bool) -> st.SearchStrategy[GpuUse]:
    return st.builds(
        GpuUse,
        sm_clock_hertz=number(0, 2e9, wild=wild),
        sm_clock_max_hertz=number(1e9, 2e9, wild=wild),
        power_watts=number(0, 700, wild=wild),
        power_limit_watts=number(0, 700, wild=wild),
        temperature_celsius=number(0, 90, wild=wild),
        energy_joules=number(0, 1e6, wild=wild),
        throttle=rarely(MISSING, st.frozensets(st.sampled_from(Throttle), max_size=3)),
    )


@st.composite
def _placed(draw: st.DrawFn, held: Device) -> tuple[Consumer, ...] | Missing:
    """The device's own list, each process with a relation to its holders."""
    listed = held.use.processes
    if isinstance(listed, Missing):
        return listed
    return tuple(
        Consumer(
            process=each,
            command="python",
            relation=draw(st.sampled_from(Relation)),
            namespace=draw(st.sampled_from(["team", "other"])),
            pod=draw(st.sampled_from(["a", "b", "miner"])),
            settled=draw(st.booleans()),
        )
        for each in listed
    )


@st.composite
def _devices(draw: st.DrawFn, numbers: tuple[int, ...], *, wild: bool) -> list[Device]:
    return [
        device(
            n,
            use=draw(device_uses(wild=wild)),
            sm_count=draw(number(14, 132, wild=wild)),
            attached_memory_bytes=draw(size(wild=wild)),
            lost=draw(st.integers(0, 11)) == 0,
        )
        for n in numbers
    ]


def _promised(amount: st.SearchStrategy[Reading]) -> st.SearchStrategy[Promised | None]:
    one = st.builds(
        Promised,
        amount=amount,
        klass=st.sampled_from(PromiseClass),
        enforcer=st.sampled_from(Enforcer),
        source=st.sampled_from(PromiseSource),
    )
    return rarely(st.none(), one)


@st.composite
def _partition(draw: st.DrawFn, pod: str, held: Device, *, wild: bool) -> Partition:
    return partition(
        pod,
        held,
        sharing=draw(st.sampled_from([Sharing.EXCLUSIVE, Sharing.MIG, Sharing.MPS, Sharing.TIME_SLICING])),
        slots=draw(st.integers(1, 3)),
        promised_profile=draw(st.sampled_from(["", "1g.10gb", "2g.20gb", "9g.99gb"])),
        state=draw(rarely(st.sampled_from(DeviceState), st.just(DeviceState.PRESENT))),
        doubt=draw(rarely(st.sampled_from([Reason.AMBIGUOUS, Reason.SOURCE_STALE]), st.none())),
        replicas=draw(rarely(MISSING, st.integers(1, 4).map(float))),
        holders=draw(st.integers(1, 6)),
        used_compute=draw(ratio(wild=wild)),
        used_memory_bytes=draw(size(wild=wild)),
        obtainable_memory_bytes=draw(size(wild=wild)),
        promise=Promise(compute=draw(_promised(ratio(wild=wild))), memory=draw(_promised(size(wild=wild)))),
    )


@st.composite
def snapshots(draw: st.DrawFn, numbers: tuple[int, ...], at: float) -> Snapshot:
    """One instant with up to four partitions, whose readings need not agree with each other."""
    wild = draw(st.booleans())
    devices = draw(_devices(numbers, wild=wild))
    pods = draw(st.just("abcd") | st.lists(st.sampled_from("abcd"), unique=True, max_size=4))
    parts = [draw(_partition(pod, draw(st.sampled_from(devices)), wild=wild)) for pod in sorted(pods)]
    parts = [replace(p, device=None) if draw(st.integers(0, 9)) == 0 else p for p in parts]
    xid = st.builds(Xid, st.just(GPU1), st.sampled_from([13, 79]), st.none() | st.just(1), st.none() | st.just(0))
    return snapshot(
        *parts,
        at=at,
        devices=devices,
        use=draw(gpu_uses(wild=wild)),
        consumers={d.uuid: draw(_placed(d)) for d in devices},
        events=tuple(draw(rarely(st.lists(xid, max_size=2), st.just([])))),
        doubt=draw(rarely(st.just(Reason.STALE), st.none())),
    )


STEPS = st.sampled_from([1.0, 1.0, 1.0, 0.25, 1.000001, 3.0, 90.0, 0.0, -4.0])
"""Seconds between two ticks: on time, late, missed, a clock that stands or jumps back."""


@st.composite
def instants(draw: st.DrawFn) -> list[Snapshot]:
    """Up to five snapshots in a row of one set of devices."""
    at, told = 100.0, []
    numbers = draw(st.sampled_from([(0,), (0,), (1, 2), (0, 1)]))
    for _ in range(draw(st.integers(1, 5))):
        told.append(draw(snapshots(numbers, at)))
        at += draw(STEPS)
    return told


@st.composite
def stories(draw: st.DrawFn) -> list[Evidence]:
    """A node's sources over up to six ticks: pods born and gone, MIG reshaped, sources silent, readings absurd."""
    at, serial, told = 100.0, 1, []
    for _ in range(draw(st.integers(1, 6))):
        evidence = draw(evidences(at, serial))
        if not isinstance(evidence.driver, Missing) and draw(st.booleans()):
            driver = evidence.driver
            evidence = replace(
                evidence,
                driver=replace(
                    driver,
                    devices={uuid: draw(device_uses(wild=True)) for uuid in driver.devices},
                    gpus={uuid: draw(gpu_uses(wild=True)) for uuid in driver.gpus},
                ),
            )
        told.append(evidence)
        at += draw(STEPS)
        serial += draw(st.integers(0, 1))
    return told

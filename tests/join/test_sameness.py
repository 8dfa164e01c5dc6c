"""What is taken over from the tick before is what would be made anew: a history of shared objects against one of copies."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.modes import every_mode
from exporter.collect import Collector
from exporter.ledger import NS, Limits
from exporter.model import Allocations, DriverReading, Gpu, Missing, ProcessKind, Reason
from exporter.partitions import Evidence
from exporter.pipeline import Result, State, step
from exporter.policy import Policy
from exporter.records import Limit, Sharing
from exporter.sameness import each_kept, kept
from exporter.simulator import scenario
from exporter.simulator.sources import build
from exporter.simulator.spec import Scenario
from exporter.witness import Clock, Sources
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
    use,
)
from tests.scenarios.stage import Hands

POLICY = Policy()
LIMITS = Limits(keep=60 * NS, gap=5 * NS)
EVERY_MODE = (
    "mig-mixed",
    "mig-reshaped",
    "time-slicing-hog",
    "mps-memory-hog",
    "hami-hook-off",
    "kai-fractions",
    "dra-claims",
    "rogue-process",
    "gpu-lost",
)


GPU1, GPU2, GPU3 = gpu_id(1), gpu_id(2), gpu_id(3)
CUT = gpu(1, [instance(11, 1), instance(12, 2)])
CUT_OTHERWISE = gpu(1, [instance(11, 1), instance(13, 3, "2g.20gb")])
SHARED, WHOLE = gpu(2), gpu(3)
A, B, C, D, E = (pod(name) for name in "abcde")
TABLE = {pid: facts(pid, f"uid-{name}", f"{name}-main") for pid, name in enumerate("abcde", start=1)}


def node(
    first: Gpu = CUT, *, share: float = 0.2, total: float = 8e9, kind: ProcessKind = ProcessKind.COMPUTE
) -> DriverReading:
    """Two instances, a GPU that two share, and a whole one."""
    uses = {
        mig_id(11): use((process(1),), sm_active=0.5),
        mig_id(12): use((process(2),), sm_active=share),
        GPU2: use((process(3, sm=share, kind=kind), process(4, sm=0.4)), total=total),
        GPU3: use((process(5, sm=0.9),), sm_active=0.9, total=total),
    }
    return reading([first, SHARED, WHOLE], uses)


OFFERED = allocations(allocatable=(mig_id(11), mig_id(12), f"{GPU2}::0", f"{GPU2}::1", GPU3)).allocatable


def listed(*, without: str = "", second: int = 12) -> Allocations:
    held = {
        "a": mig_id(11),
        "b": mig_id(second),
        "c": f"{GPU2}::0",
        "d": f"{GPU2}::1",
        "e": GPU3,
    }
    groups = [holds(name, device) for name, device in held.items() if name != without]
    return replace(allocations(*groups), allocatable=OFFERED)


FIRST = node()


def again(now: DriverReading) -> DriverReading:
    """A later reading of the same devices: what is equal is the same object."""
    return replace(now, inventory=FIRST.inventory, devices=each_kept(FIRST.devices, now.devices))


DRIVERS = (
    FIRST,
    again(node(share=0.7)),
    again(node(total=9e9)),
    again(node(kind=ProcessKind.MPS)),
    node(CUT_OTHERWISE),
    node(replace(CUT, lost=True)),
    Missing(Reason.TIMEOUT),
)
ANSWERS = (listed(), listed(without="c"), listed(without="a"), listed(second=13), Missing(Reason.TIMEOUT))
STORES = (
    pods(A, B, C, D, E),
    pods(A, B, C, D, E, labels={"nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "mps"}),
    pods(A, replace(B, uid="uid-new"), C, D, replace(E, phase="Succeeded")),
    pods(A, B, C, D),
    Missing(Reason.TIMEOUT),
)
TABLES = (
    TABLE,
    TABLE | {3: facts(3, "uid-d", "d-main")},
    TABLE | {5: facts(5, None)},
    {pid: TABLE[pid] for pid in (1, 2)},
    Missing(Reason.PERMISSION),
)
LIMITS_SET: tuple[dict[tuple[str, str], Limit], ...] = ({}, {("nvidia.com/gpu", "2"): Limit(0.5, 4e9)})
PARTS: dict[str, Sequence[Any]] = {
    "driver": DRIVERS,
    "allocations": ANSWERS,
    "pods": STORES,
    "processes": TABLES,
    "daemons": LIMITS_SET,
}
HEALTHY = replace(evidence(DRIVERS[0], ANSWERS[0], STORES[0]), processes=TABLES[0])


@st.composite
def histories(draw: st.DrawFn) -> list[Evidence]:
    """One thing changes from tick to tick, or nothing does; all else is the same objects as before."""
    now, serial = HEALTHY, 1
    history = [now]
    for tick in range(1, draw(st.integers(3, 12))):
        part = draw(st.sampled_from([*PARTS, "answered again", "grown old", "nothing", "nothing"]))
        if part in PARTS:
            changed: dict[str, Any] = {part: draw(st.sampled_from(PARTS[part]))}
            now = replace(now, **changed)
        if part == "grown old":
            now = replace(now, allocations_stale=not now.allocations_stale)
        if part in {"allocations", "answered again"} and not isinstance(now.allocations, Missing):
            serial += 1
            now = replace(now, allocations=replace(now.allocations, serial=serial))
        history.append(replace(now, at=float(tick)))
    return history


def played(history: Sequence[Evidence]) -> Iterator[Result]:
    state = State()
    for instant in history:
        result = step(state, instant, POLICY, LIMITS)
        state = result.state
        yield result


def alike(history: Sequence[Evidence]) -> None:
    # A copy is equal and no object of it is one that was seen before.
    copies = [pickle.loads(pickle.dumps(instant)) for instant in history]  # noqa: S301  # our own
    for shared, fresh in zip(played(history), played(copies), strict=True):
        assert shared.snapshot == fresh.snapshot
        assert shared.verdicts == fresh.verdicts
        assert shared.state.ledger == fresh.state.ledger
        assert shared.drifts == fresh.drifts


@given(histories())
@settings(max_examples=150, deadline=None)
def test_taking_over_changes_nothing(history: list[Evidence]) -> None:
    alike(history)


def test_an_answer_that_says_nothing_new_is_counted_all_the_same() -> None:
    # From the fifth instant on the store does not know a pod, which costs it its lease at the second answer after that.
    serials = (1, 1, 1, 2, 2, 3, 3, 4, 4)
    stores = (STORES[0],) * 4 + (STORES[3],) * 5
    history = [
        replace(HEALTHY, at=float(tick), pods=store, allocations=replace(ANSWERS[0], serial=serial))
        for tick, (serial, store) in enumerate(zip(serials, stores, strict=True))
    ]
    alike(history)
    assert [len(result.snapshot.partitions) for result in played(history)] == [5] * 7 + [4] * 2


@pytest.mark.parametrize("name", EVERY_MODE)
def test_taking_over_changes_nothing_in_any_mode(name: str) -> None:
    alike(heard(scenario.load(name), 50))


def test_taking_over_changes_nothing_with_every_mode_on_one_node() -> None:
    node = heard(every_mode(42), 12)
    alike(node)
    *_, last = played(node)
    assert {p.sharing for p in last.snapshot.partitions} == set(Sharing) - {Sharing.EXCLUSIVE, Sharing.XCP}


def heard(spec: Scenario, ticks: int) -> list[Evidence]:
    """What a collector hears of a simulated node: answers that are kept between the questions are the same objects."""
    hands = Hands()
    node = build(spec, seed=1, sleep=lambda _: None)
    sources = Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        dcgm=node.dcgm,
        enforcers=node.enforcers,
    )
    history: list[Evidence] = []
    collector = Collector(
        "node-1",
        sources,
        clock=Clock(hands.monotonic, hands.wall),
        patience=30.0,
        heard=lambda hearing: history.append(hearing.evidence),
    )
    for _ in range(ticks):
        collector.run_tick()
        hands.now += 1.0
    collector.close()
    return history


def test_nothing_is_made_anew_while_nothing_changes() -> None:
    now = heard(scenario.load("mig-mixed"), 30)[-1]
    *_, before, last = played([replace(now, at=now.at + tick) for tick in range(4)])
    assert last.state.memory.standing is before.state.memory.standing
    assert all(a is b for a, b in zip(last.snapshot.partitions, before.snapshot.partitions, strict=True))


def test_an_equal_value_is_the_one_that_was_there_before() -> None:
    before, equal = Fraction(2, 4), Fraction(1, 2)
    assert kept(before, equal) is before
    assert kept(None, equal) is equal
    assert kept(before, Fraction(1, 3)) == Fraction(1, 3)
    assert each_kept({"a": before}, {"a": equal, "b": equal})["a"] is before

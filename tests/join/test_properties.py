"""Properties over random worlds: nothing is invented, nothing is dropped, every sum holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.accounting import Holding, apportion, split_energy, split_time
from exporter.ids import parse
from exporter.join import Memory, join
from exporter.ledger import NS, Limits
from exporter.model import Allocation, Allocations, Gpu, Missing, Pods, Reason
from exporter.partitions import Evidence
from exporter.pipeline import Result, State, step
from exporter.verdict import Guarantee, Outcome
from tests.join.worlds import (
    GPU_USE,
    NONE,
    POLICY,
    evidence,
    facts,
    gpu,
    instance,
    mig_id,
    pod,
    process,
    reading,
    use,
    uuid,
)

NAMES = st.sampled_from(["a", "b", "c"])
SHARES = st.floats(0, 1) | st.just(NONE)


@st.composite
def gpus(draw: st.DrawFn) -> list[Gpu]:
    found = []
    for number in draw(st.sets(st.integers(1, 3))):
        migs = draw(st.sets(st.integers(1, 4), max_size=3))
        found.append(gpu(number, [instance(number * 10 + m, m) for m in migs], lost=draw(st.booleans())))
    return found


def ids() -> st.SearchStrategy[str]:
    whole = st.builds(lambda n: uuid("GPU", n), st.integers(1, 4))
    slices = st.builds(lambda n, r: f"{uuid('GPU', n)}::{r}", st.integers(1, 4), st.integers(0, 3))
    migs = st.builds(lambda n, m: mig_id(n * 10 + m), st.integers(1, 4), st.integers(1, 5))
    paths = st.builds(lambda n, m: f"MIG-{uuid('GPU', n)}/{m}/0", st.integers(1, 4), st.integers(1, 5))
    return whole | slices | migs | paths | st.just("rubbish")


@st.composite
def evidences(draw: st.DrawFn, at: float, serial: int) -> Evidence:
    listed = draw(gpus())
    uses = {
        g.uuid: use(tuple(process(pid, 1.0, draw(SHARES)) for pid in draw(st.sets(st.integers(1, 6)))), draw(SHARES))
        for g in listed
    }
    energy = replace(GPU_USE, energy_joules=draw(st.floats(0, 1e6)))
    told = reading(listed, uses, at=at)
    told = replace(told, gpus=dict.fromkeys(told.gpus, energy))
    items = [
        Allocation("team", draw(NAMES), draw(st.sampled_from(["x", "y"])), "nvidia.com/gpu", parse(text))
        for text in draw(st.lists(ids(), max_size=6))
    ]
    store = tuple(
        pod(
            n,
            uid=f"{n}{draw(st.integers(1, 2))}",
            phase=draw(st.sampled_from(["Running", "Succeeded"])),
            containers="xy",
        )
        for n in draw(st.sets(NAMES))
    )
    silent = Missing(Reason.TIMEOUT)
    return evidence(
        draw(st.just(told) | st.just(silent)),
        draw(st.just(Allocations(serial=serial, items=tuple(items), allocatable=NONE)) | st.just(silent)),
        draw(st.just(Pods(items=store, node_labels={"nvidia.com/gpu.replicas": "4"})) | st.just(silent)),
        *(facts(pid, draw(st.sampled_from(["a1", "b1", None]))) for pid in draw(st.sets(st.integers(1, 6)))),
        at=at,
        stale=draw(st.booleans()),
    )


@st.composite
def stories(draw: st.DrawFn) -> list[Evidence]:
    at, serial, story = 0.0, 1, []
    for _ in range(draw(st.integers(1, 5))):
        story.append(draw(evidences(at, serial)))
        at += draw(st.sampled_from([0.5, 1.0, 1.000001, 3.0, 90.0]))
        serial += draw(st.integers(0, 1))
    return story


def told(story: Sequence[Evidence]) -> list[Result]:
    state, results = State(), []
    for instant in story:
        results.append(step(state, instant, POLICY, Limits()))
        state = results[-1].state
    return results


@given(stories())
@settings(max_examples=60, deadline=None)
def test_the_join_invents_nothing(story: list[Evidence]) -> None:
    claimed: set[tuple[str, str]] = set()
    for instant, result in zip(story, told(story), strict=True):
        if not isinstance(instant.allocations, Missing):
            claimed |= {(item.pod, item.container) for item in instant.allocations.items}
        for partition in result.snapshot.partitions:
            assert (partition.key.pod, partition.key.container) in claimed
        keys = [partition.key for partition in result.snapshot.partitions]
        assert len(set(keys)) == len(keys)


@given(stories())
@settings(max_examples=60, deadline=None)
def test_the_join_drops_nothing(story: list[Evidence]) -> None:
    # With no pod store to refuse a claim, each one is a partition, or an id that nothing resolves, or in conflict.
    memory = Memory()
    for instant in story:
        off = replace(instant, pods=Missing(Reason.NOT_CONFIGURED))
        snapshot, memory = join(off, memory, POLICY)
        if isinstance(off.allocations, Missing):
            continue
        held = {(p.key.pod, p.key.container) for p in snapshot.partitions}
        odd = {identity for kind, identity in memory.suspected if kind in {"unresolved_device_id", "conflict"}}
        for item in off.allocations.items:
            unresolved = f"{item.resource} {item.device}" in odd
            in_conflict = any(identity.startswith(("GPU-", "MIG-")) for identity in odd)
            assert (item.pod, item.container) in held or unresolved or in_conflict


@given(stories(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_inputs_does_not_matter(story: list[Evidence], random: object) -> None:
    shuffled = []
    for instant in story:
        if isinstance(instant.allocations, Missing):
            shuffled.append(instant)
            continue
        items = list(instant.allocations.items)
        random.shuffle(items)  # type: ignore[attr-defined]
        shuffled.append(replace(instant, allocations=replace(instant.allocations, items=tuple(items))))
    assert [r.snapshot for r in told(story)] == [r.snapshot for r in told(shuffled)]


@given(stories())
@settings(max_examples=60, deadline=None)
def test_every_sum_of_the_ledger_holds(story: list[Evidence]) -> None:
    results = told(story)
    born: dict[object, tuple[int, str]] = {}
    for instant, result in zip(story, results, strict=True):
        now = round(instant.at * NS)
        for key, account in result.state.ledger.accounts.items():
            if account.gone_at is None and sum(account.outcomes.values()) == 0:
                born[key] = (now, account.pod_uid)
            for guarantee in {g for g, _ in account.outcomes}:
                spent = {o: account.outcomes[guarantee, o] for o in Outcome}
                until = now if account.gone_at is None else _last_seen(results, key, instant.at)
                if guarantee in {Guarantee.AVAILABILITY, Guarantee.CONFORMANCE, Guarantee.ISOLATION}:
                    assert sum(spent.values()) == until - born[key][0], "outcomes sum to the age"
                blind = sum(ns for (g, _), ns in account.blind.items() if g is guarantee)
                assert blind == spent[Outcome.BLIND], "reasons sum to blind"
                lost = sum(ns for (g, _), ns in account.lost.items() if g is guarantee)
                assert 0 <= lost <= spent[Outcome.BROKEN] + len(story), "no more is lost than was broken"
            assert 0 <= account.delivered <= account.promised + len(story)


def _last_seen(results: list[Result], key: object, until: float) -> int:
    seen = [
        r.snapshot.at for r in results if r.snapshot.at <= until and any(p.key == key for p in r.snapshot.partitions)
    ]
    return round(max(seen) * NS)


@given(stories())
@settings(max_examples=60, deadline=None)
def test_a_gpu_accounts_for_each_of_its_seconds(story: list[Evidence]) -> None:
    results = told(story)
    for before, after in pairwise(results):
        interval = round(after.snapshot.at * NS) - round(before.snapshot.at * NS)
        for uuid_, account in after.state.ledger.gpus.items():
            earlier = before.state.ledger.gpus.get(uuid_)
            if earlier is not None:
                now, then = (sum(getattr(a.states, f.name) for f in fields(a.states)) for a in (account, earlier))
                assert now - then == interval


HOLDINGS = st.lists(
    st.builds(Holding, st.none() | st.floats(0, 1), st.none() | st.floats(0, 1.2)),
    max_size=8,
)


@given(HOLDINGS, st.integers(0, 10**12), st.booleans())
def test_an_interval_is_divided_without_a_rest(holdings: list[Holding], interval: int, visible: bool) -> None:  # noqa: FBT001
    split = split_time(holdings, interval, visible=visible)
    parts = [getattr(split, field.name) for field in fields(split)]
    assert sum(parts) == interval
    assert min(parts) >= 0


@given(HOLDINGS, st.integers(0, 10**12), st.integers(0, 10**12), st.none() | st.floats(0, 1))
def test_energy_is_divided_without_a_rest(
    holdings: list[Holding], energy: int, idle: int, activity: float | None
) -> None:
    shares = split_energy(energy, idle, holdings, activity)
    assert sum(shares.parts) + shares.rest == energy
    assert min((*shares.parts, shares.rest)) >= 0


@given(st.integers(0, 10**15), st.lists(st.floats(0, 1e6), min_size=1, max_size=9))
def test_apportioning_is_exact_and_fair(whole: int, weights: list[float]) -> None:
    parts = apportion(whole, weights)
    assert sum(parts) == whole
    assert all(part >= 0 for part in parts)
    total = sum(weights)
    if total > 0:
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - whole * weight / total) <= 1 + whole * 1e-12

"""A story told to the judge, tick by tick, and each window's answer laid beside its truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.truth.baseline import says_broken
from bench.truth.story import ENDS, TOLERANCE, WINDOW, Story, Tick, Truth, changed
from bench.truth.worlds import CHANGE, World
from exporter.catalogue import PartitionKey
from exporter.demand import Answer, Assessment, DemandPolicy, Holder, Intruder, ProcessShare, Sample
from exporter.model import Missing, Reason
from exporter.shared_compute import DeviceMemory, assess

NEAR = 0.1
"""Truths nearer to the threshold than this are decided by chance as much as by anything."""

TIE = 0.02
"""Two neighbours whose excess differs by less share than this took the same."""


TURNS = 2.0
"""Bursts of fewer turns than this are served in order of arrival rather than shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One window of one tenant: what was true, what was said."""

    world: int  # its seed
    kind: str
    short: bool  # do its bursts take less than two turns
    changing: bool
    truth: Truth
    answer: Answer
    evidence: str
    baseline: bool
    estimate: float | None  # entitled, said over true
    imbalance: float  # of the loss's columns, relative to the loss
    cause: bool | None  # was the main cause named; None where there is none to name
    neighbour: bool | None
    detected: float | None = None  # seconds from the start of the breach to the first `broken`; None if not in time
    breach: bool = False  # whether this is a window at whose start a breach began

    @property
    def far(self) -> bool:
        """Whether the truth is far enough from the threshold to be told."""
        return abs(self.truth.ratio - (1 - TOLERANCE)) > NEAR


def hear(story: Story) -> list[Case]:
    """Judge one story."""
    world = story.world
    heard = judged(story)
    before = {truth.tenant: truth for truth in story.truths if truth.end == CHANGE}
    cases: list[Case] = []
    for end in ENDS:
        plain = says_broken(world, [tick for tick in story.ticks if end - WINDOW < tick.at <= end])
        for truth in story.truths:
            if truth.end == end and truth.wanted:
                breach = end == CHANGE + WINDOW and changed(world) and _began(truth, before[truth.tenant], heard)
                cases.append(_case(world, truth, heard, plain=bool(plain[truth.tenant]), breach=breach))
    return cases


Heard = Mapping[float, Mapping[str, Assessment]]


def judged(story: Story) -> Heard:
    """Return what the judge says of every tenant, by name, at every tick."""
    return {at: {key.pod: answer for key, answer in answers.items()} for at, answers, _ in listen(story)}


def listen(story: Story) -> Iterator[tuple[float, Mapping[PartitionKey, Assessment], DeviceMemory]]:
    """Yield for every tick what the judge says then, and what it remembers."""
    world, policy, memory = story.world, DemandPolicy(), DeviceMemory()
    holders: dict[int, Holder] = {
        i: _holder(tenant.name, tenant.rogue) for tenant in world.tenants for i in tenant.members
    }
    promises = {key_of(tenant.name): tenant.promise for tenant in world.tenants if tenant.promise > 0}
    for tick in story.ticks:
        declared = {
            key_of(tenant.name): said
            for tenant, said in zip(world.tenants, tick.declared, strict=True)
            if said is not None
        }
        sample = Sample(at=tick.at, processes=_processes(tick, holders), promises=promises, declared=declared)
        answers, memory = assess(memory, sample, policy)
        yield tick.at, answers, memory


def key_of(name: str) -> PartitionKey:
    """Return the partition of the tenant of that name."""
    return PartitionKey("GPU-0", "GPU-0", "bench", name, "main")


def _holder(name: str, rogue: str) -> Holder:
    return Intruder(rogue) if rogue else key_of(name)


def _processes(tick: Tick, holders: Mapping[int, Holder]) -> tuple[ProcessShare, ...] | Missing:
    if tick.shares is None:
        return Missing(Reason.TIMEOUT)
    return tuple(ProcessShare(1000 + i, holders[i], share) for i, share in enumerate(tick.shares) if share is not None)


def _case(world: World, truth: Truth, heard: Heard, *, plain: bool, breach: bool) -> Case:
    said = heard[truth.end][truth.tenant]
    loss = 0.0
    if said.answer is Answer.BROKEN and said.entitled is not None and said.delivered is not None:
        loss = max(0.0, (said.entitled.likely - said.delivered) / said.entitled.likely)
    right = truth.broken and said.answer is Answer.BROKEN
    cause, neighbour = _blamed(world, truth, said) if right else (None, None)
    tenant = next(tenant for tenant in world.tenants if tenant.name == truth.tenant)
    return Case(
        world=world.seed,
        kind=tenant.kind,
        short=world.demands[tenant.members[0]].burst < TURNS * world.quantum,
        changing=changed(world),
        truth=truth,
        answer=said.answer,
        evidence=said.evidence.value,
        baseline=plain,
        estimate=None if said.entitled is None else said.entitled.likely / truth.entitled,
        imbalance=max(
            abs(sum(said.loss.values()) - loss), abs(sum(said.neighbours.values()) - said.loss.get("neighbour", 0.0))
        ),
        cause=cause,
        neighbour=neighbour,
        detected=_detected(truth, heard) if breach else None,
        breach=breach,
    )


def _blamed(world: World, truth: Truth, said: Assessment) -> tuple[bool | None, bool | None]:
    """Was the cause named that took the most, and the neighbour."""
    rogues = {tenant.name: tenant.rogue for tenant in world.tenants if tenant.rogue}
    total = sum(truth.takers.values())
    if total <= 0.0:
        return None, None
    lost = truth.entitled - truth.delivered
    turning = min(lost, truth.switching * truth.entitled)
    amounts: dict[str, float] = {"switching": turning}
    for name, excess in truth.takers.items():
        cause = rogues.get(name, "neighbour")
        amounts[cause] = amounts.get(cause, 0.0) + (lost - turning) * excess / total
    named = max(said.loss, key=lambda cause: said.loss[cause], default="")
    right = amounts.get(named, 0.0) >= max(amounts.values()) - TIE * lost
    neighbours = {name: excess for name, excess in truth.takers.items() if name not in rogues and excess > 0.0}
    if max(amounts, key=lambda cause: amounts[cause]) != "neighbour" or not neighbours:
        return right, None
    if not said.neighbours:
        return right, False
    blamed = max(said.neighbours, key=lambda key: said.neighbours[key]).pod
    return right, neighbours.get(blamed, 0.0) >= max(neighbours.values()) - TIE


def _began(truth: Truth, before: Truth, heard: Heard) -> bool:
    """Whether a breach began at the change: content before, clearly and as the judge saw it, and broken after."""
    content = not before.wanted or before.ratio > 1 - TOLERANCE + NEAR
    return truth.broken and content and heard[CHANGE][truth.tenant].answer is not Answer.BROKEN


def _detected(truth: Truth, heard: Heard) -> float | None:
    """Seconds from the change to the first `broken`, in the rest of the world's time."""
    ticks = sorted(at for at in heard if at > CHANGE)
    return next((at - CHANGE for at in ticks if heard[at][truth.tenant].answer is Answer.BROKEN), None)

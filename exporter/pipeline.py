"""One tick's thinking, from evidence to counters: join, promise, judge, ledger; and where these differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.drift import Drift, Idle, find
from exporter.guarantees import JudgeMemory, judge
from exporter.join import Memory, join
from exporter.ledger import Ledger, Limits, advance
from exporter.model import Snapshot
from exporter.partitions import Evidence
from exporter.policy import Policy
from exporter.promise import attach
from exporter.verdict import Verdicts


@dataclass(frozen=True, slots=True)
class State:
    """What one tick hands to the next. `last` is the snapshot of before, and `policy` what it was judged by."""

    memory: Memory = field(default_factory=Memory)
    judged: JudgeMemory = field(default_factory=JudgeMemory)
    ledger: Ledger = field(default_factory=Ledger)
    idle: Idle = field(default_factory=dict)
    last: Snapshot | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What one tick found out."""

    snapshot: Snapshot
    verdicts: Verdicts
    state: State
    drifts: tuple[Drift, ...] = ()


def step(state: State, evidence: Evidence, policy: Policy, limits: Limits) -> Result:
    """Think one tick through."""
    joined, memory = join(evidence, state.memory, policy, state.last if state.policy is policy else None)
    snapshot = attach(joined, policy)
    verdicts, judged = judge(snapshot, policy, state.judged)
    ledger = advance(state.ledger, snapshot, verdicts, limits)
    drifts, idle = find(snapshot, verdicts, policy, state.idle)
    return Result(snapshot, verdicts, State(memory, judged, ledger, idle, snapshot, policy), drifts)

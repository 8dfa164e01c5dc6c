"""Properties of the judge and the ledger over random nodes, whatever their readings say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exporter.catalogue import PartitionKey
from exporter.guarantees import JudgeMemory, judge
from exporter.ledger import NS, Account, Ledger, Limits, advance
from exporter.model import Missing, Reading, Snapshot
from exporter.partitions import Evidence
from exporter.pipeline import State, step
from exporter.policy import Policy
from exporter.verdict import Cause, Guarantee, Outcome, Verdict, Verdicts, applying
from tests.judge.absurd import instants, stories
from tests.judge.made import partition, snapshot

LIMITS = Limits()
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""A whole node takes minutes to shrink, and the printed one is read well enough."""
POLICIES = st.sampled_from([Policy(), Policy(time_slicing_memory_fair=True)])


def judged(told: Iterable[Snapshot], policy: Policy) -> list[tuple[Snapshot, Verdicts]]:
    memory, answers = JudgeMemory(), []
    for instant in told:
        verdicts, memory = judge(instant, policy, memory)
        answers.append((instant, verdicts))
    return answers


def finite(reading: Reading) -> bool:
    return isinstance(reading, Missing) or math.isfinite(reading)


def sound(verdict: Verdict) -> None:
    loss, neighbours = verdict.loss, verdict.neighbours
    assert verdict.outcome in set(Outcome)
    assert (verdict.outcome is Outcome.BROKEN) == bool(loss)
    assert (verdict.outcome is Outcome.BLIND) == (verdict.reason is not None)
    assert all(0 <= part <= 1 for part in loss.values()), loss
    assert sum(loss.values()) <= 1 + 1e-9
    assert all(part >= 0 for part in neighbours.values())
    assert math.isclose(sum(neighbours.values()), loss.get(Cause.NEIGHBOUR, 0.0), rel_tol=1e-9, abs_tol=1e-12)
    assert finite(verdict.entitled)
    assert finite(verdict.delivered)


@given(instants(), POLICIES)
@settings(max_examples=150, deadline=None, phases=UNSHRUNK)
def test_the_judge_answers_every_guarantee_soundly_whatever_it_is_told(told: list[Snapshot], policy: Policy) -> None:
    for instant, verdicts in judged(told, policy):
        assert set(verdicts) == {p.key for p in instant.partitions}
        for each in instant.partitions:
            assert tuple(verdicts[each.key]) == applying(each)
            for verdict in verdicts[each.key].values():
                sound(verdict)


@given(instants())
@settings(max_examples=20, deadline=None, phases=UNSHRUNK)
def test_the_same_instants_are_judged_the_same(told: list[Snapshot]) -> None:
    assert [v for _, v in judged(told, Policy())] == [v for _, v in judged(told, Policy())]


@given(instants(), POLICIES)
@settings(max_examples=100, deadline=None, phases=UNSHRUNK)
def test_the_ledger_takes_whatever_the_judge_says(told: list[Snapshot], policy: Policy) -> None:
    books, ledger = Books(), Ledger()
    for instant, verdicts in judged(told, policy):
        ledger = advance(ledger, instant, verdicts, LIMITS)
        books.check(instant, verdicts, ledger)


@given(stories(), POLICIES, st.sets(st.integers(1, 5), max_size=1))
@settings(max_examples=50, deadline=None, phases=UNSHRUNK)
def test_every_sum_holds_across_missed_ticks_jumping_clocks_births_ends_reshapes_and_restarts(
    told: list[Evidence], policy: Policy, restarts: set[int]
) -> None:
    books, state = Books(), State()
    for number, evidence in enumerate(told):
        if number in restarts:
            books, state = Books(), State()
        result = step(state, evidence, policy, LIMITS)
        state = result.state
        for verdicts in result.verdicts.values():
            for verdict in verdicts.values():
                sound(verdict)
        books.check(result.snapshot, result.verdicts, state.ledger)


class Books:
    """Keeps the same accounts in the plainest way, and compares."""

    def __init__(self) -> None:
        self._before = Ledger()
        self._ages: dict[tuple[PartitionKey, Guarantee], int] = {}
        self._lost: dict[tuple[PartitionKey, Guarantee, Cause], int] = {}

    def check(self, instant: Snapshot, verdicts: Verdicts, ledger: Ledger) -> None:
        """Compare the ledger after one more tick."""
        passed = 0 if self._before.at is None else max(0, round(instant.at * NS) - self._before.at)
        for key, account in ledger.accounts.items():
            if account.gone_at is None:
                self._spend(key, account, verdicts[key], passed)
            self._sums(key, account)
        self._shares(ledger)
        self._gpus(ledger, passed)
        self._before = ledger

    def _spend(self, key: PartitionKey, account: Account, verdicts: Mapping[Guarantee, Verdict], passed: int) -> None:
        before = self._before.accounts.get(key)
        reborn = before is None or before.gone_at is not None or before.pod_uid not in {"", account.pod_uid}
        for guarantee, verdict in verdicts.items():
            if reborn or (before is not None and (guarantee, Outcome.KEPT) not in before.outcomes):
                self._ages[key, guarantee] = 0
                self._lost = {name: ns for name, ns in self._lost.items() if name[:2] != (key, guarantee)}
                continue
            self._ages[key, guarantee] += passed
            for cause, part in verdict.loss.items() if passed <= LIMITS.gap else ():
                name = (key, guarantee, cause)
                self._lost[name] = self._lost.get(name, 0) + round(part * passed)

    def _sums(self, key: PartitionKey, account: Account) -> None:
        for guarantee in {g for g, _ in account.outcomes}:
            spent = {outcome: account.outcomes[guarantee, outcome] for outcome in Outcome}
            lost = {cause: ns for (g, cause), ns in account.lost.items() if g is guarantee}
            named = sum(ns for (g, _), ns in account.to_neighbour.items() if g is guarantee)
            unseen = sum(ns for (g, _), ns in account.blind.items() if g is guarantee)
            assert sum(spent.values()) == self._ages[key, guarantee], "outcomes sum to the age"
            assert unseen == spent[Outcome.BLIND], "reasons sum to blind"
            assert lost == {c: ns for (k, g, c), ns in self._lost.items() if (k, g) == (key, guarantee)}, "the loss"
            assert sum(lost.values()) <= spent[Outcome.BROKEN] + 3 * len(Cause), "no more is lost than was broken"
            assert named == lost.get(Cause.NEIGHBOUR, 0), "neighbours sum to the cause"

    def _shares(self, ledger: Ledger) -> None:
        for key, account in ledger.accounts.items():
            before = self._before.accounts.get(key)
            grew = before is None or before.pod_uid != account.pod_uid or account.promised >= before.promised
            assert grew or account.promised == 0, "counters never fall but to zero"
            assert 0 <= account.delivered <= account.promised + 10
            assert min(account.borrowed, account.energy) >= 0

    def _gpus(self, ledger: Ledger, passed: int) -> None:
        for uuid, account in ledger.gpus.items():
            before = self._before.gpus.get(uuid)
            parts = [getattr(account.states, f.name) for f in fields(account.states)]
            assert min(parts) >= 0
            earlier = parts if before is None else [getattr(before.states, f.name) for f in fields(before.states)]
            assert all(now >= then for now, then in zip(parts, earlier, strict=True))
            if before is None:
                assert sum(parts) == 0
            else:
                assert sum(parts) - sum(earlier) == passed, "one GPU-second a second"


def test_the_books_themselves_notice_a_second_that_is_missing() -> None:
    # A checker that accepts anything proves nothing.
    part = partition()
    books, ledger = Books(), Ledger()
    verdicts = {part.key: {Guarantee.AVAILABILITY: Verdict(Outcome.KEPT)}}
    for instant in (snapshot(part, at=at) for at in (0.0, 1.0)):
        ledger = advance(ledger, instant, verdicts, LIMITS)
        books.check(instant, verdicts, ledger)
    with pytest.raises(AssertionError, match="age"):
        books.check(snapshot(part, at=3.0), verdicts, ledger)

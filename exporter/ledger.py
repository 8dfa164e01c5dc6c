"""The ledger: cumulative counters of partitions and GPUs, advanced by one tick.

Pure. Time is kept in integer nanoseconds, so that outcomes sum to the age, causes to the loss and blind reasons to the
blind time exactly. A partition's counters are born together at zero on the tick that first sees it, and stay for a while
after it has gone, so that a scrape sees the end. A pod of the same name with another uid starts again at zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from exporter.accounting import Holding, Split, apportion, holding_of, split_energy, split_time
from exporter.availability import device_of_event
from exporter.catalogue import PartitionKey, XidKey
from exporter.model import Device, GpuState, GpuUuid, Missing, Reason, Snapshot, Throttle
from exporter.verdict import Cause, Guarantee, Neighbour, Outcome, Verdict, Verdicts, blind

K = TypeVar("K")

NS = 1_000_000_000
_UJ = 1_000_000
_ABSURD_JOULES = 1e15
"""A kilowatt takes 30,000 years to this; the counter is a 64-bit number of millijoules and can be garbage above it."""

MOST_NEIGHBOURS = 64
"""Neighbours that are named for a guarantee of a partition, in its whole life; what later ones take is OTHERS'."""

OTHERS: Neighbour = ("", "(others)")
"""No namespace and no name that Kubernetes would accept, so that it is taken for no pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One partition's counters: nanoseconds, share-nanoseconds, microjoules."""

    pod_uid: str
    outcomes: Mapping[tuple[Guarantee, Outcome], int] = field(default_factory=dict)
    lost: Mapping[tuple[Guarantee, Cause], int] = field(default_factory=dict)
    to_neighbour: Mapping[tuple[Guarantee, Neighbour], int] = field(default_factory=dict)
    blind: Mapping[tuple[Guarantee, Reason], int] = field(default_factory=dict)
    promised: int = 0
    delivered: int = 0
    borrowed: int = 0
    energy: int = 0
    gone_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuAccount:
    """One GPU's counters and the marks they are measured from."""

    states: Split = field(default_factory=lambda: Split(0, 0, 0, 0, 0, 0))
    throttled: Mapping[Throttle, int] = field(default_factory=lambda: dict.fromkeys(Throttle, 0))
    energy_mark: int | None = None  # the driver's counter when last read, microjoules
    idle_watts: float | None = None  # the least mean power seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every counter that this program keeps itself. `at` is the last tick in monotonic nanoseconds."""

    at: int | None = None
    accounts: Mapping[PartitionKey, Account] = field(default_factory=dict)
    gpus: Mapping[GpuUuid, GpuAccount] = field(default_factory=dict)
    xids: Mapping[XidKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long counters outlive their partition, and how long an interval may be to count as observed (nanoseconds)."""

    keep: int = 60 * NS
    gap: int = 5 * NS


def advance(ledger: Ledger, snapshot: Snapshot, verdicts: Verdicts, limits: Limits) -> Ledger:
    """Add the interval since the last tick, which this tick's verdicts are taken to hold for.

    An interval longer than `limits.gap` was not observed (a suspended process, a machine asleep): it is blind, `stale`.
    """
    now = round(snapshot.at * NS)
    interval = 0 if ledger.at is None else max(0, now - ledger.at)
    observed = interval <= limits.gap
    holdings = {p.key: holding_of(p, verdicts[p.key].get(Guarantee.COMPUTE)) for p in snapshot.partitions}
    by_gpu: dict[GpuUuid, list[PartitionKey]] = defaultdict(list)
    for key in holdings:
        by_gpu[GpuUuid(key.gpu)].append(key)
    devices: dict[GpuUuid, list[Device]] = defaultdict(list)
    for device in snapshot.devices:
        devices[device.gpu].append(device)
    gpus: dict[GpuUuid, GpuAccount] = {}
    energy: dict[PartitionKey, int] = {}
    for state in snapshot.gpus:
        keys = by_gpu[state.gpu.uuid]
        gpus[state.gpu.uuid], parts = _gpu(
            ledger.gpus.get(state.gpu.uuid),
            state,
            [holdings[key] for key in keys],
            devices[state.gpu.uuid],
            interval,
            visible=observed and snapshot.doubt is None and not state.gpu.lost,
        )
        energy |= zip(keys, parts, strict=True)
    accounts = {
        p.key: _account(
            ledger.accounts.get(p.key),
            p.owner.pod_uid,
            verdicts[p.key] if observed else dict.fromkeys(verdicts[p.key], _UNSEEN),
            interval,
            (*(_shares(holdings[p.key], interval) if observed else (0, 0, 0)), energy.get(p.key, 0)),
        )
        for p in snapshot.partitions
    }
    for key, account in ledger.accounts.items():
        if key not in accounts and (kept := _departed(account, now, limits)) is not None:
            accounts[key] = kept
    return Ledger(at=now, accounts=accounts, gpus=gpus, xids=_xids(ledger.xids, snapshot))


def _account(
    before: Account | None,
    uid: str,
    verdicts: Mapping[Guarantee, Verdict],
    interval: int,
    shares: tuple[int, int, int, int],
) -> Account:
    """Advance one account; `shares` are what was promised, delivered and borrowed, and the energy."""
    if before is None or before.gone_at is not None or (uid and before.pod_uid and uid != before.pod_uid):
        born = {(guarantee, outcome): 0 for guarantee in verdicts for outcome in Outcome}
        return Account(pod_uid=uid, outcomes=born)
    promised, delivered, borrowed, energy = shares
    counts = _Counts(dict(before.outcomes), before.lost, before.to_neighbour, before.blind)
    for guarantee, verdict in verdicts.items():
        counts.spend(guarantee, verdict, interval)
    return Account(
        pod_uid=uid or before.pod_uid,
        outcomes=counts.outcomes,
        lost=counts.lost,
        to_neighbour=counts.to_neighbour,
        blind=counts.blind,
        promised=before.promised + promised,
        delivered=before.delivered + delivered,
        borrowed=before.borrowed + borrowed,
        energy=before.energy + energy,
    )


_UNSEEN = blind(Reason.STALE)


@dataclass(slots=True)
class _Counts:
    """One account's counters while a tick is added to them. What is seldom added to is copied when it is."""

    outcomes: dict[tuple[Guarantee, Outcome], int]
    lost: Mapping[tuple[Guarantee, Cause], int]
    to_neighbour: Mapping[tuple[Guarantee, Neighbour], int]
    blind: Mapping[tuple[Guarantee, Reason], int]

    def spend(self, guarantee: Guarantee, verdict: Verdict, interval: int) -> None:
        """Add an interval (nanoseconds) under a verdict; a guarantee that is new here is born at zero."""
        spent = self.outcomes.get((guarantee, verdict.outcome))
        if spent is None:
            self.outcomes |= {(guarantee, outcome): 0 for outcome in Outcome}
            return
        self.outcomes[guarantee, verdict.outcome] = spent + interval
        if verdict.outcome is Outcome.BLIND:
            reason = Reason.ERROR if verdict.reason is None else verdict.reason
            self.blind = _with(self.blind, (guarantee, reason), interval)
        for cause, fraction in verdict.loss.items():
            part = round(fraction * interval)
            self.lost = _with(self.lost, (guarantee, cause), part)
            if cause is Cause.NEIGHBOUR:
                self._blame(guarantee, verdict.neighbours, part)

    def _blame(self, guarantee: Guarantee, neighbours: Mapping[Neighbour, float], lost: int) -> None:
        for who, part in zip(neighbours, apportion(lost, tuple(neighbours.values())), strict=True):
            self.to_neighbour = _with(self.to_neighbour, (guarantee, self._named(guarantee, who)), part)

    def _named(self, guarantee: Guarantee, who: Neighbour) -> Neighbour:
        """The neighbour itself, as long as not too many are named already: a tenant can make pods without end."""
        if (guarantee, who) in self.to_neighbour:
            return who
        named = sum(of is guarantee for of, _ in self.to_neighbour)
        return who if named < MOST_NEIGHBOURS else OTHERS


def _with(counts: Mapping[K, int], key: K, part: int) -> Mapping[K, int]:
    return {**counts, key: counts.get(key, 0) + part}


def _shares(holding: Holding, interval: int) -> tuple[int, int, int]:
    promised = holding.promised or 0.0
    used = holding.used or 0.0
    delivered = min(used, promised if holding.whole is None else holding.whole)
    return round(promised * interval), round(delivered * interval), round((used - delivered) * interval)


def _departed(account: Account, now: int, limits: Limits) -> Account | None:
    if account.gone_at is None:
        return replace(account, gone_at=now)
    return account if now - account.gone_at < limits.keep else None


def _gpu(
    before: GpuAccount | None,
    state: GpuState,
    holdings: list[Holding],
    devices: list[Device],
    interval: int,
    *,
    visible: bool,
) -> tuple[GpuAccount, tuple[int, ...]]:
    """Advance one GPU; returns its account and the energy that each holding is charged with (microjoules)."""
    account, interval = (GpuAccount(), 0) if before is None else (before, interval)
    throttled = dict(account.throttled)
    throttle = state.use.throttle
    if visible and not isinstance(throttle, Missing):
        for reason in throttle:
            throttled[reason] += interval
    mark, idle_watts, parts = _energy(account, state, holdings, devices, interval)
    states = _added(account.states, split_time(holdings, interval, visible=visible))
    return GpuAccount(states=states, throttled=throttled, energy_mark=mark, idle_watts=idle_watts), parts


def _added(a: Split, b: Split) -> Split:
    return Split(
        delivered=a.delivered + b.delivered,
        borrowed=a.borrowed + b.borrowed,
        idle_held=a.idle_held + b.idle_held,
        unsold=a.unsold + b.unsold,
        switching=a.switching + b.switching,
        blind=a.blind + b.blind,
    )


def _energy(
    account: GpuAccount, state: GpuState, holdings: list[Holding], devices: list[Device], interval: int
) -> tuple[int | None, float | None, tuple[int, ...]]:
    """Attribute the energy since the last reading; what the board draws at the least is its idle part."""
    nothing = (0,) * len(holdings)
    counter = state.use.energy_joules
    if isinstance(counter, Missing) or not 0 <= counter < _ABSURD_JOULES:
        return account.energy_mark, account.idle_watts, nothing
    mark = round(counter * _UJ)
    if account.energy_mark is None or mark < account.energy_mark or interval == 0:
        return mark, account.idle_watts, nothing
    used = mark - account.energy_mark
    watts = used / _UJ / (interval / NS)
    idle_watts = watts if account.idle_watts is None else min(account.idle_watts, watts)
    idle = round(idle_watts * interval / NS * _UJ)
    shares = split_energy(used, idle, holdings, _activity(state, devices))
    return mark, idle_watts, shares.parts


def _activity(state: GpuState, devices: list[Device]) -> float | None:
    """The GPU's active share, unowned instances included; None when it is not measured."""
    of_gpu = state.gpu.sm_count
    total, measured = 0.0, False
    for device in devices:
        active = device.use.sm_active if device.kind == "mig" else _first(device)
        if isinstance(active, Missing) or isinstance(device.sm_count, Missing) or isinstance(of_gpu, Missing):
            continue
        if of_gpu <= 0:
            continue
        if device.kind == "gpu" and state.gpu.mig_current is True:
            continue  # its instances are counted
        total, measured = total + active * device.sm_count / of_gpu, True
    return min(1.0, max(0.0, total)) if measured else None


def _first(device: Device) -> float | Missing:
    active = device.use.sm_active
    return device.use.utilisation if isinstance(active, Missing) else active


def _xids(before: Mapping[XidKey, int], snapshot: Snapshot) -> Mapping[XidKey, int]:
    if not snapshot.events:
        return before
    counts = dict(before)
    for event in snapshot.events:
        key = XidKey(event.gpu, device_of_event(event, snapshot), str(event.xid))
        counts[key] = counts.get(key, 0) + 1
    return counts

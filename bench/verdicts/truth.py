"""What each guarantee's answer should be, from what the simulator knows to have happened, by the words of the contract.

The simulator writes down who got what; the contract (docs/design.md, sections 3 to 5) says what of it is a breach. Where
they differ the contract decides:

* compute on an exclusive device is about clocks and what is attached: what an intruder takes is a breach of isolation,
  not of compute. It is demanded while the device's engine is busy, whoever keeps it busy; where that is an intruder
  alone, the simulator keeps no clock for the owner, and the tick is left out.
* the promise of a MIG instance is that of the profile asked for, which may not be the one attached.
* an intruder and a device that is missing or was reshaped count from the second join; the first tick is left out. A
  process that the contract allows by name is no intruder.
* memory that nobody holds too much of is missing for the driver's reserve, then for processes that are allowed by name,
  then, where more slots are held than there are, for all neighbours together, by what they hold.
* an XID or an uncorrectable error of the hardware breaks availability for a minute, or until a lost GPU is back.
* a device that is not there leaves every other guarantee unknowable. So do compute under time-slicing (which another
  bench measures), compute and limits under MPS, the clockwork of a MIG board without GPM, and a source that fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bench.verdicts.seen import Seen, SeenLease
from exporter.model import Sharing
from exporter.policy import Policy
from exporter.verdict import Cause, Guarantee, Neighbour, Outcome

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The answer that is right. `outcome` None: left out. `clear`: well away from the threshold.

    `broken` is whether the promise is broken in fact, before the judge may say so. `cause` and `neighbour` are None
    where several are about equally to blame.
    """

    outcome: Outcome | None
    broken: bool = False
    knowable: bool = True
    clear: bool = True
    cause: Cause | None = None
    neighbour: Neighbour | None = None


KEPT = Expected(outcome=Outcome.KEPT)
LEFT_OUT = Expected(outcome=None, knowable=False)


@dataclass(frozen=True, slots=True)
class Case:
    """A lease at a tick, what was seen of it in the tick before, and the policy."""

    now: SeenLease
    before: SeenLease | None
    policy: Policy


def expected(seen: Seen, before: Seen | None, policy: Policy) -> Mapping[tuple[str, str, Guarantee], Expected]:
    """Answer every guarantee of every lease, by namespace and pod; a pod has one lease in these worlds."""
    found: dict[tuple[str, str, Guarantee], Expected] = {}
    for who, lease in seen.leases.items():
        case = Case(lease, None if before is None else before.leases.get(who), policy)
        for guarantee, answer in _answers(case).items():
            found[*who, guarantee] = answer
    return found


def _answers(case: Case) -> Mapping[Guarantee, Expected]:
    if case.now.gone:
        lost = dict.fromkeys(Guarantee, LEFT_OUT)
        return lost | {Guarantee.AVAILABILITY: _gone(case)}
    return {
        Guarantee.AVAILABILITY: _availability(case),
        Guarantee.CONFORMANCE: _conformance(case),
        Guarantee.MEMORY: _memory(case),
        Guarantee.COMPUTE: _compute(case),
        Guarantee.ISOLATION: _isolation(case),
    }


def _broken(cause: Cause | None, neighbour: Neighbour | None = None, *, clear: bool = True) -> Expected:
    return Expected(outcome=Outcome.BROKEN, broken=True, cause=cause, neighbour=neighbour, clear=clear)


def _gone(case: Case) -> Expected:
    if case.now.gone == "device_lost":
        return _broken(Cause.DEVICE_LOST)
    if case.before is None or not case.before.gone:
        return Expected(outcome=None, broken=True)
    return _broken(Cause.MIG_RECONFIGURED)


def _availability(case: Case) -> Expected:
    if case.now.xid:
        return _broken(Cause.XID)
    return _broken(Cause.ECC) if case.now.ecc else KEPT


def _conformance(case: Case) -> Expected:
    now = case.now
    if now.slots_held > now.slots_offered:
        return _broken(Cause.OVERSUBSCRIBED)
    if now.sharing is Sharing.MPS:
        return LEFT_OUT
    lacking = now.attached_share < now.promised_share or now.attached_bytes < now.promised_bytes * (
        1 - case.policy.memory_tolerance
    )
    return _broken(Cause.WRONG_PROFILE) if now.sharing is Sharing.MIG and lacking else KEPT


def _memory(case: Case) -> Expected:
    now, before, tolerance = case.now, case.before, case.policy.memory_tolerance
    promised = now.promised_bytes
    rogues = _by_pod(now)
    strangers = sum(rogues.values()) + sum(now.hosts.values()) if now.exclusive else 0.0
    ratio = (now.used_bytes - strangers + now.free_bytes) / promised
    clear = abs(ratio - (1 - tolerance)) > tolerance / 2
    if before is None or (now.rogues.keys(), now.hosts.keys()) != (before.rogues.keys(), before.hosts.keys()):
        return Expected(outcome=None, broken=ratio < 1 - tolerance)
    if ratio >= 1 - tolerance:
        return Expected(outcome=Outcome.KEPT, clear=clear)
    causes, taken = _holders(now, promised * (1 - ratio))
    return _broken(_leader(causes), _leader(taken), clear=clear)


def _holders(now: SeenLease, missing: float) -> tuple[dict[Cause, float], dict[Neighbour, float]]:
    """Who holds the missing bytes: those above their promise, then what is kept back, then whoever is left."""
    taken = _by_pod(now)
    for other in now.neighbours:
        taken[other.who] = taken.get(other.who, 0.0) + max(0.0, other.held - other.promised)
    unattached = max(0.0, now.promised_bytes - now.attached_bytes) if now.sharing is Sharing.MIG else 0.0
    host = sum(now.hosts.values())
    rest = max(0.0, missing - sum(taken.values()) - unattached - host)
    reserved = min(now.reserved_bytes, rest)
    allowed = min(now.allowed_bytes, rest - reserved)
    rest -= reserved + allowed
    if now.slots_held > now.slots_offered:
        whole = sum(other.held for other in now.neighbours) or 1.0
        for other in now.neighbours:
            taken[other.who] = taken.get(other.who, 0.0) + rest * other.held / whole
    causes = {
        Cause.NEIGHBOUR: sum(taken.values()),
        Cause.HOST_PROCESS: host + allowed,
        Cause.WRONG_PROFILE: unattached,
        Cause.RESERVED: reserved,
    }
    return causes, taken


def _by_pod(lease: SeenLease) -> dict[Neighbour, float]:
    held: dict[Neighbour, float] = {}
    for who, size in lease.rogues.values():
        held[who] = held.get(who, 0.0) + size
    return held


def _compute(case: Case) -> Expected:
    now, policy = case.now, case.policy
    if not now.exclusive or not now.activity_known:
        return LEFT_OUT
    away = abs(now.engine - policy.busy_threshold) > 0.03
    if now.engine < policy.busy_threshold:
        return Expected(outcome=Outcome.IDLE, clear=away)
    if not now.wanted:
        return LEFT_OUT
    whole = min(now.promised_share, now.attached_share) / now.promised_share
    slow = {cause: lost / now.attached_share * whole for cause, lost in now.slowed.items()}
    ratio = whole - sum(slow.values())
    threshold = 1 - policy.compute_tolerance
    at_end = whole * min(1.0, now.clock / policy.reference_clock)
    clear = away and abs(ratio - threshold) > 0.1 and (at_end >= threshold) == (ratio >= threshold)
    if ratio >= threshold:
        return Expected(outcome=Outcome.KEPT, clear=clear)
    return _broken(_leader({**slow, Cause.WRONG_PROFILE: 1 - whole}), clear=clear)


def _isolation(case: Case) -> Expected:
    now, before = case.now, case.before
    settled = (set(), set()) if before is None else (now.rogues.keys() & before.rogues, now.hosts.keys() & before.hosts)
    if settled[0]:
        return _broken(Cause.ROGUE_POD)
    if now.rogues or (now.hosts and not settled[1]):
        return Expected(outcome=None, broken=True)
    if settled[1]:
        return _broken(Cause.HOST_PROCESS)
    capped = now.sharing is Sharing.MPS or (
        now.sharing is Sharing.TIME_SLICING and case.policy.time_slicing_memory_fair
    )
    limit = 1 + case.policy.memory_tolerance
    if capped and any(other.held > other.promised * limit for other in now.neighbours):
        return _broken(Cause.NEIGHBOUR_OVERRUN)
    return KEPT


def _leader(parts: Mapping[K, float]) -> K | None:
    """Who took most, when nobody else took nearly as much."""
    ranked = sorted(parts.items(), key=lambda item: item[1], reverse=True)
    if not ranked or ranked[0][1] <= 0 or (len(ranked) > 1 and ranked[1][1] > 0.8 * ranked[0][1]):
        return None
    return ranked[0][0]

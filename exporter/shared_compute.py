"""Compute on a time-sliced device: whether each holder is as well off as alone on a device as fast as its promise.

Pure. One device, one tick: `assess(memory, sample, policy)` answers for every promise of the sample, and hands back what to
remember. It never raises on odd readings: what cannot be true is blind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from exporter.catalogue import PartitionKey
from exporter.demand import Answer, Assessment, DemandPolicy, Holder, Intruder, Sample
from exporter.demand_blame import blame
from exporter.demand_elasticity import largest
from exporter.demand_verdict import Verdict, decide, or_untold
from exporter.demand_window import EMPTY, Entry, Means, Tick, Track, grown, means
from exporter.model import Missing, Reason
from exporter.queueing import readiness

_ROUNDING = 0.01
"""A whole percent a process: how far the sum of the shares may exceed 1."""

_EXCESS = 0.10
"""Beyond rounding: processes are not sampled at the same instant."""

_FULL = 0.93
"""A device whose busiest seconds add up to less than this was idle at times, and not merely switching."""

_LEAST_PROMISE = 1e-3
"""A share that whole percents cannot tell from nothing."""

_LATELY = 20.0
"""Seconds for which a process that used something counts as one that works."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The last answer that evidence decided, to stand in for an undecided one."""

    at: float
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """What is remembered of one device between ticks; bounded by its holders and its processes."""

    good_at: float | None = None
    tracks: Mapping[Holder, Track] = field(default_factory=dict)
    pids: Mapping[Holder, frozenset[int]] = field(default_factory=dict)
    worked: Mapping[int, float] = field(default_factory=dict)  # pid → when it last used something
    totals: tuple[float, ...] = ()  # of the last ticks with two or more at work
    efficiency: float = 1.0  # what they leave of a second for work
    decided: Mapping[PartitionKey, Decided] = field(default_factory=dict)


def assess(
    memory: DeviceMemory, sample: Sample, policy: DemandPolicy
) -> tuple[Mapping[PartitionKey, Assessment], DeviceMemory]:
    """Answer for every promise of one device at one tick, and return what to remember.

    A promise that is no share from 0.001 to 1, a tick without a time, and shares that cannot be true are blind,
    `contradiction`. A tick without readings is answered from the window for `policy.patience` seconds.
    """
    # Sorted, as the processes are below: equal devices must give equal answers to the last bit of a sum.
    promises = {key: p for key, p in sorted(sample.promises.items()) if _LEAST_PROMISE <= p <= 1.0}
    absurd = {key: _blind(Reason.CONTRADICTION) for key in sample.promises if key not in promises}
    if not math.isfinite(sample.at):
        return absurd | dict.fromkeys(promises, _blind(Reason.CONTRADICTION)), memory
    memory = _aged(memory, sample.at, policy)
    shares = _shares(sample)
    reason: Reason | None = None
    if isinstance(shares, Missing):
        reason = shares.reason
    elif sample.at != memory.good_at:
        memory = _observe(memory, sample, shares, promises, policy)
    answers, decided = _answers(memory, sample.at, promises, reason, policy)
    return absurd | answers, replace(memory, decided=decided)


def _blind(reason: str) -> Assessment:
    return Assessment(answer=Answer.BLIND, reason=reason)


def _aged(memory: DeviceMemory, at: float, policy: DemandPolicy) -> DeviceMemory:
    """Start the window again where time did not pass as it should; a clock that went back forgets everything."""
    before = memory.good_at
    if before is None or 0.0 <= at - before <= policy.gap:
        return memory
    if at < before or at - before > policy.appetite_seconds:
        return DeviceMemory()
    tracks = {holder: Track((Entry(at=at),), track.levels) for holder, track in memory.tracks.items()}
    return replace(memory, good_at=None, tracks=tracks, totals=(), efficiency=1.0, decided={})


def _shares(sample: Sample) -> Mapping[int, tuple[Holder, float]] | Missing:
    """Each process's share, or why this tick cannot be used."""
    if isinstance(sample.processes, Missing):
        return sample.processes
    found: dict[int, tuple[Holder, float]] = {}
    for process in sorted(sample.processes, key=attrgetter("pid")):
        share = process.share
        if isinstance(share, Missing):
            return share
        if not 0.0 <= share <= 1.0 + _ROUNDING or process.pid in found:
            return Missing(Reason.CONTRADICTION)
        holder = process.holder
        if isinstance(holder, PartitionKey) and holder not in sample.promises:
            holder = Intruder.UNPLACED
        found[process.pid] = holder, share
    total = sum(share for _, share in found.values())
    if total > 1.0 + _EXCESS + _ROUNDING * len(found):
        return Missing(Reason.CONTRADICTION)
    if total > 1.0:
        found = {pid: (holder, share / total) for pid, (holder, share) in found.items()}
    return found


def _observe(
    memory: DeviceMemory,
    sample: Sample,
    shares: Mapping[int, tuple[Holder, float]],
    promises: Mapping[PartitionKey, float],
    policy: DemandPolicy,
) -> DeviceMemory:
    """Add one good sample to every track."""
    at = sample.at
    seconds = 1.0 if memory.good_at is None else min(2.0, at - memory.good_at)
    totals = _totals(memory.totals, shares, policy)
    efficiency = _efficiency(totals)
    pids = sorted(shares)
    ready = dict(zip(pids, readiness([min(1.0, shares[pid][1] / efficiency) for pid in pids]), strict=True))
    worked = {pid: at if shares[pid][1] > 0.0 else memory.worked.get(pid, -math.inf) for pid in pids}
    queue = sum(ready.values())
    first, beside = largest(shares.values())
    tracks: dict[Holder, Track] = {}
    present: dict[Holder, frozenset[int]] = {}
    # Sums are of lists: for a few numbers a generator costs more than it saves, and this runs for every holder.
    for holder, own in _members(memory, shares, promises).items():
        present[holder] = frozenset(own) or memory.pids.get(holder, frozenset())
        tracks[holder] = grown(
            _known(memory, holder, present[holder], at),
            Tick(
                at,
                seconds,
                sum([shares[pid][1] for pid in own]),
                sum([ready[pid] for pid in own]),
                queue,
                len(own),
                sum([at - worked[pid] <= _LATELY for pid in own]),
                sample.declared.get(holder) if isinstance(holder, PartitionKey) else None,
                beside[holder != first],
            ),
            at - policy.window,
        )
    return replace(memory, good_at=at, tracks=tracks, pids=present, worked=worked, totals=totals, efficiency=efficiency)


def _members(
    memory: DeviceMemory, shares: Mapping[int, tuple[Holder, float]], promises: Mapping[PartitionKey, float]
) -> dict[Holder, list[int]]:
    """Return everybody's pids in order. An intruder that has gone is still in the window."""
    members: dict[Holder, list[int]] = {key: [] for key in promises}
    members |= {holder: [] for holder in memory.tracks if isinstance(holder, Intruder)}
    for pid, (holder, _) in shares.items():
        members.setdefault(holder, []).append(pid)
    return members


def _known(memory: DeviceMemory, holder: Holder, pids: frozenset[int], at: float) -> Track:
    """The track so far. Other processes are another appetite; the window goes on, since the tenant is the same."""
    track = memory.tracks.get(holder)
    if track is None:
        return Track((Entry(at=at - 1.0),))
    before = memory.pids.get(holder, frozenset())
    return track if pids == before or not before else Track(track.entries, EMPTY)


def _totals(
    before: tuple[float, ...], shares: Mapping[int, tuple[Holder, float]], policy: DemandPolicy
) -> tuple[float, ...]:
    used = [share for _, share in shares.values() if share > 0.0]
    return (*before, sum(used))[-int(policy.window) :] if len(used) > 1 else before


def _efficiency(totals: tuple[float, ...]) -> float:
    """What is left of a second for work when turns change: the busiest third of the seconds with two or more at work."""
    if len(totals) < 3:  # noqa: PLR2004  # no third of less
        return 1.0
    top = sorted(totals)[-max(1, len(totals) // 3) :]
    busiest = sum(top) / len(top)
    return min(1.0, busiest) if busiest >= _FULL else 1.0


def _answers(
    memory: DeviceMemory,
    at: float,
    promises: Mapping[PartitionKey, float],
    reason: Reason | None,
    policy: DemandPolicy,
) -> tuple[dict[PartitionKey, Assessment], dict[PartitionKey, Decided]]:
    horizon = at - policy.window
    windows = {holder: means(track, horizon) for holder, track in memory.tracks.items()}
    answers: dict[PartitionKey, Assessment] = {}
    decided: dict[PartitionKey, Decided] = {}
    turning = 1.0 - memory.efficiency
    silent = reason is not None and (memory.good_at is None or at - memory.good_at > policy.patience)
    for key, promise in promises.items():
        if silent:
            answers[key] = _blind(Reason.ERROR if reason is None else reason)
            continue
        verdict = _verdict(
            windows.get(key), memory.tracks.get(key), at, promise, policy, windows.get(Intruder.UNPLACED)
        )
        if verdict.settled:
            decided[key] = Decided(at, verdict.answer)
        elif (last := memory.decided.get(key)) is not None and at - last.at <= policy.hold:
            decided[key] = last
            verdict = verdict.leaning(last.answer)
        answers[key] = _assessment(key, verdict, windows, promises, turning)
    return answers, decided


def _verdict(
    window: Means | None,
    track: Track | None,
    at: float,
    promise: float,
    policy: DemandPolicy,
    unplaced: Means | None,
) -> Verdict:
    if window is None or track is None:
        verdict = Verdict(Answer.IDLE)
    else:
        since = at - policy.appetite_seconds
        levels = tuple([level for level in track.levels if level.at >= since])
        verdict = decide(window, levels, promise, policy, 0.0 if unplaced is None else _beside(unplaced, window))
    return or_untold(verdict, unplaced, policy)


def _beside(other: Means, own: Means) -> float:
    """Another's share, averaged over the seconds in which this holder was there."""
    return other.share * min(1.0, other.seconds / own.seconds)


def _assessment(
    key: PartitionKey,
    verdict: Verdict,
    windows: Mapping[Holder, Means | None],
    promises: Mapping[PartitionKey, float],
    turning: float,
) -> Assessment:
    answer = Assessment(
        answer=verdict.answer,
        evidence=verdict.evidence,
        reason=verdict.reason,
        entitled=verdict.entitled,
        delivered=verdict.delivered if verdict.answer in {Answer.KEPT, Answer.BROKEN} else None,
    )
    if verdict.answer is not Answer.BROKEN or verdict.entitled is None or verdict.delivered is None:
        return answer
    own = windows[key]
    used = {
        holder: _beside(window, own)
        for holder, window in windows.items()
        if window is not None and own is not None and holder != key
    }
    causes, neighbours = blame(verdict.entitled.likely, verdict.delivered, used, promises, turning)
    return replace(answer, loss=causes, neighbours=neighbours)

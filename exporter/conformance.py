"""Conformance: is the attached device the promised one, is the promised limit set, is no more promised than there is.

Pure. Demanded always. What an enforcer has set is compared with the promise here, and becomes it nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from exporter.model import Missing, Partition, Promised, Reading, Reason
from exporter.policy import Policy
from exporter.promise import named_profile
from exporter.records import Sharing
from exporter.verdict import KEPT, Cause, Verdict, blind, broken

_PERCENT = 0.005
"""Shares are set in whole percents."""

_VOUCHED = frozenset({Sharing.DRA})
"""Modes whose records somebody else than the tenant stands for: a claim's status. HAMi's and KAI's are the pods' own text."""


def conformance(partition: Partition, holders: Sequence[Partition], policy: Policy) -> Verdict:
    """Answer for one partition whose device is present; `holders` are all partitions of the device, this one included."""
    if partition.illegible is not None:
        return blind(partition.illegible)
    sold = _oversold(partition, holders, policy)
    if sold is not None:
        return sold
    if partition.sharing is Sharing.HAMI or partition.mode is Sharing.MPS:
        return _enforced(partition, policy)
    if partition.promised_profile:
        return _profile(partition, policy)
    unread = partition.grant is None and isinstance(partition.replicas, Missing)
    return blind(partition.replicas.reason) if unread and isinstance(partition.replicas, Missing) else KEPT


def _oversold(partition: Partition, holders: Sequence[Partition], policy: Policy) -> Verdict | None:
    """More is held than there is: slots where the plugin counts them, else the amounts on record."""
    replicas = partition.replicas
    if partition.grant is None:
        if isinstance(replicas, Missing) or partition.holders <= replicas:
            return None
        return broken(Cause.OVERSUBSCRIBED, 1 - replicas / partition.holders)
    excess = oversold(holders, policy) if partition.sharing in _VOUCHED else 0.0
    return broken(Cause.OVERSUBSCRIBED, excess) if excess > 0 else None


def oversold(holders: Iterable[Partition], policy: Policy, vouched: Collection[Sharing] = _VOUCHED) -> float:
    """The fraction by which a device's recorded promises exceed it, in the worse dimension; 0 when they fit.

    A joint promise counts once. Records of modes that are not `vouched` for are left out.
    """
    compute = memory = total = 0.0
    for each in holders:
        if each.grant is None or each.sharing not in vouched:
            continue
        compute += _amount(each.promise.compute) / _parties(each)
        memory += _amount(each.promise.memory) / _parties(each)
        if each.device is not None and not isinstance(each.device.attached_memory_bytes, Missing):
            total = each.device.attached_memory_bytes
    excess = 1 - (1 + _PERCENT) / compute if compute > 0 else 0.0
    if total > 0 and memory > 0:
        excess = max(excess, 1 - total * (1 + policy.memory_tolerance) / memory)
    return max(0.0, excess)


def _parties(partition: Partition) -> int:
    """How many have one promise together; under MPS each container has the caps for itself."""
    return 1 if partition.mode is Sharing.MPS else partition.joint


def _amount(promised: Promised | None) -> float:
    return 0.0 if promised is None or isinstance(promised.amount, Missing) else promised.amount


def _enforced(partition: Partition, policy: Policy) -> Verdict:
    """Whether the limits that are set are the promised ones. An MPS limit is for each slot, and for each process in it."""
    if partition.grant is not None and partition.grant.unhooked:
        return broken(Cause.UNENFORCED)
    limit = partition.limit
    if isinstance(limit, Missing):
        return blind(limit.reason)
    share = 1.0 if limit.compute is None else limit.compute  # no limit of the share is all of it
    pairs = (
        (partition.promise.compute, share, _PERCENT, 0.0),
        (partition.promise.memory, limit.memory_bytes, 0.0, policy.memory_tolerance),
    )
    worst = 0.0
    for promised, actual, absolute, relative in pairs:
        if promised is None:
            continue
        if isinstance(promised.amount, Missing):
            return blind(promised.amount.reason)
        wanted = promised.amount / max(1, partition.slots)
        if promised is partition.promise.memory and not limit.memory_read:
            continue
        worst = max(worst, _unset(wanted, actual, absolute + wanted * relative))
    if worst > 0:
        return broken(Cause.UNENFORCED, worst)
    whole = limit.memory_read or partition.promise.memory is None
    return KEPT if whole else blind(Reason.UNSUPPORTED)


def _unset(promised: float, limit: float | None, slack: float) -> float:
    """The part of a promise that its limit does not keep: all of it where the limit is above it or not there."""
    if promised <= 0:
        return 0.0
    if limit is None or limit > promised + slack:
        return 1.0
    return 0.0 if limit >= promised - slack else 1 - limit / promised


def _profile(partition: Partition, policy: Policy) -> Verdict:
    profile, device = named_profile(partition), partition.device
    if profile is None or device is None:
        return blind(Reason.UNSUPPORTED)
    for attached in (device.sm_count, device.attached_memory_bytes):
        if isinstance(attached, Missing):
            return blind(attached.reason)
        if attached < 0:
            return blind(Reason.CONTRADICTION)
    missing_sms = _missing(device.sm_count, profile.sm_count, 0.0)
    missing_memory = _missing(device.attached_memory_bytes, profile.memory_bytes, policy.memory_tolerance)
    worst = max(missing_sms, missing_memory)
    return broken(Cause.WRONG_PROFILE, worst) if worst > 0 else KEPT


def _missing(attached: Reading, promised: float, tolerance: float) -> float:
    """The fraction of the promise that is not attached, 0 within the tolerance."""
    if isinstance(attached, Missing) or attached >= promised * (1 - tolerance):
        return 0.0
    return 1 - attached / promised

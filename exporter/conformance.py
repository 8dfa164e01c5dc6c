"""Conformance: is the attached device the promised one, and promised to no more holders than it has slots.

Pure. Demanded always.
"""

from __future__ import annotations

from exporter.model import Missing, Partition, Reading, Reason, Sharing
from exporter.policy import Policy
from exporter.promise import named_profile
from exporter.verdict import KEPT, Cause, Verdict, blind, broken


def conformance(partition: Partition, policy: Policy) -> Verdict:
    """Answer for one partition whose device is present."""
    replicas = partition.replicas
    if not isinstance(replicas, Missing) and partition.holders > replicas:
        return broken(Cause.OVERSUBSCRIBED, 1 - replicas / partition.holders)
    if partition.sharing is Sharing.MPS:
        # The limits live in the control daemon, which this version does not ask.
        return blind(Reason.UNSUPPORTED)
    if partition.promised_profile:
        return _profile(partition, policy)
    return blind(replicas.reason) if isinstance(replicas, Missing) else KEPT


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

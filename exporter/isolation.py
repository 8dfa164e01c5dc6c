"""Isolation: does somebody run on the device who holds no part of it, or hold more of it than was promised.

Pure. Demanded always. A stranger counts from the second join in a row that sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.model import Consumer, Missing, Partition, PromiseClass, Reason, Relation
from exporter.policy import Policy
from exporter.verdict import KEPT, Cause, Verdict, blind, broken


def isolation(neighbours: Sequence[Partition], placed: tuple[Consumer, ...] | Missing, policy: Policy) -> Verdict:
    """Answer for a partition whose device is present; `neighbours` hold the same device, `placed` are its processes."""
    if isinstance(placed, Missing):
        return blind(placed.reason)
    there = {consumer.relation for consumer in placed if consumer.settled}
    if Relation.ROGUE in there:
        return broken(Cause.ROGUE_POD)
    if Relation.HOST in there:
        return broken(Cause.HOST_PROCESS)
    overruns = [_overruns(other, policy) for other in neighbours]
    if True in overruns:
        return broken(Cause.NEIGHBOUR_OVERRUN)
    if Relation.UNKNOWN in there:
        return blind(Reason.AMBIGUOUS)
    return next((blind(found.reason) for found in overruns if isinstance(found, Missing)), KEPT)


def _overruns(other: Partition, policy: Policy) -> bool | Missing:
    """Whether a neighbour holds more memory than it was promised; Missing when one of the two is not known."""
    promise = other.promise.memory
    if promise is None or promise.klass is PromiseClass.NONE:
        return False
    promised, used = promise.amount, other.used_memory_bytes
    if isinstance(promised, Missing):
        return promised
    return used if isinstance(used, Missing) else used > promised * (1 + policy.memory_tolerance)

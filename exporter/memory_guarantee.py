"""Memory: could the tenant have what it was promised. Demanded where memory is promised.

Pure. Broken when its own use and what is still obtainable come to less than the promise. The missing bytes are split
over those who hold more than they were promised, strangers, the driver's reserve, and what was never attached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exporter.consumers import total
from exporter.model import Consumer, Missing, Partition, Reading, Reason, Relation
from exporter.policy import Policy
from exporter.verdict import KEPT, Cause, Neighbour, Outcome, Verdict, blind

_MOST_BYTES = 2.0**60


def memory(
    partition: Partition,
    neighbours: Sequence[Partition],
    placed: tuple[Consumer, ...] | Missing,
    policy: Policy,
) -> Verdict:
    """Answer for one partition whose device is present; `neighbours` hold the same device, `placed` are its processes."""
    promise = partition.promise.memory
    if promise is None:
        raise ValueError("memory is judged where it is promised")
    promised, obtainable = promise.amount, partition.obtainable_memory_bytes
    for reading in (promised, obtainable):
        if isinstance(reading, Missing):
            return blind(reading.reason)
    if isinstance(promised, Missing) or isinstance(obtainable, Missing) or promised <= 0:
        return KEPT
    enough = promised * (1 - policy.memory_tolerance)
    if obtainable >= enough:
        return KEPT
    if obtainable + _unlisted(partition, placed) >= enough:
        # Memory is in use that no process of the list holds: it may be our own, of a process that was left out.
        return blind(Reason.AMBIGUOUS)
    return _broken(partition, neighbours, placed, (promised - max(0.0, obtainable)) / promised, promised)


def _broken(
    partition: Partition,
    neighbours: Sequence[Partition],
    placed: tuple[Consumer, ...] | Missing,
    fraction: float,
    promised: float,
) -> Verdict:
    excess = _excess(neighbours) | _rogues(placed)
    host = _bytes(c for c in _known(placed) if c.relation is Relation.HOST)
    unattached = _unattached(partition, promised)
    missing = fraction * promised
    explained = sum(excess.values()) + host + unattached
    # The driver's own reserve explains no more than is left, and only what nobody else is known to hold.
    reserved = min(_reserved(partition), max(0.0, missing - explained))
    rest = max(0.0, missing - explained - reserved)
    # A process that may run here holds memory all the same; it is blamed after everyone who may not.
    allowed = min(rest, _bytes(c for c in _known(placed) if c.relation is Relation.ALLOWED))
    rest -= allowed
    if rest > 0 and _oversold(partition):
        excess, rest = _together(excess, neighbours, rest)
    weights: dict[Cause, float] = {
        Cause.WRONG_PROFILE: unattached,
        Cause.NEIGHBOUR: sum(excess.values()),
        Cause.HOST_PROCESS: host + allowed,
        Cause.RESERVED: reserved,
        Cause.UNKNOWN: rest,
    }
    whole = sum(weights.values())
    loss = {cause: fraction * weight / whole for cause, weight in weights.items() if weight > 0}
    taken, held = loss.get(Cause.NEIGHBOUR, 0.0), sum(excess.values())
    shares = {who: taken * amount / held for who, amount in excess.items() if amount > 0} if held else {}
    return Verdict(Outcome.BROKEN, loss=loss, neighbours=shares)


def _excess(neighbours: Iterable[Partition]) -> dict[Neighbour, float]:
    """What each neighbour holds above its own promise; one that was promised no memory holds all of it in excess."""
    excess: dict[Neighbour, float] = {}
    for other in neighbours:
        used = other.used_memory_bytes
        if isinstance(used, Missing):
            continue
        promise = other.promise.memory
        own = 0.0 if promise is None or isinstance(promise.amount, Missing) else promise.amount
        who = (other.key.namespace, other.key.pod)
        excess[who] = excess.get(who, 0.0) + max(0.0, _size(used) - own)
    return excess


def _oversold(partition: Partition) -> bool:
    return not isinstance(partition.replicas, Missing) and partition.holders > partition.replicas


def _together(
    excess: Mapping[Neighbour, float], neighbours: Sequence[Partition], rest: float
) -> tuple[dict[Neighbour, float], float]:
    """With more slots held than there are nobody takes too much, and all take too much together: by what they hold."""
    held = {other.key: _size(use) for other in neighbours if not isinstance(use := other.used_memory_bytes, Missing)}
    whole = sum(held.values())
    if whole <= 0:
        return dict(excess), rest
    shared = dict(excess)
    for key, use in held.items():
        who = (key.namespace, key.pod)
        shared[who] = shared.get(who, 0.0) + min(rest, whole) * use / whole
    return shared, rest - min(rest, whole)


def _unlisted(partition: Partition, placed: tuple[Consumer, ...] | Missing) -> float:
    """What the device says is in use and no process of its list holds; 0 where the partition's use is the device's."""
    own, device = partition.used_memory_bytes, partition.device
    if device is None or isinstance(own, Missing) or isinstance(device.use.memory_used_bytes, Missing):
        return 0.0
    return max(0.0, device.use.memory_used_bytes - max(own, _bytes(_known(placed))))


def _rogues(placed: tuple[Consumer, ...] | Missing) -> dict[Neighbour, float]:
    found: dict[Neighbour, float] = {}
    for consumer in _known(placed):
        if consumer.relation is Relation.ROGUE:
            who = (consumer.namespace, consumer.pod)
            found[who] = found.get(who, 0.0) + _bytes([consumer])
    return found


def _known(placed: tuple[Consumer, ...] | Missing) -> tuple[Consumer, ...]:
    return () if isinstance(placed, Missing) else placed


def _bytes(consumers: Iterable[Consumer]) -> float:
    amounts: list[Reading] = [consumer.process.memory_bytes for consumer in consumers]
    return sum(_size(amount) for amount in amounts if not isinstance(amount, Missing))


def _size(amount: float) -> float:
    """Bytes, of which no device has more than the most; sums of them are finite whatever a driver says."""
    return min(amount, _MOST_BYTES)


def _unattached(partition: Partition, promised: float) -> float:
    device = partition.device
    if device is None or not partition.promised_profile or isinstance(device.attached_memory_bytes, Missing):
        return 0.0
    return max(0.0, promised - device.attached_memory_bytes)


def _reserved(partition: Partition) -> float:
    """Total less used and free: what the driver keeps for itself."""
    device = partition.device
    if device is None:
        return 0.0
    taken = total((device.use.memory_used_bytes, device.use.memory_free_bytes))
    whole = device.use.memory_total_bytes
    return 0.0 if isinstance(taken, Missing) or isinstance(whole, Missing) else max(0.0, whole - taken)

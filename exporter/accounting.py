"""Where a GPU's time and energy went: one interval divided over the partitions of one GPU.

Pure arithmetic in integers (nanoseconds, microjoules), so that the parts sum to the whole exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.model import Missing, Partition, Reading
from exporter.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Holding:
    """What one partition of the GPU was promised, used and is short of in the interval, as shares of the GPU.

    None is unknown. `missing` is what it was entitled to and did not get. Of a promise that several have together,
    `promised` is an equal part, `joint` names it, and each may use `whole` of it before it borrows.
    """

    promised: float | None
    used: float | None
    missing: float = 0.0
    joint: str = ""
    whole: float | None = None


def holding_of(partition: Partition, compute: Verdict | None) -> Holding:
    """Read the shares off a partition and its compute verdict; in doubt, or out of all bounds, its use is unknown."""
    promise = partition.promise.compute
    promised = None if promise is None else _known(promise.amount)
    used = None if partition.doubt is not None else _believable(partition.used_compute)
    if partition.joint > 1 and promised is not None and partition.grant is not None:
        # Whose the missing part of a joint promise is, nobody can say.
        name = f"{partition.key.device} {partition.grant.claim}"
        return Holding(promised / partition.joint, used, joint=name, whole=promised)
    if compute is None or used is None or compute.outcome is not Outcome.BROKEN:
        return Holding(promised, used)
    return Holding(promised, used, max(0.0, (_known(compute.entitled) or 0.0) - used))


def _pooled(holdings: Sequence[Holding]) -> list[Holding]:
    """Count what several were promised together once, and what they use of it together."""
    pools: dict[str, Holding] = {}
    alone: list[Holding] = []
    for holding in holdings:
        if not holding.joint:
            alone.append(holding)
            continue
        before = pools.get(holding.joint, Holding(0.0, 0.0))
        promised = (before.promised or 0.0) + (holding.promised or 0.0)
        used = None if before.used is None or holding.used is None else before.used + holding.used
        pools[holding.joint] = Holding(promised, used)
    return [*alone, *pools.values()]


_ROUNDING = 0.05
"""A share a little below 0 or above 1 is a rounded one."""


def _believable(reading: Reading) -> float | None:
    if isinstance(reading, Missing) or not -_ROUNDING <= reading <= 1 + _ROUNDING:
        return None
    return max(0.0, reading)


def _known(reading: Reading) -> float | None:
    """A share of one GPU; nobody can be promised more than all of it."""
    return None if isinstance(reading, Missing) else min(1.0, max(0.0, reading))


@dataclass(frozen=True, slots=True)
class Split:
    """One interval of one GPU in nanoseconds; the fields sum to the interval."""

    delivered: int
    borrowed: int
    idle_held: int
    unsold: int
    switching: int
    blind: int


def split_time(holdings: Sequence[Holding], interval: int, *, visible: bool) -> Split:
    """Divide `interval` nanoseconds of a GPU. `visible` is False when the driver did not answer: all of it is blind.

    Use beyond what the clock allows (rounded samples may sum to a little over 1) is scaled down. What a partition whose
    use is unknown was promised is blind. What somebody was entitled to, and nobody used, is `switching`; what was
    promised and not wanted is `idle_held`.
    """
    if not visible:
        return Split(0, 0, 0, 0, 0, interval)
    delivered = borrowed = idle = missing = unseen = 0.0
    for holding in _pooled(holdings):
        promised = holding.promised or 0.0
        if holding.used is None:
            unseen += 1.0 if holding.promised is None else promised
            continue
        delivered += min(holding.used, promised)
        borrowed += max(0.0, holding.used - promised)
        short = min(holding.missing, max(0.0, promised - holding.used))
        missing += short
        idle += max(0.0, promised - holding.used) - short
    scale = 1 / max(1.0, delivered + borrowed)
    delivered, borrowed = delivered * scale, borrowed * scale
    rest = max(0.0, 1 - delivered - borrowed)
    unseen = min(unseen, rest)
    missing = min(missing, rest - unseen)
    idle = min(idle, rest - unseen - missing)
    unsold = max(0.0, rest - unseen - missing - idle)
    return Split(*apportion(interval, (delivered, borrowed, idle, unsold, missing, unseen)))


def apportion(whole: int, weights: Sequence[float]) -> list[int]:
    """Divide an integer by weights so that the parts sum to it exactly (largest remainder).

    `whole` is not negative; weights that are all 0 put everything on the last part.
    """
    total = sum(weights)
    if total <= 0:
        return [0] * (len(weights) - 1) + [whole]
    exact = [whole * weight / total for weight in weights]
    parts = [int(part) for part in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    missing = whole - sum(parts)
    for i in range(abs(missing)):
        parts[order[i % len(order)]] += 1 if missing > 0 else -1
    return parts


@dataclass(frozen=True, slots=True)
class EnergyShares:
    """One GPU's energy of an interval (microjoules) over its holdings; `rest` belongs to nobody."""

    parts: tuple[int, ...]
    rest: int


def split_energy(energy: int, idle_energy: int, holdings: Sequence[Holding], activity: float | None) -> EnergyShares:
    """Divide a GPU's energy: the idle part by promise, the part above it by use; the parts and the rest sum to `energy`.

    `activity` is the whole GPU's active share, unowned work included; None when it is not measured.
    """
    idle = min(energy, idle_energy)
    promises = [holding.promised or 0.0 for holding in holdings]
    uses = [holding.used or 0.0 for holding in holdings]
    by_promise = apportion(idle, (*promises, max(0.0, 1 - sum(promises))))
    by_use = apportion(energy - idle, (*uses, max(0.0, (activity or 0.0) - sum(uses))))
    parts = tuple(a + b for a, b in zip(by_promise[:-1], by_use[:-1], strict=True))
    return EnergyShares(parts, by_promise[-1] + by_use[-1])

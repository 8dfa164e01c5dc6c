"""What really happened to each partition: wanted, entitled, delivered, and who took the difference.

The judge under test sees only readings; this is what it is compared with. Shares are of the parent GPU's SM time,
averaged over the tick. Two modes, as in section 4 of the design:

* a shared device: entitled is what the tenant gets alone on a device as fast as its promise, in the same seconds with
  the same bursts; delivered is its SM time.
* an exclusive device (whole, MIG): while the tenant wants time, entitled is the promise, and delivered is the promise
  slowed by a clock below 0.6 of the maximum, less the SM time that an intruder takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from exporter.catalogue import PartitionKey
from exporter.model import Sharing

K = TypeVar("K")

Neighbour = tuple[str, str]
"""Namespace and pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTruth:
    """One partition in one tick. `causes` sum to `lost`; `neighbours` sum to the cause `neighbour`.

    `demand` is what the tenant would use with the device to itself. `gone` names why the device is not there at the end
    of the tick (`device_lost`, `mig_reconfigured`) and then for all of it, `intruders` the pids on it that belong to no partition. Bytes are of the end of
    the tick; `memory_promised` is None where none is promised.
    """

    key: PartitionKey
    sharing: Sharing
    seconds: float
    promised: float
    wanted: bool
    demand: float
    entitled: float
    delivered: float
    used: float
    causes: Mapping[str, float] = field(default_factory=dict)
    neighbours: Mapping[Neighbour, float] = field(default_factory=dict)
    memory_promised: int | None = None
    memory_used: int = 0
    memory_obtainable: int = 0
    gone: str = ""
    intruders: tuple[int, ...] = ()

    @property
    def lost(self) -> float:
        """The share that was due and did not come."""
        return max(0.0, self.entitled - self.delivered)


@dataclass(frozen=True, slots=True)
class TruthTick:
    """The truth between two advances of the node, of the leases that are there at its end, sorted by key."""

    start: float
    end: float
    partitions: tuple[PartitionTruth, ...]

    def of(self, pod: str, container: str = "") -> PartitionTruth:
        """Return the partition of a pod (and container). Raises LookupError when there is none."""
        for each in self.partitions:
            if each.key.pod == pod and container in {"", each.key.container}:
                return each
        message = f"no partition of {pod} {container} between {self.start:g} and {self.end:g} s"
        raise LookupError(message)


def over(ticks: Sequence[TruthTick], key: PartitionKey) -> PartitionTruth | None:
    """Average a partition's truth over a window; None when it did not live in it.

    A burst that a tick delays, the next tick may bring: so the loss is that of the averages, and the causes are scaled
    to it.
    """
    seen = [each for tick in ticks for each in tick.partitions if each.key == key]
    seconds = sum(each.seconds for each in seen)
    if not seen or seconds <= 0.0:
        return None
    mean = {
        name: sum(getattr(each, name) * each.seconds for each in seen) / seconds
        for name in ("demand", "entitled", "delivered", "used")
    }
    whole = replace(seen[-1], seconds=seconds, wanted=any(each.wanted for each in seen), **mean)
    causes = _add(each.causes for each in seen)
    total = sum(causes.values())
    scale = whole.lost / total if total > 0.0 else 0.0
    return replace(
        whole, causes=_scaled(causes, scale), neighbours=_scaled(_add(each.neighbours for each in seen), scale)
    )


def _scaled(parts: Mapping[K, float], factor: float) -> dict[K, float]:
    return {name: amount * factor for name, amount in parts.items() if amount * factor > 0.0}


def _add(parts: Iterable[Mapping[K, float]]) -> dict[K, float]:
    total: dict[K, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0.0) + amount
    return total

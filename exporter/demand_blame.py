"""Who took the missing share of a broken holder: what turning costs, intruders, neighbours above their own promises.

Pure. The columns sum to the loss, but for the rounding of floating point.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.catalogue import PartitionKey
from exporter.demand import Holder, Intruder

NEIGHBOUR = "neighbour"
SWITCHING = "switching"
UNKNOWN = "unknown"

_NOTHING = 1e-9

_ROUNDING = 0.005
"""Less of the device's time than half a percent is what whole percents leave open, and no cost of turning."""


def blame(
    entitled: float,
    delivered: float,
    used: Mapping[Holder, float],
    promises: Mapping[PartitionKey, float],
    turning: float,
) -> tuple[dict[str, float], dict[PartitionKey, float]]:
    """Split the loss, (entitled - delivered) / entitled, over causes, and its part `neighbour` over neighbours.

    `used` is what every other holder and intruder used, `turning` the part of the device's time that changes of turn
    cost; this holder pays of it in proportion. Where more was promised than there is, nobody takes too much and all take
    too much together. A process that could not be placed took what it took for a cause unknown.
    """
    if entitled <= 0.0 or delivered >= entitled:
        return {}, {}
    loss = (entitled - delivered) / entitled
    everyone = entitled + sum(used.values())
    switching = min(loss, turning / everyone) if turning >= _ROUNDING else 0.0
    weights = _takers(used, promises)
    total = sum(weights.values())
    causes: dict[str, float] = {SWITCHING: switching} if switching > 0.0 else {}
    neighbours: dict[PartitionKey, float] = {}
    if total <= _NOTHING:
        _add(causes, UNKNOWN, loss - switching)
        return causes, {}
    for holder, weight in sorted(weights.items(), key=lambda each: str(each[0])):
        part = (loss - switching) * weight / total
        if isinstance(holder, Intruder):
            _add(causes, UNKNOWN if holder is Intruder.UNPLACED else holder.value, part)
        else:
            neighbours[holder] = part
    if neighbours:
        _add(causes, NEIGHBOUR, sum(neighbours.values()))
    return causes, neighbours


def _takers(used: Mapping[Holder, float], promises: Mapping[PartitionKey, float]) -> dict[Holder, float]:
    """How much each took beyond its own promise; intruders were promised nothing."""
    excess = {
        holder: max(0.0, share - (0.0 if isinstance(holder, Intruder) else promises.get(holder, 0.0)))
        for holder, share in used.items()
    }
    if sum(excess.values()) <= _NOTHING and sum(promises.values()) > 1.0 + _NOTHING:
        excess = dict(used)
    return {holder: weight for holder, weight in excess.items() if weight > _NOTHING}


def _add(causes: dict[str, float], cause: str, part: float) -> None:
    if part > 0.0:
        causes[cause] = causes.get(cause, 0.0) + part

"""Watches the physics and writes the truth down, one tick at a time.

What happens between two advances is summed up step by step; `close` turns the sums into averages and says who took what
was missing: first the turns that switching ate, then the intruders and the neighbours above their own promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from exporter.model import Throttle
from exporter.simulator.spec import DemandKind
from exporter.simulator.tenancy import SimProcess, Tenancy
from exporter.simulator.truth import Neighbour, PartitionTruth, TruthTick

REFERENCE_CLOCK = 0.6
"""Part of the maximum clock that is promised; boost is not (section 4 of the design)."""

_CAUSES = {
    Throttle.SW_POWER_CAP: "power_cap",
    Throttle.HW_POWER_BRAKE: "power_cap",
    Throttle.SW_THERMAL: "thermal",
    Throttle.HW_THERMAL: "thermal",
    Throttle.HW_SLOWDOWN: "hw_slowdown",
}

Taker = TypeVar("Taker")

_NOISE = 1e-9
"""Shares below this are rounding."""


@dataclass(slots=True)
class _Sums:
    """What the tick has seen of one lease, in share seconds of the parent GPU."""

    seconds: float = 0.0
    wanted: bool = False
    used: float = 0.0
    dedicated: float = 0.0
    alone: float = 0.0
    switching: float = 0.0
    slowed: dict[str, float] = field(default_factory=dict)
    intruders: dict[SimProcess, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Due:
    """What a lease was due in the tick, what it got, and who had the rest."""

    entitled: float
    delivered: float
    causes: dict[str, float] = field(default_factory=dict)
    neighbours: dict[Neighbour, float] = field(default_factory=dict)


class Witness:
    """Sums up one tick."""

    def __init__(self) -> None:
        self._sums: dict[Tenancy, _Sums] = {}

    def observe(
        self, tenancy: Tenancy, seconds: float, twin: tuple[float, float] | None, intruders: Iterable[SimProcess]
    ) -> None:
        """Note one step. `twin`: device seconds that the dedicated twin used, dedicated and alone, where there is one."""
        sums = self._sums.setdefault(tenancy, _Sums())
        fraction = tenancy.device.fraction
        used = sum(each.spent for each in tenancy.processes) * fraction
        sums.seconds += seconds
        sums.used += used
        sums.dedicated += used if twin is None else twin[0] * fraction
        sums.alone += used if twin is None else twin[1] * fraction
        sums.wanted = sums.wanted or _wants(tenancy)
        for process in intruders:
            sums.intruders[process] = sums.intruders.get(process, 0.0) + process.spent * fraction
        self._note_clock(tenancy, sums, seconds)

    def note_switching(self, tenancy: Tenancy, share_seconds: float) -> None:
        """Note time of the device that went to nobody."""
        self._sums.setdefault(tenancy, _Sums()).switching += share_seconds * tenancy.device.fraction

    def close(self, start: float, end: float, tenancies: Iterable[Tenancy]) -> TruthTick:
        """End the tick with the leases that are there at its end."""
        alive = [each for each in tenancies if each in self._sums]
        parts = [self._judge(each, alive) for each in alive]
        self._sums = {}
        return TruthTick(start, end, tuple(sorted(parts, key=lambda part: part.key)))

    @staticmethod
    def _note_clock(tenancy: Tenancy, sums: _Sums, seconds: float) -> None:
        climate = tenancy.gpu.climate
        missing = 1.0 - climate.ratio / REFERENCE_CLOCK
        if missing <= 0.0:
            return
        names = sorted({_CAUSES.get(each, "unknown") for each in climate.throttle}) or ["unknown"]
        for name in names:
            amount = tenancy.promised * missing * seconds / len(names)
            sums.slowed[name] = sums.slowed.get(name, 0.0) + amount

    def _judge(self, tenancy: Tenancy, alive: list[Tenancy]) -> PartitionTruth:
        sums = self._sums[tenancy]
        gone = _gone(tenancy)
        due = self._due_and_done(tenancy, sums, alive)
        memory = tenancy.device.memory
        own = memory.used if tenancy.exclusive else sum(memory.of(each.pid) for each in tenancy.processes)
        return PartitionTruth(
            key=tenancy.key,
            sharing=tenancy.sharing,
            seconds=sums.seconds,
            promised=tenancy.promised,
            wanted=sums.wanted,
            demand=0.0 if gone else sums.alone / sums.seconds,
            entitled=due.entitled,
            delivered=due.delivered,
            used=sums.used / sums.seconds,
            causes=due.causes,
            neighbours=due.neighbours,
            memory_promised=tenancy.promised_memory,
            memory_used=own,
            memory_obtainable=own + memory.free,
            gone=gone,
            intruders=tuple(sorted(each.pid for each in sums.intruders)),
        )

    def _due_and_done(self, tenancy: Tenancy, sums: _Sums, alive: list[Tenancy]) -> _Due:
        if gone := _gone(tenancy):
            return _Due(tenancy.promised, 0.0, {gone: tenancy.promised}) if sums.wanted else _Due(0.0, 0.0)
        if tenancy.exclusive:
            return self._exclusive(tenancy, sums)
        entitled, delivered = min(tenancy.promised, sums.dedicated / sums.seconds), sums.used / sums.seconds
        return _Due(entitled, delivered, *self._shared(tenancy, max(0.0, entitled - delivered), alive))

    @staticmethod
    def _exclusive(tenancy: Tenancy, sums: _Sums) -> _Due:
        if not sums.wanted:
            return _Due(0.0, 0.0)
        causes = {name: amount / sums.seconds for name, amount in sums.slowed.items()}
        room = tenancy.promised - sum(causes.values())
        taken = min(room, max(0.0, sums.dedicated - sums.used) / sums.seconds)
        if taken > _NOISE:
            for process, share in _portions(taken, sums.intruders).items():
                causes[_intrusion(process)] = causes.get(_intrusion(process), 0.0) + share
        return _Due(tenancy.promised, tenancy.promised - sum(causes.values()), causes)

    def _shared(
        self, tenancy: Tenancy, lost: float, alive: list[Tenancy]
    ) -> tuple[dict[str, float], dict[Neighbour, float]]:
        if lost <= 0.0:
            return {}, {}
        sums = self._sums[tenancy]
        others = [each for each in alive if each.device is tenancy.device and each is not tenancy]
        use = {each: self._sums[each].used / sums.seconds for each in others}
        excess = {each: max(0.0, amount - each.promised) for each, amount in use.items()}
        sold = tenancy.promised + sum(each.promised for each in others)
        if sum(excess.values()) <= _NOISE and sold > tenancy.device.fraction + _NOISE:
            excess = use  # more slots are held than there are: nobody takes too much, and all take too much together
        takers: dict[Tenancy | SimProcess, float] = dict(excess.items())
        takers.update({each: share / sums.seconds for each, share in sums.intruders.items()})
        portion = _part_of_switching(sums, self._sums, others)
        switching = min(lost, sums.switching / sums.seconds * portion)
        shares = _portions(lost - switching, takers)
        causes: dict[str, float] = {}
        neighbours: dict[Neighbour, float] = {}
        for taker, share in shares.items():
            if isinstance(taker, Tenancy):
                neighbour = (taker.key.namespace, taker.key.pod)
                neighbours[neighbour] = neighbours.get(neighbour, 0.0) + share
                causes["neighbour"] = causes.get("neighbour", 0.0) + share
            else:
                causes[_intrusion(taker)] = causes.get(_intrusion(taker), 0.0) + share
        rest = lost - sum(causes.values())
        if rest > 0.0:
            causes["switching"] = rest
        return causes, neighbours


def _wants(tenancy: Tenancy) -> bool:
    if _gone(tenancy):
        return any(each.client.demand.kind is not DemandKind.IDLE for each in tenancy.processes)
    return any(each.spent > 0.0 or each.client.left > 0.0 for each in tenancy.processes)


def _gone(tenancy: Tenancy) -> str:
    return tenancy.gone or ("device_lost" if tenancy.gpu.lost else "")


def _part_of_switching(own: _Sums, every: Mapping[Tenancy, _Sums], others: Iterable[Tenancy]) -> float:
    """Part of the switching time that this lease pays: by what it was due, among all who were due something."""
    total = own.dedicated + sum(every[each].dedicated for each in others)
    return own.dedicated / total if total > 0.0 else 0.0


def _intrusion(process: SimProcess) -> str:
    return "host_process" if process.pod is None else "rogue_pod"


def _portions(amount: float, weights: Mapping[Taker, float]) -> dict[Taker, float]:
    """Split an amount by weight; nothing when there is no weight."""
    total = sum(weights.values())
    if total <= _NOISE or amount <= 0.0:
        return {}
    return {taker: amount * weight / total for taker, weight in weights.items() if weight > 0.0}

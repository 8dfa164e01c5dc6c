"""An alert's answer, worked out of the contract's counters at two instants. Pure.

Got is promised × (1 − seconds lost / seconds wanted), as `slicewatch why` has it, and a neighbour's take is
promised × seconds lost to it / seconds wanted: the parts and what was got add up to what was promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from slo.alertmanager.answer import Amount, Answer, Cause, Evidence, Missing, Taker
from slo.entity import IDENTITY
from slo.spec import PartitionSLO, Subject
from slo.verdicts import AlertName, Firing

GUARANTEE: Final = "gpu_partition_guarantee_seconds_total"
LOST: Final = "gpu_partition_lost_seconds_total"
NEIGHBOUR: Final = "gpu_partition_lost_to_neighbour_seconds_total"
BLIND: Final = "gpu_partition_blind_seconds_total"
COMPUTE: Final = "gpu_partition_promised_compute_ratio"
MEMORY: Final = "gpu_partition_promised_memory_bytes"
DEMAND: Final = "gpu_partition_demand_info"

COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    GUARANTEE: ("guarantee", "outcome"),
    LOST: ("guarantee", "cause"),
    NEIGHBOUR: ("guarantee", "neighbour_namespace", "neighbour_pod"),
    BLIND: ("guarantee", "reason"),
}
"""Counters that an answer is made of, with the labels that tell a partition's series apart."""

GAUGES: Final[Mapping[str, tuple[str, ...]]] = {COMPUTE: (), MEMORY: (), DEMAND: ("evidence",)}

PromisedBy: Final = {"compute": (COMPUTE, "share"), "memory": (MEMORY, "bytes")}
"""Guarantees with an amount: the gauge of the promise, and its unit."""

_WINDOWS: Final = (900, 1800, 3600)
_DAY: Final = 86400
_BEFORE: Final = 600
"""Seconds before an alert fires in which what it is about has been going on, more or less."""

_YOUNG: Final = 120
"""Seconds by which a partition may be older than a window and still have been born in it: a scrape late, a clock off."""

Row = tuple[Mapping[str, str], float]
Place = tuple[str, ...]
"""A partition: the values of the site's labels and of the contract's identity."""
Table = Mapping[Place, Mapping[tuple[str, ...], float]]
"""By partition, and by the values of a metric's further labels."""


def window(firing: Firing, now: float) -> int:
    """Return the seconds that an alert's answer is about: from a little before it fired, at most an hour; a slow burn's a day."""
    slow = firing.alert.labels.get("burn") == "slow" or firing.alert.name in {AlertName.UNMET, AlertName.TENANT}
    if slow:
        return _DAY
    return next((each for each in _WINDOWS if now - firing.since + _BEFORE <= each), _WINDOWS[-1])


def table(
    rows: Iterable[Row], site: Sequence[str], further: Sequence[str]
) -> dict[Place, dict[tuple[str, ...], float]]:
    """Sort samples by partition. Of a series that was scraped twice the greater counts."""
    found: dict[Place, dict[tuple[str, ...], float]] = {}
    for labels, value in rows:
        if value == value:  # noqa: PLR0124  # not NaN
            place = tuple(labels.get(name, "") for name in (*site, *IDENTITY))
            key = tuple(labels.get(name, "") for name in further)
            inside = found.setdefault(place, {})
            inside[key] = max(value, inside.get(key, value))
    return found


@dataclass(frozen=True, slots=True)
class Figures:
    """Samples of the metrics of COUNTERS and GAUGES now, and of COUNTERS a window ago, by metric."""

    site: tuple[str, ...]
    now: Mapping[str, Table] = field(default_factory=dict)
    before: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Seconds of the window, summed over partitions."""

    spent: Mapping[str, float]  # by outcome
    lost: Mapping[str, float]  # by cause
    taken: Mapping[str, float]  # by neighbour
    blind: Mapping[str, float]  # by reason


def compose(firing: Firing, spec: PartitionSLO, figures: Figures, places: Sequence[Place], seconds: int) -> Answer:
    """Return the answer for an alert about the partitions at `places`, over the last `seconds`."""
    told = {place: sums for place in places if (sums := _sums(figures, place, spec.sli.guarantee, seconds)) is not None}
    if not told:
        why = "nothing is measured of it now" if not places else "what is measured of it begins later"
        missing = Missing(why)
        return Answer(window=seconds, promised=missing, got=missing, cause=missing, taker=missing, evidence=missing)
    whole = _add(told.values())
    wanted = whole.spent.get("kept", 0.0) + whole.spent.get("broken", 0.0)
    only = next(iter(told)) if firing.alert.name in {AlertName.PARTITION, AlertName.UNMET} else None
    promised = _promised(figures, only, spec)
    coverage = spec.sli.subject is Subject.COVERAGE
    losers = {place: _loss(sums, coverage=coverage) for place, sums in told.items()}
    worst = max(losers, key=lambda place: (losers[place], place))
    return Answer(
        window=seconds,
        promised=promised,
        got=_got(promised, sum(whole.lost.values()), wanted),
        cause=_cause(whole.blind if coverage else whole.lost),
        taker=_taker(promised, whole, wanted),
        evidence=Evidence(
            broken=whole.spent.get("broken", 0.0),
            wanted=wanted,
            blind=whole.spent.get("blind", 0.0),
            demand="" if only is None else _demand(figures, only),
            blind_reason=_most(whole.blind) or "",
        ),
        partitions=sum(loss > 0 for loss in losers.values()),
        worst=f"{worst[-3]}/{worst[-2]}" if losers[worst] > 0 else "",
    )


def _sums(figures: Figures, place: Place, guarantee: str, seconds: int) -> _Sums | None:
    """A partition's seconds of the window; None when they cannot be told."""
    spent = _of(figures.now, GUARANTEE, place, guarantee)
    before = _of(figures.before, GUARANTEE, place, guarantee)
    if not spent or (not before and sum(spent.values()) > seconds + _YOUNG):
        return None
    found = [
        _grown(_of(figures.now, metric, place, guarantee), _of(figures.before, metric, place, guarantee))
        for metric in COUNTERS
    ]
    return _Sums(*found)


def _of(tables: Mapping[str, Table], metric: str, place: Place, guarantee: str) -> dict[str, float]:
    """One guarantee's seconds by outcome, cause, neighbour or reason."""
    rows = tables.get(metric, {}).get(place, {})
    return {"/".join(rest): value for (of, *rest), value in rows.items() if of == guarantee}


def _grown(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What counters grew by; one that went backwards, or was not there, counts from zero."""
    return {
        name: value - (before[name] if value >= before.get(name, value + 1) else 0.0) for name, value in now.items()
    }


def _add(parts: Iterable[_Sums]) -> _Sums:
    sums: tuple[dict[str, float], ...] = ({}, {}, {}, {})
    for part in parts:
        for into, seconds in zip(sums, (part.spent, part.lost, part.taken, part.blind), strict=True):
            for name, value in seconds.items():
                into[name] = into.get(name, 0.0) + value
    return _Sums(*sums)


def _loss(sums: _Sums, *, coverage: bool) -> float:
    return sums.spent.get("blind" if coverage else "broken", 0.0)


def _promised(figures: Figures, place: Place | None, spec: PartitionSLO) -> Amount | Missing:
    gauge, unit = PromisedBy.get(spec.sli.guarantee, ("", ""))
    if not gauge or spec.sli.subject is Subject.COVERAGE:
        return Missing("it has no amount")
    if place is None:
        return Missing("it is about several partitions")
    value = figures.now.get(gauge, {}).get(place, {}).get(())
    return Missing("the promised amount is not measured now") if value is None else Amount(value, unit)


def _got(promised: Amount | Missing, lost: float, wanted: float) -> Amount | Missing:
    if isinstance(promised, Missing):
        return promised
    if wanted <= 0:
        return Missing("nothing was wanted")
    return Amount(promised.value * (1.0 - min(1.0, max(0.0, lost / wanted))), promised.unit)


def _cause(seconds: Mapping[str, float]) -> Cause | Missing:
    name = _most(seconds)
    return Missing("nothing was lost") if name is None else Cause(name, seconds[name] / sum(seconds.values()))


def _taker(promised: Amount | Missing, whole: _Sums, wanted: float) -> Taker | Missing:
    name = _most(whole.taken)
    if name is None:
        return Missing("no neighbour was seen to take it")
    part = whole.taken[name] / max(sum(whole.lost.values()), whole.taken[name])
    if isinstance(promised, Missing):
        return Taker(name, promised, part)
    if wanted <= 0:
        return Taker(name, Missing("nothing was wanted"), part)
    return Taker(name, Amount(promised.value * min(1.0, whole.taken[name] / wanted), promised.unit), part)


def _demand(figures: Figures, place: Place) -> str:
    return next((key[0] for key, value in figures.now.get(DEMAND, {}).get(place, {}).items() if value > 0), "")


def _most(seconds: Mapping[str, float]) -> str | None:
    """The name with the most seconds; of equals the first by name. None when all are nothing."""
    name = min(seconds, key=lambda name: (-seconds[name], name), default=None)
    return None if name is None or seconds[name] <= 0 else name

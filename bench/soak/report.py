"""From samples to figures, and from figures to a verdict on each goal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bench.soak.line import Line, fit, means
from bench.soak.run import Plan, Soaked
from bench.soak.sample import Held, Sample

_HOUR = 3600.0
_MINUTE = 60.0

WARM_UP = 600.0
"""Seconds that are left out of a slope, at the most a third of the soak: first connections, first faults, allocator pools."""

_GROWTH = 2.0
"""MiB an hour up to which memory is called flat: a node that grows so fast has its exporter restarted for 10 MiB in 5 hours."""

_RECOVERY = 40.0
"""Seconds in which sources have to be up again after a trouble; the API server's back-off is at most 30."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal, what was measured, and whether it is met; None where the soak was too short to tell."""

    text: str
    measured: str
    met: bool | None

    def __str__(self) -> str:
        word = {True: "met", False: "NOT met", None: "cannot tell"}[self.met]
        return f"{word}: {self.text}; measured {self.measured}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How one process grew behind the warm-up."""

    line: Line | None  # MiB an hour
    first: float  # MiB, median of the first fifth
    last: float  # MiB, median of the last fifth
    most: float
    descriptors: tuple[float, float, int]  # medians of the first and the last fifth, and the most
    threads: tuple[float, float, int]


def growth(samples: Sequence[Sample], whose: Callable[[Sample], Held | None]) -> Growth | None:
    """Return how one process grew; None without samples of it."""
    warm = min(WARM_UP, samples[-1].at / 3) if samples else 0.0
    rows = [(one.at, found) for one in samples if one.at >= warm and (found := whose(one)) is not None]
    if not rows:
        return None
    resident = [(at, found.rss) for at, found in rows]
    by_minute = means(resident, _MINUTE)
    return Growth(
        line=fit([(at / _HOUR, rss) for at, rss in by_minute]),
        first=_ends([rss for _, rss in resident])[0],
        last=_ends([rss for _, rss in resident])[1],
        most=max(rss for _, rss in resident),
        descriptors=_counted([found.descriptors for _, found in rows]),
        threads=_counted([found.threads for _, found in rows]),
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    fifth = max(1, len(values) // 5)
    return statistics.median(values[:fifth]), statistics.median(values[-fifth:])


def _counted(values: Sequence[int]) -> tuple[float, float, int]:
    return (*_ends(values), max(values))


def goals(soaked: Soaked, own: Growth) -> list[Goal]:
    """Every goal of an exporter's soak."""
    slowest = max(soaked.recoveries.values(), default=0.0)
    return [
        _flat(own),
        _steady("open descriptors", own.descriptors),
        _steady("threads", own.threads),
        Goal(
            "no series of a partition is left when all pods have gone",
            f"{soaked.left_over} series",
            soaked.left_over == 0,
        ),
        Goal(
            "every scrape answered, every health check good, no counter back, every guarantee of the partition's age",
            f"{soaked.scrapes} scrapes, {soaked.unhealthy} bad health checks, {len(soaked.faults)} faults",
            not soaked.faults and not soaked.unhealthy,
        ),
        Goal(
            f"all sources up again within {_RECOVERY:g} s of a trouble's end",
            f"{slowest:.0f} s at the most, {soaked.troubles} troubles",
            slowest <= _RECOVERY,
        ),
        Goal(
            "the driver got everything back and never had two threads inside",
            ", ".join(f"{name} {count}" for name, count in soaked.driver.items()),
            all(count == 0 for count in soaked.driver.values()),
        ),
    ]


def _flat(own: Growth) -> Goal:
    text = f"resident memory flat: less than {_GROWTH:g} MiB an hour, by two standard errors"
    if own.line is None:
        return Goal(text, "too few minutes", None)
    low, high = own.line.slope - 2 * own.line.error, own.line.slope + 2 * own.line.error
    met = True if high < _GROWTH else False if low > _GROWTH else None
    return Goal(text, f"{_slope(own.line)} MiB/h", met)


def _steady(what: str, counted: tuple[float, float, int]) -> Goal:
    first, last, most = counted
    return Goal(
        f"{what} do not grow", f"{first:g} in the first fifth, {last:g} in the last, {most} at the most", last <= first
    )


def _slope(line: Line | None) -> str:
    return "–" if line is None else f"{line.slope:+.2f} ± {line.error:.2f}"


def document(plan: Plan, soaked: Soaked, machine: str, commit: str) -> Mapping[str, Any]:
    """Everything as JSON: what was asked for, the figures, the goals, and every sample."""
    own = growth(soaked.samples, lambda sample: sample.own)
    evaluator = growth(soaked.samples, lambda sample: sample.evaluator)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "commit": commit,
        "plan": asdict(plan),
        "pods": soaked.born,
        "reshapes": soaked.reshapes,
        "troubles": soaked.troubles,
        "scrapes": soaked.scrapes,
        "slowest_scrape": round(soaked.slowest_scrape, 3),
        "series_most": max((one.series for one in soaked.samples), default=0),
        "page_bytes_most": max((one.page_bytes for one in soaked.samples), default=0),
        "ticks": soaked.samples[-1].ticks if soaked.samples else 0,
        "recoveries": {name: round(took, 1) for name, took in sorted(soaked.recoveries.items())},
        "exporter": None if own is None else _rounded(own),
        "evaluator": None if evaluator is None else _rounded(evaluator),
        "goals": [asdict(goal) for goal in ([] if own is None else goals(soaked, own))],
        "faults": soaked.faults[:100],
        "samples": [_row(one) for one in soaked.samples],
    }


def _rounded(found: Growth) -> Mapping[str, Any]:
    line = found.line
    return {
        "slope_mib_an_hour": None if line is None else round(line.slope, 3),
        "slope_error": None if line is None else round(line.error, 3),
        "rss_first": round(found.first, 1),
        "rss_last": round(found.last, 1),
        "rss_most": round(found.most, 1),
        "descriptors": list(found.descriptors),
        "threads": list(found.threads),
    }


def _row(one: Sample) -> list[Any]:
    """At, MiB, descriptors, threads, series, sources down, trouble; then the evaluator's MiB, descriptors, threads."""
    beside = (
        [] if one.evaluator is None else [round(one.evaluator.rss, 2), one.evaluator.descriptors, one.evaluator.threads]
    )
    own = [round(one.own.rss, 2), one.own.descriptors, one.own.threads]
    return [one.at, *own, one.series, " ".join(one.down), one.trouble, *beside]


def text(told: Mapping[str, Any]) -> tuple[str, bool]:
    """What a person reads, and whether no goal is missed."""
    lines = [
        f"{told['machine']}; commit {told['commit']}; {told['date']}; {told['plan']['duration'] / 60:g} minutes",
        f"{told['pods']} pods, {told['reshapes']} MIG layouts, {told['troubles']} troubles",
        f"{told['scrapes']} scrapes, the slowest {told['slowest_scrape']} s; at most {told['series_most']} series",
    ]
    for name in ("exporter", "evaluator"):
        found = told[name]
        if found is not None:
            lines.append(
                f"{name}: {found['slope_mib_an_hour']} ± {found['slope_error']} MiB/h,"
                f" {found['rss_first']} → {found['rss_last']} MiB, at most {found['rss_most']};"
                f" descriptors {found['descriptors']}, threads {found['threads']} (first fifth, last fifth, most)"
            )
    met = [goal["met"] for goal in told["goals"]]
    lines += [f"- {Goal(**goal)}" for goal in told["goals"]]
    lines += [f"  {fault}" for fault in told["faults"][:10]]
    return "\n".join(lines) + "\n", False not in met and bool(met)

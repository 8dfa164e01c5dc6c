"""Counter histories as exporters leave them behind: outcomes that come in runs, restarts, births, ends, gaps, two scrapes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from exporter.catalogue import OUTCOMES
from slo.samples import SCHEMA, Samples

START = 1_700_000_000 // 3600 * 3600
COUNTER = "gpu_partition_guarantee_seconds_total"
INFO = "gpu_partition_info"
PROMISE = "gpu_partition_promise_info"


@dataclass
class Series:
    """One series: labels with `__name__`, and samples (Unix seconds, value)."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]] = field(default_factory=list)


def identity(number: int) -> dict[str, str]:
    return {
        "gpu": f"GPU-{number // 2}",
        "device": f"GPU-{number // 2}",
        "namespace": "ml" if number % 3 else "search",
        "pod": f"pod-{number}",
        "container": "main",
    }


def partition(number: int, minutes: int, seed: int, guarantee: str = "compute") -> list[Series]:
    """One partition's counters and infos, scraped every 15 s or every 30 s."""
    rng = random.Random(seed * 1000 + number)  # noqa: S311  # a test's histories
    mine = identity(number)
    scraped = {"instance": f"10.0.0.{number}:9945", "job": "slicewatch"}
    counters = {
        outcome: Series({"__name__": COUNTER, **mine, "guarantee": guarantee, "outcome": outcome, **scraped})
        for outcome in OUTCOMES
    }
    info = Series(
        {"__name__": INFO, **mine, "node": f"n{number // 4}", "sharing": "mig", "resource": "nvidia.com/gpu", **scraped}
    )
    klass = rng.choice(["isolated", "declared", "soft_cap"])
    promise = Series({"__name__": PROMISE, **mine, "dimension": "compute", "class": klass, **scraped})
    step = rng.choice([15, 30])
    at = START + rng.uniform(0, step) + (rng.choice([0, 0, 0, 1]) * rng.randrange(minutes * 30))
    end = START + minutes * 60 - (rng.choice([0, 0, 1]) * rng.randrange(minutes * 20))
    spent = dict.fromkeys(OUTCOMES, 0.0)
    outcome, left = "kept", 0.0
    while at < end:
        if left <= 0:
            outcome, left = rng.choice(["kept", "kept", "broken", "broken", "idle", "blind"]), rng.uniform(5, 900)
        jitter = rng.uniform(-0.4, 0.4)
        spent[outcome] += step
        left -= step
        chance = rng.random()
        young = sum(spent.values()) < 80  # a restart soon after a start hides in a growing age
        if chance < (0.2 if young else 0.004):  # the exporter restarts
            spent = dict.fromkeys(OUTCOMES, 0.0)
            spent[outcome] = rng.uniform(0, step)
        if chance > 0.996:  # it is not scraped for a while
            away = rng.choice([60, 120, 240, 400, 900])
            spent[outcome] += away
            at += away
        if chance < 0.98:  # a scrape may be missed
            moment = round(at + jitter, 3)
            for name, series in counters.items():
                series.points.append((moment, round(spent[name], 6)))
            for series in (info, promise):
                series.points.append((moment, 1.0))
        at += step
    found = [*counters.values(), info, promise]
    if number % 5 == 4:  # a second job scrapes the same exporter, a little later
        found += [
            Series({**series.labels, "job": "other"}, [(round(t + 11, 3), value) for t, value in series.points])
            for series in found
        ]
    return [series for series in found if series.points]


def fleet(count: int, minutes: int, seed: int) -> list[Series]:
    return [series for number in range(count) for series in partition(number, minutes, seed)]


def openmetrics(found: Sequence[Series]) -> str:
    """The history as promtool makes blocks of it."""
    return "\n".join([*_lines(found), "# EOF", ""])


def _lines(found: Sequence[Series]) -> Iterator[str]:
    names = sorted({series.labels["__name__"] for series in found})
    for name in names:
        yield f"# TYPE {name} unknown"
        for series in found:
            if series.labels["__name__"] == name:
                labels = ",".join(f'{key}="{text}"' for key, text in series.labels.items() if key != "__name__")
                yield from (f"{name}{{{labels}}} {value!r} {at:.3f}" for at, value in series.points)


def samples(found: Sequence[Series], name: str) -> Samples:
    """The same for the evaluator."""
    mine = [series for series in found if series.labels["__name__"] == name]
    rows = [
        (number, round(at * 1000), value) for number, series in enumerate(mine) for at, value in sorted(series.points)
    ]
    return Samples(tuple(series.labels for series in mine), pl.DataFrame(rows, schema=SCHEMA, orient="row"))

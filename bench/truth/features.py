"""Everything a judge may look at, as numbers: for one tenant at the end of one window, from what the driver said so far.

For the study of what is knowable (`bench.truth.ceiling`): far more than the judge uses, so that a flexible classifier on these
tells how much there is to be known. Nothing of the world's truth is read, but for the promise and who holds which process,
which a judge knows as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.truth.story import WINDOW, Story, Tick
from bench.truth.worlds import Tenant
from exporter.demand_window import EDGES
from exporter.queueing import dedicated, readiness

Numbers = NDArray[np.float64]

_SPANS = {"window": WINDOW, "life": 1e9}
"""Seconds that are looked back on: a window, and all since the tenant came."""

_LEAST = 1e-3


class Heard:
    """A story's samples as tables of seconds by processes, made once for all of its windows."""

    def __init__(self, story: Story) -> None:
        told = [tick for tick in story.ticks if tick.shares is not None]
        self.at = np.array([tick.at for tick in told])
        self.there = np.array([[share is not None for share in tick.shares or ()] for tick in told])
        self.shares = np.array([[share or 0.0 for share in tick.shares or ()] for tick in told])
        self.shares /= np.maximum(1.0, self.shares.sum(axis=1, keepdims=True))
        self.ready = np.array([readiness([float(share) for share in row]) for row in self.shares])
        self.declared = {
            tenant.name: _declared([tick for tick in story.ticks if tick.at > 0], number)
            for number, tenant in enumerate(story.world.tenants)
        }


def _declared(ticks: Sequence[Tick], number: int) -> Mapping[float, bool]:
    return {tick.at: said for tick in ticks if (said := tick.declared[number]) is not None}


def features(heard: Heard, tenant: Tenant, end: float) -> dict[str, float]:
    """Return every figure of one tenant at one instant; what cannot be told is missing or NaN."""
    own = list(tenant.members)
    others = [i for i in range(heard.shares.shape[1]) if i not in set(own)]
    known = (heard.at <= end) & heard.there[:, own].any(axis=1)
    found = {
        "promise": math.log(tenant.promise),
        "age": float(known.sum()),
    }
    for name, span in _SPANS.items():
        rows = known & (heard.at > end - span)
        if rows.sum() >= 3:
            found |= {f"{name}_{key}": each for key, each in _span(heard, rows, own, others, tenant.promise).items()}
    told = [heard.declared[tenant.name][at] for at in heard.declared[tenant.name] if end - WINDOW < at <= end]
    found["backlog"] = sum(told) / len(told) if told else math.nan
    return found | _levels(heard, known, own, others)


def _span(heard: Heard, rows: NDArray[np.bool_], own: list[int], others: list[int], promise: float) -> dict[str, float]:
    each, beside = heard.shares[rows][:, own], heard.shares[rows][:, others]
    x, rest = each.sum(axis=1), beside.sum(axis=1)
    queue = heard.ready[rows][:, others].sum(axis=1)
    working = [j for j in range(len(own)) if each[-20:, j].any()] or [0]
    each = each[:, working]
    ready = heard.ready[rows][:, [own[j] for j in working]].sum(axis=1)
    k, mean = len(working), max(_LEAST, float(x.mean()))
    busy = x[x > 0] if (x > 0).any() else x
    found = {
        "processes": k,
        "share": math.log(mean),
        "of_promise": mean / promise,
        "active": float((x > 0).mean()),
        "busy": math.log(max(_LEAST, float(busy.mean()))),
        "swing": float(busy.std()),
        "relative": float(busy.std()) / mean,
        "fano": float(busy.var()) / mean,
        "pieces": _pieces(each),
        "skew": _skew(busy),
        "lag": _correlation(x[1:], x[:-1]),
        "low": float(np.quantile(x, 0.1)) / mean,
        "high": float(np.quantile(x, 0.9)) / mean,
        "together": _together(each),
        "uneven": float(each.mean(axis=0).std()) / (mean / k),
        "ready": float(ready.mean()) / k,
        "closed": _closed(mean, float(ready.mean()), k, promise),
    }
    return (
        found | _beside(x, beside, queue, mean / k, promise) | _moved(x, queue, rest) | _elastic(each, beside, promise)
    )


def _beside(x: Numbers, beside: Numbers, queue: Numbers, mean: float, promise: float) -> dict[str, float]:
    """What the others do, and the mean share of a process of the tenant beside theirs."""
    rest = beside.sum(axis=1)
    means = beside.mean(axis=0) if beside.shape[1] else np.zeros(1)
    top = np.sort(means)[::-1]
    full = np.sort(x + rest)[::-1][: max(1, len(x) // 3)]
    return {
        "rest": float(rest.mean()),
        "rest_swing": float(rest.std()),
        "full": float(full.mean()),
        "total": float((x + rest).mean()),
        "total_swing": float((x + rest).std()),
        "pressure": float(queue.mean()),
        "held": float(queue.mean()) / (1 / promise - 1 + 1e-9) if promise < 1 else 0.0,
        "pressure_swing": float(queue.std()),
        "others": float((means > 0.004).sum()),
        "to_first": mean / max(_LEAST, top[0]),
        "to_second": mean / max(_LEAST, top[1]) if len(top) > 1 else math.nan,
        "to_middle": mean / max(_LEAST, float(np.median(means[means > 0.004])) if (means > 0.004).any() else 0.0),
        "steadiest": float(np.min(beside.std(axis=0) / np.maximum(0.01, means))) if beside.shape[1] else math.nan,
    }


def _closed(mean: float, ready: float, processes: int, promise: float) -> float:
    pause = max(0.0, processes - ready) / mean
    return mean / dedicated(processes, pause, promise)


def _pieces(each: Numbers) -> float:
    """The mean variance of a process over its mean share: in a second's worth of arrivals, the size of a burst."""
    means = np.maximum(_LEAST, each.mean(axis=0))
    return float((each.var(axis=0) / means).mean())


def _skew(x: Numbers) -> float:
    deviation = float(x.std())
    return float(((x - x.mean()) ** 3).mean()) / deviation**3 if deviation > 1e-6 else 0.0


def _correlation(a: Numbers, b: Numbers) -> float:
    if len(a) < 3 or a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _together(each: Numbers) -> float:
    """How much of the tenant's variance its processes have in common: 0 each for itself, 1 all alike."""
    alone = float(each.var(axis=0).sum())
    if each.shape[1] < 2 or alone < 1e-9:
        return math.nan
    return float(each.sum(axis=1).var()) / alone


def _moved(x: Numbers, queue: Numbers, rest: Numbers) -> dict[str, float]:
    """Elasticity: how the share moves with the others from second to second, beside how it would if it only waited."""
    found = {"with_queue": _correlation(x, queue), "with_rest": _correlation(x, rest)}
    mean = max(_LEAST, float(x.mean()))
    spread = float(queue.var())
    slope = float(((x - x.mean()) * (queue - queue.mean())).mean()) / spread if spread > 1e-6 else 0.0
    rest_var = float((x - x.mean() - slope * (queue - queue.mean())).var())
    error = math.sqrt((rest_var + 2e-5) / (len(x) * spread)) if spread > 1e-6 else 1.0
    found["slope"] = slope / mean
    found["slope_error"] = min(9.0, error / mean)
    found["slope_sure"] = slope / error
    # Against the slope of a tenant that always waits, x = c / (1 + queue).
    waits = -mean / (1 + float(queue.mean()))
    found["gives_way"] = (slope - waits) / error
    return found


def _elastic(each: Numbers, beside: Numbers, promise: float) -> dict[str, float]:
    """Elasticity to the length of a round: the share against the largest share of another process, in logarithms.

    A process that always has work gets one turn a round, so its share is a turn over the length of a round. A closed loop
    waits for rounds in a part u of its time; its share moves with the length by the power of u. Arrivals do not move.
    Delivered over entitled is then share / promise + 1 - u, whatever the length of its bursts.
    """
    x = each.sum(axis=1)
    found: dict[str, float] = {}
    if not beside.shape[1] or beside.max() < 0.03:
        return found
    fixed = beside[:, int(beside.mean(axis=0).argmax())]
    for name, turn in (("largest", beside.max(axis=1)), ("top", fixed)):
        usable = turn > 0.02
        if usable.sum() < 5:
            continue
        a, b = turn[usable], x[usable]
        mean = max(_LEAST, float(b.mean()))
        log = np.log(a) - np.log(a).mean()
        noise = float(((0.006 / a) ** 2).mean())
        spread = max(1e-9, float((log**2).mean()) - noise)
        u = float((log * b).mean()) / mean / max(spread, 0.25 * noise)
        rest = float((b / mean - 1 - u * log).var()) + (0.004 / mean) ** 2
        error = math.sqrt(rest / (len(a) * max(spread, 0.25 * noise)))
        found[f"u_{name}"] = max(-3.0, min(3.0, u))
        found[f"u_{name}_error"] = min(9.0, error)
        found[f"u_{name}_ratio"] = max(-3.0, min(4.0, mean / promise + 1 - u))
        found[f"u_{name}_sure"] = (u - 0.1 - mean / promise) / error
        found[f"u_{name}_open"] = u / error
        found[f"u_{name}_spread"] = spread
        found[f"u_{name}_to"] = mean / float(a.mean())
    return found


def _levels(heard: Heard, known: NDArray[np.bool_], own: list[int], others: list[int]) -> dict[str, float]:
    """What it used at each level of pressure, as the judge's own memory of appetite has it, from seconds and from windows."""
    x = heard.shares[known][:, own].sum(axis=1)
    queue = heard.ready[known][:, others].sum(axis=1)
    found: dict[str, float] = {}
    place = np.searchsorted(np.array(EDGES), queue, side="right")
    for level in range(len(EDGES) + 1):
        at = place == level
        enough = at.sum() >= 3
        found[f"level{level}_seconds"] = float(at.sum())
        found[f"level{level}_share"] = float(x[at].mean()) if enough else math.nan
    smooth = np.convolve(queue, np.ones(10) / 10, "valid") if len(queue) >= 10 else queue
    smoothed = np.convolve(x, np.ones(10) / 10, "valid") if len(x) >= 10 else x
    if len(smooth):
        now = max(_LEAST, float(smoothed[-1]))
        least, most = int(smooth.argmin()), int(smooth.argmax())
        found["least_pressure"], found["least_share"] = float(smooth[least]), float(smoothed[least]) / now
        found["most_pressure"], found["most_share"] = float(smooth[most]), float(smoothed[most]) / now
    return found

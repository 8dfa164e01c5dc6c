"""The arithmetic of burn rates on one-minute slices: factors, thresholds, and what follows from them.

With objective o, period P and a window W: burning the part c of the budget within W is the factor f = c·P/W, and in bad
slices the threshold is f·(1 − o)·W/slice. A burn alert compares bad slices with the slices that the window *should*
have, not with those that happen to exist, and never fires below a floor of bad slices. Source of the windows and parts:
the Google SRE workbook, chapter 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from slo.spec import SLICE, Objective, PartitionSLO, Severity


@dataclass(frozen=True, slots=True)
class Burn:
    """One pair of windows (seconds) and the part of the budget that its long window may burn before it fires."""

    name: str  # "fast" or "slow": which severity of the objective it raises
    long: int
    short: int
    part: float  # of the budget


MINUTE, HOUR, DAY = 60, 3600, 86400

BURNS = (
    Burn("fast", HOUR, 5 * MINUTE, 0.02),
    Burn("fast", 6 * HOUR, 30 * MINUTE, 0.05),
    Burn("slow", DAY, 2 * HOUR, 0.10),
    Burn("slow", 3 * DAY, 6 * HOUR, 0.10),
)
"""For a period of 30 days the factors are 14.4, 6, 3 and 1."""

UNMET_WINDOW = DAY
UNMET_RATIO = 0.5
UNMET_FLOOR = 5
"""The ticket for a partition that is rarely used and mostly starved: bad/valid of a day above the ratio, and at least
the floor of bad slices."""

TENANT_FLOOR = 60
"""Bad slices below which a namespace's budget is not called exhausted: a young namespace has little to divide by."""

GPU_PARTITIONS = 2
GPU_SHARE = 0.5
NODE_GPUS = 2
FLEET_PARTITIONS = 10
FLEET_SHARE = 0.1
"""From how many, and from which part of those that had a valid slice within the hour, trouble is wider than one."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A burn pair for one objective: fires while the bad slices of both windows are above these."""

    burn: Burn
    severity: Severity
    factor: float
    long_above: float  # bad slices
    short_above: float

    @property
    def possible(self) -> bool:
        """Whether a total breach can reach it: the whole long window bad is above it."""
        return self.long_above < self.burn.long / SLICE and self.short_above < self.burn.short / SLICE

    @property
    def least_bad(self) -> int:
        """Fewest bad slices in the long window that fire it."""
        return math.floor(self.long_above) + 1


def thresholds(spec: PartitionSLO, objective: Objective) -> tuple[Threshold, ...]:
    """Return the burn thresholds of an objective whose severity is not none, in the order of `BURNS`."""
    found = []
    for burn in BURNS:
        severity = objective.fast if burn.name == "fast" else objective.slow
        if severity is not Severity.NONE:
            found.append(threshold(burn, severity, objective.target, spec.period, spec.alerting.min_bad_slices))
    return tuple(found)


def threshold(burn: Burn, severity: Severity, target: float, period: int, floor: int) -> Threshold:
    """Return one threshold. The floor holds for the long window: fewer than `floor` bad slices never fire."""
    factor = burn.part * period / burn.long
    budget = exact(1.0 - target)
    long_above = exact(factor * budget * burn.long / SLICE)
    short_above = exact(factor * budget * burn.short / SLICE)
    return Threshold(burn, severity, exact(factor), max(long_above, floor - 0.5), short_above)


def exact(value: float) -> float:
    """Drop the dust of binary arithmetic: 1 − 0.999 is 0.001, in rules and evaluator alike."""
    return float(f"{value:.12g}")

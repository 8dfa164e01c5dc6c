"""A straight line through points, and how sure its slope is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A slope in units of y for each unit of x, and its standard error."""

    slope: float
    error: float


def fit(points: Sequence[tuple[float, float]]) -> Line | None:
    """Ordinary least squares; None for fewer than three points, or points that all have one x."""
    count = len(points)
    if count < _FEWEST:
        return None
    mean_x = math.fsum(x for x, _ in points) / count
    mean_y = math.fsum(y for _, y in points) / count
    spread = math.fsum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return None
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    return Line(slope, math.sqrt(rest / (count - 2) / spread))


def means(points: Sequence[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """Points averaged over stretches of `width` in x.

    Neighbouring samples of one process are alike, so that a fit over all of them would call itself surer than it is.
    """
    stretches: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        stretches.setdefault(int(x // width), []).append((x, y))
    return [
        (math.fsum(x for x, _ in each) / len(each), math.fsum(y for _, y in each) / len(each))
        for _, each in sorted(stretches.items())
    ]

"""Numbers of a sample: medians and percentiles, and the CPU time of one call."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of the sample do not exceed (nearest rank)."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, rank - 1)]


def timed(into: list[float], call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Append the CPU seconds that this thread spends in one call; return what the call returns."""
    started = time.thread_time()
    value = call(*args, **kwargs)
    into.append(time.thread_time() - started)
    return value

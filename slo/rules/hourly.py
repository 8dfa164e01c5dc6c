"""The slices of each hour: 720 samples a month where the one-minute markers have 43,200."""

from __future__ import annotations

from slo.burnrate import HOUR
from slo.rules.model import Record
from slo.rules.promql import names, quoted, selector, window
from slo.rules.rollups import gpu_labels
from slo.rules.slices import BAD, VALID, static
from slo.spec import PartitionSLO

LEVELS = ("partition", "namespace", "gpu")
"""Namespaces and GPUs outlive partitions: their sums are kept by themselves, so that a month of short pods is cheap."""


def name(level: str, marker: str) -> str:
    """Return the name of a level's hourly sum of a marker (`slices.BAD` or `slices.VALID`)."""
    return f"{level}:{_what(marker)}:sum1h"


def level_labels(spec: PartitionSLO, level: str) -> tuple[str, ...]:
    """Return the labels by which a level above the partition is summed."""
    kinds = {"namespace": (*spec.group_by, "namespace"), "gpu": gpu_labels(spec)}
    return (*kinds[level], "class")


def records(spec: PartitionSLO) -> tuple[Record, ...]:
    """Return the rules that record the hour that ends now, each by itself: from the markers, not from one another."""
    found = []
    for level in LEVELS:
        for marker in (BAD, VALID):
            sums = f"sum_over_time({selector(marker, f'slo={quoted(spec.name)}')}{window(HOUR)})"
            by = "" if level == "partition" else f"sum by {names(level_labels(spec, level))} "
            found.append(Record(name(level, marker), f"{by}({sums})" if by else sums, static(spec)))
    return tuple(found)


def _what(marker: str) -> str:
    return marker.split(":")[1]

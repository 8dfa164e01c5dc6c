"""An auditor of pages: no counter goes back, and every guarantee of a partition has the partition's age."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_COUNTER = re.compile(rb"^((?:gpu|slicewatch)_\w+_total(?:\{.*\})?) (\S+)$", re.MULTILINE)
_SECONDS = re.compile(rb'gpu_partition_guarantee_seconds_total\{(.*),guarantee="(\w+)",outcome="\w+"\}')
_ACCOUNTED = re.compile(rb'gpu_accounted_seconds_total\{gpu="(.*?)",state="\w+"\}')

SLACK = 1e-3
"""Seconds by which sums of rounded numbers on a page may differ."""


@dataclass
class Books:
    """Reads pages in the text format, each newer than the one before. `faults` is what was found, a line each."""

    faults: list[str] = field(default_factory=list)
    _before: Mapping[bytes, float] = field(default_factory=dict)
    _ages: Mapping[bytes, float] = field(default_factory=dict)

    def read(self, page: bytes, passed: float | None = None) -> None:
        """Take a page. `passed` is the seconds since the one before, where they are known to the last one."""
        counters = {series: float(value) for series, value in _COUNTER.findall(page)}
        for series, value in counters.items():
            before = self._before.get(series)
            if before is not None and value < before:
                self.faults.append(f"{series.decode()} went back from {before!r} to {value!r}")
        ages = self._sums(counters)
        for who, age in ages.items():
            before = self._ages.get(who)
            if passed is not None and before is not None and age - before not in (0.0, passed):
                self._grew(who, age - before, passed)
        self._before, self._ages = counters, ages

    def _sums(self, counters: Mapping[bytes, float]) -> Mapping[bytes, float]:
        """Return the age of every partition and every GPU; guarantees that differ from their partition are faults."""
        sums: dict[tuple[bytes, bytes], float] = {}
        for series, value in counters.items():
            if found := _SECONDS.fullmatch(series):
                key = (found[1], found[2])
            elif found := _ACCOUNTED.fullmatch(series):
                key = (found[1], b"")
            else:
                continue
            sums[key] = sums.get(key, 0.0) + value
        ages: dict[bytes, float] = {}
        for (who, guarantee), age in sums.items():
            if abs(age - ages.setdefault(who, age)) > SLACK:
                self.faults.append(
                    f"{who.decode()}: the outcomes of {guarantee.decode()} sum to {age!r}, not {ages[who]!r}"
                )
        return ages

    def _grew(self, who: bytes, by: float, passed: float) -> None:
        if min(abs(by), abs(by - passed)) > SLACK:
            self.faults.append(f"{who.decode()} is older by {by!r} s after {passed!r} s")

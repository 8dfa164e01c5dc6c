"""What of a dcgm-exporter's page the join uses: the activity of devices, and since when it is known. Pure.

A page has no timestamps: dcgm-exporter serves what it collected last, every 30 s by default, and goes on serving it when its
collecting stalls. So a GPU's volatile values are its fingerprint, and a sample is as old as its fingerprint
(`exporter.dcgm.history`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import GpuUuid, Reading

_STALE_INTERVALS = 3.0
_STALE_LEAST, _STALE_MOST = 90.0, 120.0
"""Seconds for which a fingerprint may stand still: three intervals, at the least and at the most these."""


@dataclass(frozen=True, slots=True)
class NamedPod:
    """A pod that a page names as a device's holder: to be compared with the kubelet's word, never believed instead."""

    namespace: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DcgmDevice:
    """The activity of a GPU (`gpu_instance` None) or GPU instance: ratios of its own capacity, means over an interval."""

    gpu_instance: int | None
    profile: str  # as labelled, "" where the label is none: to see another layout by, never a capacity
    engine: Reading
    engine_least: Reading  # of the last samples together; NOT_YET while there are too few
    engine_most: Reading
    sm: Reading
    tensor: Reading
    bandwidth: Reading
    named: tuple[NamedPod, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DcgmGpu:
    """One GPU's rows. Times are monotonic seconds: the sample was made after `after`, and first seen at `seen`.

    The first of the last samples together was made after `first_after`.
    """

    first_after: float
    after: float
    seen: float
    interval: float  # seconds between two samples, as far as is known; the mean is over as much
    devices: tuple[DcgmDevice, ...]

    @property
    def good_until(self) -> float:
        """When the sample is too old, monotonic seconds."""
        return self.seen + min(max(_STALE_INTERVALS * self.interval, _STALE_LEAST), _STALE_MOST)

    @property
    def began(self) -> float:
        """The earliest moment that the sample's mean may be over."""
        return self.after - self.interval

    @property
    def first_began(self) -> float:
        """The same of the first of the last samples together."""
        return self.first_after - self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class DcgmReading:
    """One page. `serial` grows with every page; `untrusted` counts what was refused on it, by check."""

    serial: int
    gpus: Mapping[GpuUuid, DcgmGpu]
    untrusted: Mapping[str, int] = field(default_factory=dict)

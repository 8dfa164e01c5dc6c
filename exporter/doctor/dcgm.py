"""What dcgm-exporter gives on this node, and what its operator could add. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from exporter.model import Device, Missing, Reason, Snapshot

_FIELDS = {
    "engine_active": ("engine", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "compute of MIG instances is blind"),
    "sm_active": ("SM", "DCGM_FI_PROF_SM_ACTIVE", "what is used of compute is not told"),
    "tensor_active": ("tensor", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "tensor activity is not told"),
    "memory_bandwidth": ("memory bandwidth", "DCGM_FI_PROF_DRAM_ACTIVE", "bandwidth is not told"),
}
"""Readings: as people say them, the row of dcgm-exporter's CSV that gives them, and what is missing without it.

The CSVs that come with dcgm-exporter have SM_ACTIVE switched off (etc/default-counters.csv; NVIDIA/dcgm-exporter#400).
"""


def dcgm(snapshot: Snapshot) -> Iterator[str]:
    """What the page gave of this node's devices, and what it lacks."""
    given = [device for device in snapshot.devices if device.use.sampled is not None]
    if given:
        words = ", ".join(_counted(given))
        longest = max(each.use.sampled.interval for each in given if each.use.sampled is not None)
        yield f"dcgm      activity of {len(given)} of {len(snapshot.devices)} devices: {words}; means over up to {longest:.0f} s"
    for name, (_, row, without) in _FIELDS.items():
        lacking = sum(1 for device in given if getattr(device.use, name) == Missing(Reason.UNSUPPORTED))
        if lacking:
            yield f"          not on its page for {lacking}: add {row} to dcgm-exporter's CSV; without it {without}"
    if snapshot.misnamed:
        yield f"          on {len(snapshot.misnamed)} devices it names pods that by the kubelet do not hold them; so do dashboards of it"
    other = sum(1 for each in snapshot.devices if each.use.engine_active == Missing(Reason.AMBIGUOUS))
    if other:
        yield f"dcgm      {other} devices: the instances on its page are not the driver's; restart dcgm-exporter after a new MIG layout"
    low = sum(1 for each in given if each.use.sampled is not None and each.use.sampled.low_confidence)
    if low:
        yield f"          {low} with low confidence: of mixed sizes on one GPU before Hopper, DCGM reads the larger ones too low"


def _counted(given: list[Device]) -> Iterator[str]:
    counts = Counter(name for each in given if each.use.sampled is not None for name in each.use.sampled.readings)
    return (f"{counts[name]} {words}" for name, (words, _, _) in _FIELDS.items() if counts[name])

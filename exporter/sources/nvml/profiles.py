"""What a board can be cut into and how many SMs it has: read from the driver, never from a table of boards.

SMs per profile are not slices times a constant, and names and memory of one board's profiles have changed between
drivers, so a table would be wrong on somebody's node.
"""

from __future__ import annotations

import math
from typing import Any, Final

from exporter.model import Missing, Profile, Reading
from exporter.sources.nvml.calls import UNSUPPORTED, Calls, Spot

MIB: Final = 1 << 20
_GIB: Final = 1 << 30

_PROFILES: Final = 32
"""Profile indices to try. nvml.h 13.6 ends at 0x12; newer releases append, and an unknown index is a cheap refusal."""

_SUFFIX: Final = {
    0x7: "+me",
    0x8: "+me",
    0xA: "+gfx",
    0xB: "+gfx",
    0xC: "+gfx",
    0xD: "-me",
    0xE: "-me",
    0xF: "+me.all",
    0x10: "+me.all",
    0x11: "+gfx",
}
"""What a profile index (NVML_GPU_INSTANCE_PROFILE_* of nvml.h) adds to the name."""

_CORES_PER_SM: Final = {
    (3,): 192,
    (5,): 128,
    (6, 0): 64,
    (6,): 128,
    (7,): 64,
    (8, 0): 64,
    (8,): 128,
    (9,): 128,
    (10,): 128,
    (11,): 128,
    (12,): 128,
}
"""CUDA cores of an SM by compute capability, exact version before major (CUDA samples, helper_cuda.h)."""


def catalogue(calls: Calls, spot: Spot, total_bytes: Reading) -> tuple[Profile, ...]:
    """Return the board's MIG profiles in the order of the driver's index; empty when there are none.

    The form that carries names is refused while MIG mode is off (nvml.h); the older form is not, and its rows are named
    by rule, which takes `total_bytes`, the board's memory: without it they stay unnamed (`name` is empty).
    """
    named = [_named(calls, spot, index) for index in range(_PROFILES)]
    rows = [row for row in named if row is not None]
    if not rows:
        unnamed = [_unnamed(calls, spot, index, total_bytes) for index in range(_PROFILES)]
        rows = [row for row in unnamed if row is not None]
    return tuple(rows)


def _named(calls: Calls, spot: Spot, index: int) -> Profile | None:
    info = calls.ask(spot, calls.lib.nvmlDeviceGetGpuInstanceProfileInfo, index, 2)
    if isinstance(info, Missing):
        return None
    name = calls.attempt(None, getattr, info, "name")  # pynvml decodes it on access
    return _profile("" if isinstance(name, Missing) else name.removeprefix("MIG "), info)


def _unnamed(calls: Calls, spot: Spot, index: int, total_bytes: Reading) -> Profile | None:
    info = calls.ask(spot, calls.lib.nvmlDeviceGetGpuInstanceProfileInfo, index, 1)
    if isinstance(info, Missing):
        return None
    if isinstance(total_bytes, Missing):
        return _profile("", info)
    return _profile(profile_name(index, info.sliceCount, info.memorySizeMB * MIB, total_bytes), info)


def _profile(name: str, info: Any) -> Profile:
    return Profile(
        name=name,
        profile_id=info.id,
        slices=info.sliceCount,
        sm_count=info.multiprocessorCount,
        memory_bytes=info.memorySizeMB * MIB,
    )


def profile_name(index: int, slices: int, memory_bytes: int, total_bytes: float) -> str:
    """Name a profile as the driver would: memory is whole eighths of the board, in rounded GiB.

    The rule is that of NVIDIA/go-nvlib pkg/nvlib/device/mig_profile.go; the figure in a name is not the usable memory.
    """
    eighths = math.ceil(8 * memory_bytes / total_bytes)
    gib = math.floor(eighths / 8 * math.ceil(total_bytes / _GIB) + 0.5)  # Go rounds halves up, Python to even
    return f"{slices}g.{gib}gb{_SUFFIX.get(index, '')}"


def sm_count(calls: Calls, spot: Spot, profiles: tuple[Profile, ...]) -> Reading:
    """Return the SMs that a promise is a share of: the full-board profile's where there is one, else the chip's.

    Under MIG a board offers fewer SMs than it has (98 of an A100's 108), and the driver does not count cores then.
    """
    if profiles:
        return float(max(profiles, key=lambda row: (row.slices, row.sm_count)).sm_count)
    cores = calls.ask(spot, calls.lib.nvmlDeviceGetNumGpuCores)
    if isinstance(cores, Missing):
        return cores
    capability = calls.ask(spot, calls.lib.nvmlDeviceGetCudaComputeCapability)
    if isinstance(capability, Missing):
        return capability
    per_sm = cores_per_sm(*capability)
    return UNSUPPORTED if per_sm is None else float(cores // per_sm)


def cores_per_sm(major: int, minor: int) -> int | None:
    """Return the CUDA cores of one SM, or None for a capability newer than this table."""
    return _CORES_PER_SM.get((major, minor), _CORES_PER_SM.get((major,)))

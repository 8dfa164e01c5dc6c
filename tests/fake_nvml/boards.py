"""A board's hardware from what is known of it: architecture, profile catalogue, and how its instances lie."""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.model import DeviceUse, DeviceUuid, Gpu, MigInstance, Missing, Profile
from tests.fake_nvml.translate import blend, code_of, memory_of, metrics_of, mib, processes_of, scaled
from tests.fake_nvml.values import NOT_SUPPORTED, FakeGpuInstance, FakeInstance, FakeProfile, Refused, Value

_ARCHITECTURES = {
    "kepler": (2, (3, 5), 192),
    "maxwell": (3, (5, 2), 128),
    "pascal": (4, (6, 0), 64),
    "volta": (5, (7, 0), 64),
    "turing": (6, (7, 5), 64),
    "ampere": (7, (8, 0), 64),
    "ada": (8, (8, 9), 128),
    "hopper": (9, (9, 0), 128),
    "blackwell": (10, (10, 0), 128),
}
"""Name → (nvmlDeviceArchitecture_t, compute capability, cores an SM), from nvml.h and the CUDA programming guide."""
"""Name → (nvmlDeviceArchitecture_t, compute capability, cores an SM), from nvml.h and the CUDA programming guide."""

_GA10X = ((8, 6), 128)
"""Ampere boards other than A100 and A30: capability 8.6, 128 cores an SM."""
"""Ampere boards other than A100 and A30: capability 8.6, 128 cores an SM."""

_PROFILE_INDEX = {
    (1, ""): 0,
    (2, ""): 1,
    (3, ""): 2,
    (4, ""): 3,
    (7, ""): 4,
    (8, ""): 5,
    (6, ""): 6,
    (1, "+me"): 7,
    (2, "+me"): 8,
    (1, "+gfx"): 0xA,
    (2, "+gfx"): 0xB,
    (4, "+gfx"): 0xC,
    (1, "-me"): 0xD,
    (2, "-me"): 0xE,
    (1, "+me.all"): 0xF,
    (2, "+me.all"): 0x10,
    (3, "+gfx"): 0x11,
}
"""NVML_GPU_INSTANCE_PROFILE_* by slices and suffix."""

_DOUBLE_MEMORY = 9
"""NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2: one compute slice with two memory slices (1g.20gb of an H100)."""
"""NVML_GPU_INSTANCE_PROFILE_* by slices and suffix."""

_DOUBLE_MEMORY = 9
"""NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2: one compute slice with two memory slices (1g.20gb of an H100)."""


def architecture_of(gpu: Gpu) -> tuple[Value, tuple[int, int] | Refused, int]:
    """nvmlDeviceArchitecture_t, compute capability, cores an SM; refused when the model does not say."""
    if gpu.architecture not in _ARCHITECTURES:
        return NOT_SUPPORTED, NOT_SUPPORTED, 128
    number, capability, cores = _ARCHITECTURES[gpu.architecture]
    if gpu.architecture == "ampere" and not re.search(r"\bA(100|30)\b", gpu.model):
        capability, cores = _GA10X
    return number, capability, cores


def profiles_of(rows: tuple[Profile, ...]) -> tuple[FakeProfile, ...]:
    """Number the rows as the driver's enumeration does, which need not be the order they are given in."""
    full = max(rows, key=lambda row: row.slices, default=None)
    return tuple(
        FakeProfile(
            index=profile_index(row, full),
            profile_id=row.profile_id,
            name=row.name,
            slices=row.slices,
            sm_count=row.sm_count,
            memory_mib=mib(row.memory_bytes),
            max_instances=1 if full is None or "+me" in row.name else full.slices // row.slices,
            engines=(row.slices, 0, 0, 0, 0),
        )
        for row in rows
    )


def profile_index(row: Profile, full: Profile | None) -> int:
    """NVML_GPU_INSTANCE_PROFILE_* of a row. Raises ValueError when nvml.h has none for its slices and suffix."""
    suffix = re.sub(r"^.*gb", "", row.name)
    if (row.slices, suffix) not in _PROFILE_INDEX:
        raise ValueError(f"{row.name}: no profile index has {row.slices} slices and {suffix!r}")
    doubled = row.slices == 1 and not suffix and _memory_slices(row, full) > 1
    return _DOUBLE_MEMORY if doubled else _PROFILE_INDEX[row.slices, suffix]


def gpu_instances_of(gpu: Gpu, uses: Mapping[DeviceUuid, DeviceUse]) -> tuple[FakeGpuInstance, ...]:
    """One GPU instance for each id that the MIG devices name, placed one behind the other."""
    rows = {row.name: row for row in gpu.profiles}
    full = max(gpu.profiles, key=lambda row: row.slices, default=None)
    start = 0
    made = []
    for number in sorted({item.gpu_instance for item in gpu.instances}):
        members = [item for item in gpu.instances if item.gpu_instance == number]
        members.sort(key=lambda item: item.compute_instance)
        row = rows.get(_whole_profile(members[0].profile))
        size = _memory_slices(row, full)
        placed = members[0].placement
        start = start if placed is None else placed.start
        made.append(
            FakeGpuInstance(
                id=number,
                profile_id=placed.profile_id if placed else row.profile_id if row else 0,
                start=start,
                size=size,
                memory=memory_of(uses[members[0].uuid]),
                gpm=blend([(uses[item.uuid], item.sm_count) for item in members]),
            )
        )
        start += size
    return tuple(made)


def _whole_profile(profile: str) -> str:
    """`1c.3g.40gb` → `3g.40gb`: the GPU instance that a smaller compute instance is cut from."""
    return re.sub(r"^[0-9]+c\.", "", profile)


def _memory_slices(row: Profile | None, full: Profile | None) -> int:
    if row is None or full is None:
        return 1
    slices = 8 if full.slices == 7 else full.slices  # 7 compute slices share 8 memory slices
    return max(1, round(row.memory_bytes / full.memory_bytes * slices))


def instance_of(item: MigInstance, gpu: Gpu, use: DeviceUse) -> FakeInstance:
    """The MIG device with its slices, its GPU instance's from the catalogue."""
    whole = next((row for row in gpu.profiles if row.name == _whole_profile(item.profile)), None)
    part = re.match(r"([0-9]+)c\.", item.profile)
    slices = whole.slices if whole else 1
    siblings = sum(1 for other in gpu.instances if other.gpu_instance == item.gpu_instance)
    return FakeInstance(
        uuid=item.uuid,
        index=item.index,
        gpu_instance=item.gpu_instance,
        compute_instance=item.compute_instance,
        profile=item.profile,
        sm_count=scaled(item.sm_count, 1),
        memory_mib=Refused(code_of(item.memory_bytes.reason))
        if isinstance(item.memory_bytes, Missing)
        else mib(item.memory_bytes),
        gpu_instance_slices=slices,
        compute_instance_slices=int(part[1]) if part else slices,
        engines=(slices, 0, 0, 0, 0),
        ecc_uncorrected_sram=scaled(use.ecc_uncorrected, 1),
        processes=processes_of(use),
        gpm=metrics_of(use) if siblings > 1 else {},
    )

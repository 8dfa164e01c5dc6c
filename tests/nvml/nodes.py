"""GPUs that the tests put into the fake driver, as captures of such boards show them."""

from __future__ import annotations

from dataclasses import replace

from tests.fake_nvml.state import (
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_SM,
    GPM_TENSOR,
    NOT_SUPPORTED,
    FakeDriver,
    FakeGpu,
    FakeGpuInstance,
    FakeInstance,
    FakeMemory,
    FakeProfile,
)

H100 = "GPU-1a2b3c4d-0000-4000-8000-00000000a100"
L40S = "GPU-1a2b3c4d-0000-4000-8000-0000000040aa"

MIB = 1 << 20

H100_PROFILES = (
    FakeProfile(index=0, profile_id=19, name="1g.10gb", slices=1, sm_count=16, memory_mib=9984, max_instances=7),
    FakeProfile(index=1, profile_id=14, name="2g.20gb", slices=2, sm_count=32, memory_mib=20096, max_instances=3),
    FakeProfile(index=2, profile_id=9, name="3g.40gb", slices=3, sm_count=60, memory_mib=40448, max_instances=2),
    FakeProfile(index=4, profile_id=0, name="7g.80gb", slices=7, sm_count=132, memory_mib=81152),
    FakeProfile(index=7, profile_id=20, name="1g.10gb+me", slices=1, sm_count=16, memory_mib=9984),
    FakeProfile(index=9, profile_id=15, name="1g.20gb", slices=1, sm_count=26, memory_mib=20096, max_instances=4),
)

GPM = {GPM_GRAPHICS: 50.0, GPM_SM: 25.0, GPM_TENSOR: 12.5, GPM_DRAM: 6.25}


def mig_uuid(number: int) -> str:
    """A MIG device's UUID, told apart by a number."""
    return f"MIG-5c9d7a10-0000-5000-8000-{number:012d}"


def gpu_instance(number: int, profile_id: int = 19, mib: int = 9984, used: int = 0) -> FakeGpuInstance:
    """A GPU instance with memory and activity."""
    memory = FakeMemory(total=mib * MIB, used=used)
    return FakeGpuInstance(id=number, profile_id=profile_id, memory=memory, gpm=GPM)


def instance(number: int, index: int, gi: int, profile: str = "1g.10gb", ci: int = 0, sms: int = 16) -> FakeInstance:
    """A compute instance in a GPU instance."""
    return FakeInstance(
        uuid=mig_uuid(number),
        index=index,
        gpu_instance=gi,
        compute_instance=ci,
        profile=profile,
        sm_count=sms,
        memory_mib=9984,
    )


def h100_mig(*, instances: tuple[FakeInstance, ...], gpu_instances: tuple[FakeGpuInstance, ...]) -> FakeGpu:
    """An H100 in MIG mode."""
    return FakeGpu(
        uuid=H100,
        mig_current=1,
        mig_pending=1,
        profiles=H100_PROFILES,
        instances=instances,
        gpu_instances=gpu_instances,
        gpm_supported=True,
        gpm=GPM,
    )


def two_slices() -> FakeDriver:
    """A node with one H100 of two 1g instances, at indices 0 and 3."""
    made = (instance(1, 0, gi=9), instance(2, 3, gi=10))
    return FakeDriver(gpus=(h100_mig(instances=made, gpu_instances=(gpu_instance(9), gpu_instance(10))),))


def h100(**changes: object) -> FakeGpu:
    """A whole H100 with GPM."""
    whole = FakeGpu(uuid=H100, mig_current=0, mig_pending=0, profiles=H100_PROFILES, gpm_supported=True, gpm=GPM)
    return replace(whole, **changes)  # type: ignore[arg-type]  # the caller's fields are FakeGpu's


def l40s(**changes: object) -> FakeGpu:
    """A board without MIG and without GPM."""
    whole = FakeGpu(
        uuid=L40S,
        name="NVIDIA L40S",
        minor=1,
        architecture=8,
        compute_capability=(8, 9),
        cores=18176,
        memory=FakeMemory(total=46068 * MIB, reserved=598 * MIB),
        mig_current=NOT_SUPPORTED,
        mig_pending=NOT_SUPPORTED,
        utilisation=40,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # the caller's fields are FakeGpu's

"""Machines that several tests of the fake driver look at."""

from __future__ import annotations

from tests.fake_nvml.state import (
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_SM,
    GPM_TENSOR,
    FakeDriver,
    FakeGpu,
    FakeGpuInstance,
    FakeInstance,
    FakeMemory,
    FakeProcess,
    FakeProfile,
    Refused,
)

MIB = 1 << 20

H100, L40S = "GPU-11111111-0000-4000-8000-000000000001", "GPU-11111111-0000-4000-8000-000000000002"
LOW, HIGH, SMALL = (f"MIG-22222222-0000-5000-8000-00000000000{number}" for number in (1, 2, 3))

PROFILES = (
    FakeProfile(index=0, profile_id=19, name="1g.10gb", slices=1, sm_count=16, memory_mib=9984, max_instances=7),
    FakeProfile(index=2, profile_id=9, name="3g.40gb", slices=3, sm_count=60, memory_mib=40448, max_instances=2),
    FakeProfile(index=4, profile_id=0, name="7g.80gb", slices=7, sm_count=132, memory_mib=81152),
)


def h100() -> FakeGpu:
    """An H100 in MIG mode: a 3g.40gb cut into two compute instances at slots 0 and 1, and a 1g.10gb at slot 5."""
    return FakeGpu(
        uuid=H100,
        mig_current=1,
        mig_pending=1,
        gpm_supported=True,
        profiles=PROFILES,
        gpm={GPM_GRAPHICS: 40.0},
        gpu_instances=(
            FakeGpuInstance(
                id=2,
                profile_id=9,
                start=4,
                size=4,
                memory=FakeMemory(total=40448 * MIB, used=11091 * MIB),
                gpm={GPM_GRAPHICS: 80.0, GPM_SM: float("nan"), GPM_TENSOR: Refused(), GPM_DRAM: 12.5},
            ),
            FakeGpuInstance(id=9, profile_id=19, memory=FakeMemory(total=9984 * MIB), gpm={GPM_GRAPHICS: 10.0}),
        ),
        instances=(
            FakeInstance(
                uuid=LOW,
                index=0,
                gpu_instance=2,
                profile="1c.3g.40gb",
                sm_count=16,
                memory_mib=40448,
                gpu_instance_slices=3,
                processes=(FakeProcess(pid=101, memory_bytes=2296 * MIB),),
            ),
            FakeInstance(
                uuid=HIGH,
                index=1,
                gpu_instance=2,
                compute_instance=1,
                profile="2c.3g.40gb",
                sm_count=32,
                memory_mib=40448,
                gpu_instance_slices=3,
                compute_instance_slices=2,
                gpm={GPM_GRAPHICS: 99.0},
                processes=(FakeProcess(pid=102, memory_bytes=None),),
            ),
            FakeInstance(uuid=SMALL, index=5, gpu_instance=9, profile="1g.10gb", sm_count=16, memory_mib=9984),
        ),
    )


def l40s() -> FakeGpu:
    """An L40S: no MIG, no GPM, two processes of which one runs."""
    return FakeGpu(
        uuid=L40S,
        name="NVIDIA L40S",
        minor=7,
        architecture=8,
        compute_capability=(8, 9),
        cores=18176,
        utilisation=97,
        memory=FakeMemory(total=46068 * MIB, used=1000 * MIB, reserved=600 * MIB),
        processes=(
            FakeProcess(pid=201, memory_bytes=500 * MIB, sm=75, mem=20),
            FakeProcess(pid=202, memory_bytes=500 * MIB),
            FakeProcess(pid=203, kind="graphics"),
            FakeProcess(pid=204, kind="mps"),
        ),
    )


def mixed() -> FakeDriver:
    """Both boards."""
    return FakeDriver(gpus=(h100(), l40s()))

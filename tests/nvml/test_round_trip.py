"""What a driver says is what is read: a reading written by hand, made into a driver, comes back equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporter.model import (
    DeviceUse,
    DeviceUuid,
    DriverReading,
    Gpu,
    GpuUse,
    GpuUuid,
    Inventory,
    MigInstance,
    Missing,
    Placement,
    Process,
    ProcessKind,
    Profile,
    Reason,
    Throttle,
    Xid,
)
from exporter.sources.nvml import NvmlDriver
from tests.fake_nvml.state import from_reading
from tests.nvml.conftest import Machine

MIB = 1 << 20
UNSUPPORTED = Missing(Reason.UNSUPPORTED)
NOT_YET = Missing(Reason.NOT_YET)

HOPPER = GpuUuid("GPU-aaaaaaaa-0000-4000-8000-000000000000")
ADA = GpuUuid("GPU-bbbbbbbb-0000-4000-8000-000000000000")
AMPERE = GpuUuid("GPU-cccccccc-0000-4000-8000-000000000000")


def _mig(number: int) -> DeviceUuid:
    return DeviceUuid(f"MIG-dddddddd-0000-5000-8000-{number:012d}")


def _profile(name: str, profile_id: int, slices: int, sms: int, mib: int) -> Profile:
    return Profile(name=name, profile_id=profile_id, slices=slices, sm_count=sms, memory_bytes=mib * MIB)


def _instance(
    number: int, index: int, gi: int, profile: str, size: tuple[int, int], placement: tuple[int, int]
) -> MigInstance:
    return MigInstance(
        uuid=_mig(number),
        index=index,
        gpu_instance=gi,
        compute_instance=0,
        profile=profile,
        sm_count=float(size[0]),
        memory_bytes=float(size[1] * MIB),
        placement=Placement(*placement),
    )


GPUS = (
    Gpu(
        uuid=HOPPER,
        index=0,
        minor=2,
        model="NVIDIA H100 80GB HBM3",
        architecture="hopper",
        sm_count=132.0,
        mig_current=True,
        mig_pending=True,
        profiles=(
            _profile("1g.10gb", 19, 1, 16, 9984),
            _profile("2g.20gb", 14, 2, 32, 20096),
            _profile("3g.40gb", 9, 3, 60, 40448),
            _profile("7g.80gb", 0, 7, 132, 81152),
            _profile("1g.10gb+me", 20, 1, 16, 9984),
            _profile("1g.20gb", 15, 1, 26, 20096),
        ),
        instances=(
            _instance(1, 0, 2, "3g.40gb", (60, 40448), (9, 4)),
            _instance(2, 1, 3, "2g.20gb", (32, 20096), (14, 0)),
            _instance(3, 4, 9, "1g.10gb+me", (16, 9984), (20, 2)),
        ),
    ),
    Gpu(
        uuid=ADA,
        index=1,
        minor=0,
        model="NVIDIA L40S",
        architecture="ada",
        sm_count=142.0,
        mig_current=UNSUPPORTED,
        mig_pending=UNSUPPORTED,
    ),
    Gpu(
        uuid=AMPERE,
        index=2,
        minor=1,
        model="NVIDIA A100-SXM4-40GB",
        architecture="ampere",
        sm_count=98.0,
        mig_current=True,
        mig_pending=False,
        profiles=(_profile("1g.5gb", 19, 1, 14, 4864), _profile("7g.40gb", 0, 7, 98, 40192)),
        instances=(_instance(7, 6, 13, "1g.5gb", (14, 4864), (19, 6)),),
    ),
)


def _process(pid: int, kind: ProcessKind, mib: int, share: float | Missing) -> Process:
    return Process(pid=pid, kind=kind, memory_bytes=float(mib * MIB), sm_share=share)


def _use(total: int, used: int, **known: object) -> DeviceUse:
    blank = DeviceUse(
        memory_total_bytes=float(total * MIB),
        memory_used_bytes=float(used * MIB),
        memory_free_bytes=float((total - used) * MIB),
        engine_active=UNSUPPORTED,
        sm_active=UNSUPPORTED,
        tensor_active=UNSUPPORTED,
        memory_bandwidth=UNSUPPORTED,
        utilisation=UNSUPPORTED,
        ecc_corrected=UNSUPPORTED,
        ecc_uncorrected=0.0,
        processes=(),
    )
    return replace(blank, **known)  # type: ignore[arg-type]  # the caller's fields are DeviceUse's


def _gpu_use(power: float, throttle: frozenset[Throttle] = frozenset()) -> GpuUse:
    return GpuUse(
        sm_clock_hertz=1_755e6,
        sm_clock_max_hertz=1_980e6,
        power_watts=power,
        power_limit_watts=700.0,
        temperature_celsius=57.0,
        energy_joules=123_456_789.012,
        throttle=throttle,
    )


GPM = {"engine_active": 0.9625, "sm_active": 0.43, "tensor_active": 0.0, "memory_bandwidth": 0.125}

READING = DriverReading(
    at=12.5,
    inventory=Inventory(driver="590.48.01", nvml="13.590.48.01", gpus=GPUS),
    gpus={
        HOPPER: _gpu_use(412.337, frozenset({Throttle.SW_POWER_CAP, Throttle.HW_THERMAL})),
        ADA: replace(_gpu_use(301.0), energy_joules=UNSUPPORTED, throttle=Missing(Reason.PERMISSION)),
        AMPERE: replace(_gpu_use(88.5), power_watts=Missing(Reason.TIMEOUT), temperature_celsius=Missing(Reason.ERROR)),
    },
    devices={
        DeviceUuid(HOPPER): _use(81559, 11117, ecc_corrected=3.0),
        _mig(1): _use(40448, 11091, processes=(_process(411, ProcessKind.COMPUTE, 10816, UNSUPPORTED),), **GPM),
        _mig(2): _use(20096, 17, ecc_uncorrected=2.0, **GPM),
        _mig(3): _use(9984, 9, **(GPM | {"engine_active": 1.00625})),
        DeviceUuid(ADA): _use(
            46068,
            30000,
            engine_active=0.97,
            utilisation=0.97,
            ecc_corrected=0.0,
            processes=(
                _process(500, ProcessKind.MPS, 2048, 0.33),
                _process(777, ProcessKind.COMPUTE, 20000, 0.6),
                _process(778, ProcessKind.COMPUTE, 300, 0.0),
                _process(9001, ProcessKind.GRAPHICS, 4, 0.0),
            ),
        ),
        DeviceUuid(AMPERE): _use(40960, 44, ecc_corrected=0.0),
        _mig(7): _use(4864, 31, processes=Missing(Reason.PERMISSION)),
    },
    events=(Xid(HOPPER, 31, 2, 0), Xid(ADA, 79)),
    gpm=True,
)


def test_a_mixed_node_reads_back_as_it_is(machine: Machine, driver: NvmlDriver) -> None:
    state = replace(from_reading(READING), gpm_window_us=0)
    machine.becomes(state)
    first = driver.read(READING.at - 1)
    assert first.inventory == READING.inventory
    assert first.events == ()
    second = driver.read(READING.at)
    assert second.inventory == READING.inventory
    assert second.gpus == READING.gpus
    for uuid, use in READING.devices.items():
        assert second.devices[uuid] == use, uuid
    assert second == READING


def test_the_first_reading_has_everything_but_what_takes_two_samples(machine: Machine, driver: NvmlDriver) -> None:
    machine.becomes(from_reading(READING))
    first = driver.read(READING.at)
    assert first.gpm == NOT_YET
    assert first.gpus == READING.gpus
    blank: dict[str, Any] = dict.fromkeys(GPM, NOT_YET)
    for uuid in (_mig(1), _mig(2), _mig(3)):
        assert first.devices[uuid] == replace(READING.devices[uuid], **blank)
    for uuid in (DeviceUuid(ADA), DeviceUuid(AMPERE), _mig(7)):
        assert first.devices[uuid] == READING.devices[uuid]

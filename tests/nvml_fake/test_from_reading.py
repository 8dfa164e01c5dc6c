"""What a source should read becomes a driver that says so, value by value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
    Process,
    ProcessKind,
    Profile,
    Reading,
    Reason,
    Throttle,
    Xid,
)
from tests.fake_nvml.state import (
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_SM,
    NOT_SUPPORTED,
    WHOLE_GPU,
    Code,
    Fault,
    Refused,
    as_read,
    from_reading,
)
from tests.fake_nvml.translate import ABSENT, metrics_of
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import H100, HIGH, L40S, LOW, MIB
from tests.nvml_fake.test_mig import code_of, slots

HOPPER, ADA = GpuUuid(H100), GpuUuid(L40S)
UNSUPPORTED = Missing(Reason.UNSUPPORTED)

PROFILES = tuple(
    Profile(name=name, profile_id=number, slices=slices, sm_count=sms, memory_bytes=mebibytes * MIB)
    for name, number, slices, sms, mebibytes in (
        ("1g.10gb", 19, 1, 16, 9984),
        ("1g.10gb+me", 20, 1, 16, 9984),
        ("1g.20gb", 15, 1, 26, 20096),
        ("3g.40gb", 9, 3, 60, 40448),
        ("7g.80gb", 0, 7, 132, 81152),
    )
)


def used(total: int, use: int, engine: Reading, *processes: Process) -> DeviceUse:
    return replace(
        ABSENT,
        memory_total_bytes=float(total),
        memory_used_bytes=float(use),
        memory_free_bytes=float(total - use),
        engine_active=engine,
        processes=processes,
    )


def cut(uuid: str, index: int, compute: int, sms: float) -> MigInstance:
    return MigInstance(
        uuid=DeviceUuid(uuid),
        index=index,
        gpu_instance=2,
        compute_instance=compute,
        profile=f"{compute + 1}c.3g.40gb",
        sm_count=sms,
        memory_bytes=40448.0 * MIB,
    )


def reading() -> DriverReading:
    """An H100 with a 3g.40gb cut in two, and an L40S with two processes."""
    hopper = Gpu(
        uuid=HOPPER,
        index=0,
        model="NVIDIA H100 80GB HBM3",
        architecture="hopper",
        sm_count=132.0,
        profiles=PROFILES,
        instances=(cut(LOW, 0, 0, 16.0), cut(HIGH, 1, 1, 32.0)),
        minor=0,
        mig_current=True,
        mig_pending=True,
    )
    ada = replace(
        hopper,
        uuid=ADA,
        index=1,
        minor=None,
        model="NVIDIA L40S",
        architecture="ada",
        sm_count=142.0,
        mig_current=UNSUPPORTED,
        mig_pending=UNSUPPORTED,
        profiles=(),
        instances=(),
    )
    half = used(40448 * MIB, 1000 * MIB, 0.25)
    two = (
        Process(pid=1, kind=ProcessKind.COMPUTE, memory_bytes=5.0, sm_share=0.75),
        Process(pid=2, kind=ProcessKind.MPS, memory_bytes=UNSUPPORTED, sm_share=0.0),
    )
    return DriverReading(
        at=1.0,
        inventory=Inventory(driver="590.1", nvml="13.590.1", gpus=(hopper, ada)),
        gpus={
            ADA: GpuUse(
                sm_clock_hertz=2.52e9,
                sm_clock_max_hertz=2.52e9,
                power_watts=123.456,
                power_limit_watts=350.0,
                temperature_celsius=61.0,
                energy_joules=98765.4,
                throttle=frozenset({Throttle.SW_POWER_CAP, Throttle.HW_THERMAL}),
            )
        },
        devices={
            DeviceUuid(LOW): replace(half, sm_active=0.1, memory_bandwidth=0.3),
            DeviceUuid(HIGH): replace(half, engine_active=0.55, sm_active=0.4, memory_bandwidth=0.3),
            DeviceUuid(ADA): replace(used(46068 * MIB, 600 * MIB, 0.97, *two), utilisation=0.97, ecc_uncorrected=2.0),
        },
        events=(Xid(ADA, 79), Xid(HOPPER, 31, 2, 0)),
        gpm=True,
    )


def test_a_driver_answers_what_the_reading_says(nvml: Any, become: Become) -> None:
    become(from_reading(reading()))
    assert nvml.nvmlSystemGetDriverVersion() == "590.1"
    parent, whole = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    low, high = slots(nvml, parent).values()
    assert nvml.nvmlDeviceGetName(high) == "NVIDIA H100 80GB HBM3 MIG 2c.3g.40gb"
    assert nvml.nvmlDeviceGetAttributes_v2(high).multiprocessorCount == 32
    assert nvml.nvmlDeviceGetMemoryInfo(low).used == nvml.nvmlDeviceGetMemoryInfo(high).used == 1000 * MIB
    assert nvml.nvmlGpuInstanceGetInfo(nvml.nvmlDeviceGetGpuInstanceById(parent, 2)).placement.size == 4
    assert nvml.nvmlDeviceGetMaxClockInfo(whole, 1) == 2520
    assert nvml.nvmlDeviceGetPowerUsage(whole) == 123_456
    assert nvml.nvmlDeviceGetTotalEnergyConsumption(whole) == 98_765_400
    assert nvml.nvmlDeviceGetCurrentClocksEventReasons(whole) == 0x44
    assert nvml.nvmlDeviceGetUtilizationRates(whole).gpu == 97
    assert nvml.nvmlDeviceGetTotalEccErrors(whole, 1, 0) == 2
    assert nvml.nvmlDeviceGetNumGpuCores(whole) == 142 * 128
    assert [sample.smUtil for sample in nvml.nvmlDeviceGetProcessUtilization(whole, 0)] == [75]
    assert nvml.nvmlDeviceGetMPSComputeRunningProcesses(whole)[0].usedGpuMemory is None
    for call in (nvml.nvmlDeviceGetMinorNumber, nvml.nvmlDeviceGetMigMode):
        assert code_of(nvml, lambda: call(whole)) == Code.NOT_SUPPORTED  # noqa: B023  # called at once
    assert [nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice for handle in (parent, whole)] == [1, 0]


def test_a_gpu_instance_has_the_mean_of_its_compute_instances_by_sms() -> None:
    parent = from_reading(reading()).gpus[0]
    (shared,) = parent.gpu_instances
    assert shared.gpm[GPM_GRAPHICS] == pytest.approx(45.0)
    assert shared.gpm[GPM_SM] == pytest.approx(30.0)
    assert shared.gpm[GPM_DRAM] == pytest.approx(30.0)
    assert [device.gpm[GPM_SM] for device in parent.instances] == pytest.approx([10.0, 40.0])


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.UNSUPPORTED, Code.NOT_SUPPORTED),
        (Reason.PERMISSION, Code.NO_PERMISSION),
        (Reason.DEVICE_LOST, Code.GPU_IS_LOST),
        (Reason.TIMEOUT, Code.TIMEOUT),
        (Reason.ERROR, Code.UNKNOWN),
    ],
)
def test_a_missing_value_is_the_refusal_that_a_source_reads_so(reason: Reason, code: Code) -> None:
    whole = reading()
    use = replace(whole.gpus[ADA], power_watts=Missing(reason), throttle=Missing(reason))
    missing = replace(whole.devices[DeviceUuid(ADA)], memory_free_bytes=Missing(reason), processes=Missing(reason))
    made = from_reading(replace(whole, gpus={ADA: use}, devices={**whole.devices, DeviceUuid(ADA): missing})).gpus[1]
    refused = Refused(code)
    assert (made.power_mw, made.throttle, made.memory, made.processes) == (refused,) * 4
    assert made.power_limit_mw == 350_000


def test_a_first_reading_refuses_nothing() -> None:
    unread = replace(ABSENT, engine_active=Missing(Reason.NOT_YET), sm_active=Missing(Reason.NOT_YET))
    assert metrics_of(unread)[GPM_GRAPHICS] == 0.0
    assert metrics_of(unread)[GPM_DRAM] == NOT_SUPPORTED


def test_missing_shares_are_the_utilisation_call_refusing_on_that_gpu() -> None:
    whole = reading()
    use = whole.devices[DeviceUuid(ADA)]
    blind = Process(pid=1, kind=ProcessKind.COMPUTE, memory_bytes=1.0, sm_share=Missing(Reason.PERMISSION))
    made = from_reading(replace(whole, devices={DeviceUuid(ADA): replace(use, processes=(blind,))}))
    assert made.faults.calls[0] == Fault(call="nvmlDeviceGetProcessUtilization", code=Code.NO_PERMISSION, device=L40S)
    assert from_reading(whole).faults.calls == ()


def test_events_queue_up_behind_those_of_the_state_before() -> None:
    first = from_reading(reading())
    second = from_reading(replace(reading(), events=(Xid(ADA, 48),)), previous=first)
    told = [(event.sequence, event.gpu, event.data, event.gpu_instance) for event in second.events]
    assert told == [(1, L40S, 79, WHOLE_GPU), (2, H100, 31, 2), (3, L40S, 48, WHOLE_GPU)]


def test_profiles_get_the_drivers_index_and_come_back_in_its_order() -> None:
    parent = from_reading(reading()).gpus[0]
    assert {row.name: row.index for row in parent.profiles} == {
        "1g.10gb": 0,
        "1g.10gb+me": 7,
        "1g.20gb": 9,
        "3g.40gb": 2,
        "7g.80gb": 4,
    }
    ordered = as_read(reading()).inventory.gpus[0].profiles
    assert [row.name for row in ordered] == ["1g.10gb", "3g.40gb", "7g.80gb", "1g.10gb+me", "1g.20gb"]


def test_what_comes_back_is_at_the_drivers_resolution() -> None:
    whole = reading()
    exact = replace(whole.gpus[ADA], sm_clock_hertz=831_600_000.0, power_watts=39.99999, energy_joules=1.23456)
    share = Process(pid=1, kind=ProcessKind.COMPUTE, memory_bytes=1.0, sm_share=0.333)
    use = replace(whole.devices[DeviceUuid(ADA)], utilisation=0.666, sm_active=0.123456, processes=(share,))
    read = as_read(replace(whole, gpus={ADA: exact}, devices={DeviceUuid(ADA): use}))
    board, device = read.gpus[ADA], read.devices[DeviceUuid(ADA)]
    assert (board.sm_clock_hertz, board.power_watts, board.energy_joules) == (832e6, 40.0, 1.235)
    assert (device.utilisation, device.sm_active) == (0.67, 0.123456)
    assert device.processes == (replace(share, sm_share=0.33),)
    assert as_read(read) == read


def test_a_parents_list_does_not_repeat_the_processes_of_its_instances() -> None:
    whole = reading()
    inside = Process(pid=7, kind=ProcessKind.COMPUTE, memory_bytes=1.0, sm_share=UNSUPPORTED)
    own = replace(inside, pid=8)
    low = replace(whole.devices[DeviceUuid(LOW)], processes=(inside,))
    devices = {**whole.devices, DeviceUuid(LOW): low, DeviceUuid(HOPPER): replace(ABSENT, processes=(inside, own))}
    parent = from_reading(replace(whole, devices=devices)).gpus[0]
    assert isinstance(parent.processes, tuple)
    assert [process.pid for process in parent.processes] == [8]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"memory_bytes": 1000.0}, "no whole number of MiB"), ({"profile": "9g.1gb"}, None)],
)
def test_what_no_driver_could_say_is_an_error(change: dict[str, Any], message: str | None) -> None:
    whole = reading()
    parent = whole.inventory.gpus[0]
    strange = replace(parent, instances=(replace(parent.instances[0], **change),))
    changed = replace(whole, inventory=replace(whole.inventory, gpus=(strange, whole.inventory.gpus[1])))
    if message is None:
        assert from_reading(changed).gpus[0].gpu_instances[0].profile_id == 0
    else:
        with pytest.raises(ValueError, match=message):
            from_reading(changed)
    with pytest.raises(ValueError, match="without holes"):
        from_reading(replace(whole, inventory=replace(whole.inventory, gpus=whole.inventory.gpus[1:])))


@pytest.mark.parametrize("ratio", [0.0, 0.29, 0.007, 1.0, 1.25])
def test_gpm_ratios_are_percent_to_the_driver(ratio: float) -> None:
    percent = metrics_of(replace(ABSENT, sm_active=ratio))[GPM_SM]
    assert percent == pytest.approx(ratio * 100, rel=1e-15)

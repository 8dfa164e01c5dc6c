"""Whole-GPU readings, structure versions, and text of any length and alphabet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.state import Code, FakeDriver, FakeGpu, FakeMemory, Refused
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import L40S, MIB, h100, l40s, mixed
from tests.nvml_fake.test_mig import code_of, slots


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("nvmlDeviceGetUUID", (), L40S),
        ("nvmlDeviceGetName", (), "NVIDIA L40S"),
        ("nvmlDeviceGetIndex", (), 1),
        ("nvmlDeviceGetMinorNumber", (), 7),
        ("nvmlDeviceGetArchitecture", (), 8),
        ("nvmlDeviceGetCudaComputeCapability", (), (8, 9)),
        ("nvmlDeviceGetNumGpuCores", (), 18176),
        ("nvmlDeviceGetMaxMigDeviceCount", (), 0),
        ("nvmlDeviceGetClockInfo", (1,), 345),
        ("nvmlDeviceGetClockInfo", (2,), 2619),
        ("nvmlDeviceGetMaxClockInfo", (0,), 1980),
        ("nvmlDeviceGetMaxClockInfo", (3,), 1782),
        ("nvmlDeviceGetPowerUsage", (), 70_000),
        ("nvmlDeviceGetEnforcedPowerLimit", (), 700_000),
        ("nvmlDeviceGetTotalEnergyConsumption", (), 1_000_000),
        ("nvmlDeviceGetTemperatureV", (0,), 30),
        ("nvmlDeviceGetTemperature", (0,), 30),
        ("nvmlDeviceGetMarginTemperature", (), 57),
        ("nvmlDeviceGetCurrentClocksEventReasons", (), 1),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", (), 1),
        ("nvmlDeviceGetEccMode", (), [1, 1]),
        ("nvmlDeviceGetRemappedRows", (), (0, 0, 0, 0)),
        ("nvmlDeviceGetComputeMode", (), 0),
        ("nvmlDeviceGetPersistenceMode", (), 1),
        ("nvmlDeviceGetVirtualizationMode", (), 0),
        ("nvmlDeviceGetSupportedEventTypes", (), 0x11B),
    ],
)
def test_a_whole_gpu_answers(
    nvml: Any, become: Become, call: str, arguments: tuple[int, ...], expected: object
) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    assert getattr(nvml, call)(handle, *arguments) == expected


def test_the_machine_says_its_versions_and_its_gpus(nvml: Any, become: Become) -> None:
    become(mixed())
    assert nvml.nvmlSystemGetDriverVersion() == "590.48.01"
    assert nvml.nvmlSystemGetNVMLVersion() == "13.590.48.01"
    assert nvml.nvmlSystemGetCudaDriverVersion() == 13010
    assert nvml.nvmlDeviceGetCount() == 2
    assert nvml.nvmlErrorString(15) == "GPU is lost"
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetHandleByIndex(2)) == Code.INVALID_ARGUMENT
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetHandleByUUID(b"GPU-none")) == Code.NOT_FOUND


def test_reserved_memory_is_used_in_the_old_call_and_apart_in_the_new_one(nvml: Any, become: Become) -> None:
    become(mixed())
    handle = nvml.nvmlDeviceGetHandleByIndex(1)
    old, new = nvml.nvmlDeviceGetMemoryInfo(handle), nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
    assert (old.total, old.used, old.free) == (46068 * MIB, 1600 * MIB, 44468 * MIB)
    assert (new.total, new.used, new.free, new.reserved) == (46068 * MIB, 1000 * MIB, 44468 * MIB, 600 * MIB)


def test_a_structure_of_another_version_is_refused(nvml: Any, become: Become) -> None:
    become(mixed())
    handle, whole = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    structures = {
        "nvmlDeviceGetMemoryInfo_v2": nvml.c_nvmlMemory_v2_t(),
        "nvmlDeviceGetTemperatureV": nvml.c_nvmlTemperature_v1_t(),
        "nvmlDeviceGetMarginTemperature": nvml.c_nvmlMarginTemperature_v1_t(),
        "nvmlDeviceGetProcessesUtilizationInfo": nvml.c_nvmlProcessesUtilizationInfo_v1_t(),
        "nvmlDeviceGetRunningProcessDetailList": nvml.c_nvmlProcessDetailList_t(),
        "nvmlDeviceGetSramEccErrorStatus": nvml.c_nvmlEccSramErrorStatus_v1_t(),
        "nvmlGpmQueryDeviceSupport": nvml.c_nvmlGpmSupport_t(),
    }
    for name, structure in structures.items():
        structure.version = 0x01000001
        assert nvml._nvmlGetFunctionPointer(name)(whole, nvml.byref(structure)) == Code.ARGUMENT_VERSION_MISMATCH, name
    profile = nvml.c_nvmlGpuInstanceProfileInfo_v2_t()
    profile.version = 0x01000098
    function = nvml._nvmlGetFunctionPointer("nvmlDeviceGetGpuInstanceProfileInfoV")
    assert function(handle, 0, nvml.byref(profile)) == Code.ARGUMENT_VERSION_MISMATCH


def test_a_refused_value_is_the_only_one_refused(nvml: Any, become: Become) -> None:
    refused = replace(l40s(), power_mw=Refused(Code.UNKNOWN), memory=Refused(Code.NO_PERMISSION))
    become(FakeDriver(gpus=(refused,)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle)) == Code.UNKNOWN
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle)) == Code.NO_PERMISSION
    assert nvml.nvmlDeviceGetUtilizationRates(handle).gpu == 97


@pytest.mark.parametrize("text", ["GPU-with spaces", "100 % größer", "", "a+b/c:d (x)", "-"])
def test_names_of_any_alphabet_pass_through_the_state_file(nvml: Any, become: Become, text: str) -> None:
    become(FakeDriver(gpus=(FakeGpu(uuid="GPU-1", name=text),)))
    expected = "" if text == "-" else text
    assert nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(0)) == expected


def test_a_name_that_does_not_fit_is_an_insufficient_size(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(FakeGpu(uuid="GPU-1", name="x" * 96),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetName(handle)) == Code.INSUFFICIENT_SIZE


def test_numbers_of_any_size_and_sign_pass_through(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(l40s(), temperature=-5, energy_mj=2**64 - 1),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceGetTemperatureV(handle, 0) == -5
    assert nvml.nvmlDeviceGetTotalEnergyConsumption(handle) == 2**64 - 1


def test_ecc_counts_are_the_boards_and_only_sram_is_an_instances(nvml: Any, become: Become) -> None:
    whole = replace(l40s(), ecc_corrected=10, ecc_uncorrected=3, ecc_uncorrected_sram=1)
    board = h100()
    hurt = replace(board, instances=(replace(board.instances[0], ecc_uncorrected_sram=2), *board.instances[1:]))
    become(FakeDriver(gpus=(hurt, whole)))
    parent, handle = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    count, dram, sram = nvml.nvmlDeviceGetMemoryErrorCounter, 2, 7
    assert [nvml.nvmlDeviceGetTotalEccErrors(handle, kind, 0) for kind in (0, 1)] == [10, 3]
    assert [count(handle, 1, 0, place) for place in (dram, sram)] == [2, 1]
    low = slots(nvml, parent)[0]
    assert count(low, 1, 0, sram) == 2
    assert code_of(nvml, lambda: count(low, 0, 0, sram)) == Code.NOT_SUPPORTED
    assert code_of(nvml, lambda: count(low, 1, 0, dram)) == Code.NOT_SUPPORTED
    assert code_of(nvml, lambda: count(parent, 1, 0, sram)) == Code.NOT_SUPPORTED
    assert count(parent, 1, 1, sram) == 0
    status = nvml.c_nvmlEccSramErrorStatus_v1_t()
    nvml.nvmlDeviceGetSramEccErrorStatus(handle, nvml.byref(status))
    assert status.volatileUncSecDed == 1


def test_a_board_without_ecc_refuses_the_counts(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(l40s(), ecc_mode=0),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    assert code_of(nvml, lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, 0, 0)) == Code.NOT_SUPPORTED


def test_field_values_succeed_as_a_whole_and_fail_one_by_one(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(l40s(), fields={74: 123_456_789, 230: 1, 82: Refused(Code.UNKNOWN)}),)))
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    values = nvml.nvmlDeviceGetFieldValues(handle, [83, 186, 74, 230, 82, 9999, (161, 3)])
    assert [value.nvmlReturn for value in values] == [0, 0, 0, 0, Code.UNKNOWN, Code.NOT_SUPPORTED, Code.NOT_SUPPORTED]
    assert [value.valueType for value in values][:3] == [3, 1, 3]
    assert (values[0].value.ullVal, values[1].value.uiVal, values[2].value.ullVal) == (1_000_000, 70_000, 123_456_789)
    assert values[6].scopeId == 3


def test_memory_that_is_told_whole_need_not_add_up(nvml: Any, become: Become) -> None:
    become(FakeDriver(gpus=(replace(l40s(), memory=FakeMemory(total=100, used=10, free=50)),)))
    info = nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByIndex(0))
    assert (info.total, info.used, info.free) == (100, 10, 50)

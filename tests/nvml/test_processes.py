"""Who is on a device: three lists in one, and shares from samples that name only the active."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.model import DeviceUuid, GpuUuid, Missing, Process, ProcessKind, Reason
from exporter.sources.nvml.calls import Calls, Spot
from exporter.sources.nvml.processes import Processes, list_calls
from tests.fake_nvml.state import Code, FakeDriver, FakeProcess, Fault, Faults, Refused
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import H100, L40S, gpu_instance, h100_mig, instance, l40s, mig_uuid

UNSUPPORTED = Missing(Reason.UNSUPPORTED)


def _on(read: Reader, *processes: FakeProcess, faults: tuple[Fault, ...] = ()) -> tuple[Process, ...] | Missing:
    state = FakeDriver(gpus=(l40s(processes=processes),), faults=Faults(calls=faults))
    return read(state).devices[DeviceUuid(L40S)].processes


def _process(pid: int, kind: ProcessKind, memory: float | Missing, share: float | Missing) -> Process:
    return Process(pid=pid, kind=kind, memory_bytes=memory, sm_share=share)


def test_a_process_on_several_lists_is_one_process_of_the_first_kind(read: Reader) -> None:
    found = _on(
        read,
        FakeProcess(pid=30, kind="graphics", memory_bytes=64, sm=5),
        FakeProcess(pid=20, kind="graphics", memory_bytes=7),
        FakeProcess(pid=20, kind="compute", memory_bytes=512),
        FakeProcess(pid=10, kind="compute", memory_bytes=None),
        FakeProcess(pid=10, kind="mps", memory_bytes=256, sm=12),
    )
    assert found == (
        _process(10, ProcessKind.MPS, 256.0, 0.12),
        _process(20, ProcessKind.COMPUTE, 512.0, 0.0),
        _process(30, ProcessKind.GRAPHICS, 64.0, 0.05),
    )


def test_memory_that_the_driver_does_not_tell_is_taken_from_another_list_or_missing(read: Reader) -> None:
    found = _on(
        read,
        FakeProcess(pid=1, kind="compute", memory_bytes=None),
        FakeProcess(pid=2, kind="mps", memory_bytes=None),
        FakeProcess(pid=2, kind="compute", memory_bytes=100),
    )
    assert found == (
        _process(1, ProcessKind.COMPUTE, UNSUPPORTED, 0.0),
        _process(2, ProcessKind.MPS, 100.0, 0.0),
    )


def test_when_nobody_is_active_every_share_is_zero(read: Reader) -> None:
    assert _on(read, FakeProcess(pid=5)) == (_process(5, ProcessKind.COMPUTE, 0.0, 0.0),)


def test_of_several_samples_the_newest_counts_and_an_old_one_does_not(read: Reader) -> None:
    now = time.time_ns() // 1000
    found = _on(
        read,
        FakeProcess(pid=1, sm=70, sampled_at_us=now - 100_000),
        FakeProcess(pid=1, kind="graphics", sm=20, sampled_at_us=now - 600_000),
        FakeProcess(pid=2, kind="graphics", sm=30, sampled_at_us=now - 500_000),
        FakeProcess(pid=2, sm=10, sampled_at_us=now - 50_000),
        FakeProcess(pid=3, sm=99, sampled_at_us=now - 5_000_000),
    )
    assert not isinstance(found, Missing)
    assert [(process.pid, process.sm_share) for process in found] == [(1, 0.7), (2, 0.1), (3, 0.0)]


def test_a_sample_from_before_the_clock_was_set_back_is_stale(read: Reader) -> None:
    now = time.time_ns() // 1000
    found = _on(
        read,
        FakeProcess(pid=1, sm=70, sampled_at_us=now + 3_600_000_000),
        FakeProcess(pid=2, sm=10, sampled_at_us=now + 500_000),
    )
    assert not isinstance(found, Missing)
    assert [process.sm_share for process in found] == [Missing(Reason.STALE), 0.1]


def test_an_empty_gpu_is_not_asked_for_shares(machine: Machine, read: Reader) -> None:
    before = machine.calls("nvmlDeviceGetProcessUtilization")
    assert _on(read) == ()
    assert machine.calls("nvmlDeviceGetProcessUtilization") == before


@pytest.mark.parametrize(
    ("code", "reason"),
    [(Code.NOT_SUPPORTED, Reason.UNSUPPORTED), (Code.NO_PERMISSION, Reason.PERMISSION), (Code.UNKNOWN, Reason.ERROR)],
)
def test_shares_that_are_refused_are_missing_and_the_processes_are_not(
    read: Reader, code: Code, reason: Reason
) -> None:
    refused = Fault(call="nvmlDeviceGetProcessUtilization", code=code)
    found = _on(read, FakeProcess(pid=5, sm=50), faults=(refused,))
    assert found == (_process(5, ProcessKind.COMPUTE, 0.0, Missing(reason)),)


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("Compute", Code.NO_PERMISSION, Missing(Reason.PERMISSION)),
        ("Compute", Code.NOT_SUPPORTED, UNSUPPORTED),
        ("Graphics", Code.NO_PERMISSION, Missing(Reason.PERMISSION)),
        ("Graphics", Code.NOT_SUPPORTED, (_process(5, ProcessKind.COMPUTE, 0.0, 0.0),)),
        ("MPSCompute", Code.FUNCTION_NOT_FOUND, (_process(5, ProcessKind.COMPUTE, 0.0, 0.0),)),
        ("MPSCompute", Code.TIMEOUT, Missing(Reason.TIMEOUT)),
    ],
)
def test_a_list_that_a_board_does_not_have_is_empty_and_one_that_is_refused_hides_processes(
    read: Reader, kind: str, code: Code, expected: tuple[Process, ...] | Missing
) -> None:
    refused = Fault(call=f"nvmlDeviceGet{kind}RunningProcesses_v3", code=code)
    assert _on(read, FakeProcess(pid=5), faults=(refused,)) == expected


def _mig_node(*, privileged: bool) -> FakeDriver:
    made = (
        replace(instance(1, 0, gi=9), processes=(FakeProcess(pid=7, memory_bytes=100, sm=80),)),
        replace(instance(2, 1, gi=10), processes=Refused(Code.UNKNOWN)),
    )
    board = h100_mig(instances=made, gpu_instances=(gpu_instance(9), gpu_instance(10)))
    return FakeDriver(gpus=(board,), privileged=privileged)


def test_under_mig_each_instance_has_its_own_and_nobody_has_a_share(machine: Machine, read: Reader) -> None:
    before = machine.calls("nvmlDeviceGetProcessUtilization")
    devices = read(_mig_node(privileged=True)).devices
    assert devices[DeviceUuid(mig_uuid(1))].processes == (_process(7, ProcessKind.COMPUTE, 100.0, UNSUPPORTED),)
    assert devices[DeviceUuid(mig_uuid(2))].processes == Missing(Reason.ERROR)
    # Those of the instances are not the parent's a second time.
    assert devices[DeviceUuid(H100)].processes == ()
    assert machine.calls("nvmlDeviceGetProcessUtilization") == before


def test_unprivileged_the_instances_are_read_and_the_parent_is_not(read: Reader) -> None:
    devices = read(_mig_node(privileged=False)).devices
    assert devices[DeviceUuid(mig_uuid(1))].processes == (_process(7, ProcessKind.COMPUTE, 100.0, UNSUPPORTED),)
    assert devices[DeviceUuid(mig_uuid(1))].memory_total_bytes == 9984 << 20
    assert devices[DeviceUuid(H100)].processes == Missing(Reason.PERMISSION)
    assert devices[DeviceUuid(H100)].memory_total_bytes == Missing(Reason.PERMISSION)


class _Library(SimpleNamespace):
    """As much of the module pynvml as the process lists use, with pynvml's own exceptions."""

    def __init__(self, *answers: Any, symbols: tuple[str, ...] = ()) -> None:
        import pynvml

        super().__init__(nvmlLib=SimpleNamespace(**dict.fromkeys(symbols)))
        self.NVMLError = pynvml.NVMLError
        self.NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError
        self.asked: list[int] = []
        self._answers = iter(answers)
        for kind in ("Compute", "MPSCompute", "Graphics"):
            for form in ("", "_v2"):
                setattr(self, f"nvmlDeviceGet{kind}RunningProcesses{form}", self._list(kind))

    @staticmethod
    def _list(kind: str) -> Any:
        entry = SimpleNamespace(pid=5, usedGpuMemory=1, gpuInstanceId=0xFFFFFFFF, computeInstanceId=0xFFFFFFFF)
        return lambda _handle: [entry] if kind == "Compute" else []

    def nvmlDeviceGetProcessUtilization(self, _handle: object, since: int) -> Any:  # noqa: N802  # pynvml's name
        self.asked.append(since)
        answer = next(self._answers)
        if isinstance(answer, int):
            raise self.NVMLError(answer)
        return answer


def _sampled(*answers: Any) -> tuple[Process, ...] | Missing:
    spot = Spot(GpuUuid(L40S), DeviceUuid(L40S), object())
    return Processes(Calls(_Library(*answers)), wall=lambda: 1_000.0).on_gpu(spot)


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        pytest.param((0,), 0.0, id="pynvml raises NVMLError(0) for a size of 0"),
        pytest.param((6,), 0.0, id="not found: nobody was active"),
        pytest.param(
            (7, [SimpleNamespace(pid=5, timeStamp=1, smUtil=40)]), 0.4, id="one joined between size and fetch"
        ),
        pytest.param((7, 7), Missing(Reason.ERROR), id="and another one"),
        pytest.param((3,), UNSUPPORTED, id="not supported"),
    ],
)
def test_what_the_size_call_may_answer(answers: tuple[Any, ...], share: float | Missing) -> None:
    assert _sampled(*answers) == (_process(5, ProcessKind.COMPUTE, 1.0, share),)


def test_the_samples_of_the_last_second_are_asked_for() -> None:
    library = _Library([])
    spot = Spot(GpuUuid(L40S), DeviceUuid(L40S), object())
    Processes(Calls(library), wall=lambda: 1_000.0).on_gpu(spot)
    assert library.asked == [999_000_000]


@pytest.mark.parametrize(
    ("symbols", "forms"),
    [
        pytest.param((), ["", "_v2"], id="before R535"),
        pytest.param(("nvmlDeviceGetConfComputeMemSizeInfo",), ["_v2"], id="the first R535: elements of 32 bytes"),
        pytest.param(
            ("nvmlDeviceGetConfComputeMemSizeInfo", "nvmlDeviceGetRunningProcessDetailList"), ["", "_v2"], id="since"
        ),
    ],
)
def test_a_driver_whose_list_pynvml_would_misread_is_asked_for_an_older_one(
    symbols: tuple[str, ...], forms: list[str]
) -> None:
    library = _Library(symbols=symbols)
    for kind, calls in list_calls(library):
        name = {"compute": "Compute", "mps": "MPSCompute", "graphics": "Graphics"}[kind.value]
        assert [call for (call,) in calls] == [
            getattr(library, f"nvmlDeviceGet{name}RunningProcesses{form}") for form in forms
        ]

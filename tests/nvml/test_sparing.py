"""What a reading does not ask, and that it misses nothing by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.model import DeviceUuid, Gpu, GpuUuid, MigInstance, Missing, Process, ProcessKind, Reason
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import Spot
from exporter.sources.nvml.inventory import FULL_EVERY
from exporter.sources.nvml.processes import NO_INSTANCE, Entry
from exporter.sources.nvml.roster import Roster
from tests.fake_nvml.state import FakeDriver, FakeProcess
from tests.nvml.conftest import Machine, Reader
from tests.nvml.nodes import H100, gpu_instance, h100_mig, instance, mig_uuid

LIST = "nvmlDeviceGetComputeRunningProcesses_v3"
FIRST, SECOND = DeviceUuid(mig_uuid(1)), DeviceUuid(mig_uuid(2))


def cut(*first: int, second: tuple[int, ...] = (), gpu_ecc: int = 0, ecc: int = 0) -> FakeDriver:
    """An H100 with two instances, and the pids on each."""
    made = (
        replace(instance(1, 0, gi=9), processes=tuple(FakeProcess(pid=pid) for pid in first), ecc_uncorrected_sram=ecc),
        replace(instance(2, 1, gi=10), processes=tuple(FakeProcess(pid=pid) for pid in second)),
    )
    board = h100_mig(instances=made, gpu_instances=(gpu_instance(9), gpu_instance(10)))
    return FakeDriver(gpus=(replace(board, ecc_uncorrected=gpu_ecc),), privileged=True, gpm_window_us=0)


def pids(found: tuple[Process, ...] | Missing) -> list[int]:
    assert not isinstance(found, Missing)
    return [process.pid for process in found]


def test_instances_are_not_asked_who_is_on_them_once_their_gpu_was_seen_to_tell_it(
    machine: Machine, read: Reader
) -> None:
    read(cut(7))
    before = machine.calls(LIST)
    devices = read(cut(7, 8, second=(9,))).devices
    assert machine.calls(LIST) - before == 1  # the GPU's alone
    assert (pids(devices[FIRST].processes), pids(devices[SECOND].processes)) == ([7, 8], [9])
    assert devices[DeviceUuid(H100)].processes == ()


def test_whether_the_gpu_tells_everything_is_looked_at_again(machine: Machine, read: Reader) -> None:
    counts = []
    for _ in range(FULL_EVERY + 2):
        before = machine.calls(LIST)
        read(cut(7))
        counts.append(machine.calls(LIST) - before)
    asked, spared = counts[0], counts[1]
    assert spared < asked
    assert counts == [asked] + [spared] * (FULL_EVERY - 1) + [asked, spared]


def test_a_gpu_without_a_process_has_not_shown_that_it_would_tell(machine: Machine, read: Reader) -> None:
    read(cut())
    before = machine.calls(LIST)
    assert pids(read(cut(7)).devices[FIRST].processes) == [7]
    assert machine.calls(LIST) - before == 3  # the GPU's, and both instances'


def test_a_list_that_is_longer_than_any_before_is_read_whole(machine: Machine, read: Reader) -> None:
    many = tuple(range(1, 201))
    assert pids(read(cut(*many)).devices[FIRST].processes) == list(many)
    before = machine.calls(LIST)
    assert pids(read(cut(*many)).devices[FIRST].processes) == list(many)
    assert machine.calls(LIST) - before == 1  # the room for it is there now


def test_an_instance_is_asked_for_its_errors_when_its_gpu_counts_a_new_one(machine: Machine, read: Reader) -> None:
    read(cut(7))
    before = machine.calls("nvmlDeviceGetMemoryErrorCounter")
    assert read(cut(7)).devices[FIRST].ecc_uncorrected == 0.0
    assert machine.calls("nvmlDeviceGetMemoryErrorCounter") == before
    devices = read(cut(7, gpu_ecc=1, ecc=1)).devices
    assert (devices[FIRST].ecc_uncorrected, devices[SECOND].ecc_uncorrected) == (1.0, 0.0)


def test_what_is_equal_is_the_same_object(read: Reader) -> None:
    first, second = read(cut(7)), read(cut(7))
    third = read(cut(7))
    assert third.inventory is second.inventory is first.inventory
    assert third.devices[FIRST] is second.devices[FIRST]
    assert third.devices[FIRST].processes is first.devices[FIRST].processes


def _entry(pid: int, gi: int = NO_INSTANCE) -> Entry:
    ci = NO_INSTANCE if gi == NO_INSTANCE else 0
    return ProcessKind.COMPUTE, SimpleNamespace(pid=pid, usedGpuMemory=1, gpuInstanceId=gi, computeInstanceId=ci)


class _Lists:
    """Processes of devices, by hand; `asked` are the devices whose lists were read."""

    def __init__(self, lists: Mapping[str, list[Entry] | Missing]) -> None:
        self.lists = lists
        self.asked: list[str] = []

    def entries(self, spot: Spot) -> list[Entry] | Missing:
        self.asked.append(spot.uuid)
        return self.lists[spot.uuid]

    def on_gpu(self, spot: Spot) -> tuple[Process, ...] | Missing:
        raise AssertionError(f"{spot.uuid} is in MIG mode")


def _board() -> Board:
    gpu = GpuUuid("GPU")
    part = MigInstance(
        uuid=DeviceUuid("MIG"), index=0, gpu_instance=9, compute_instance=0, profile="", sm_count=1.0, memory_bytes=1.0
    )
    of_board: dict[str, Any] = {"uuid": gpu, "index": 0, "minor": 0, "model": "", "architecture": "", "sm_count": 1.0}
    return Board(
        Gpu(**of_board, mig_current=True, mig_pending=True, instances=(part,)),
        Spot(gpu, DeviceUuid(gpu), None),
        ((Spot(gpu, part.uuid, None), part),),
    )


@pytest.mark.parametrize(
    ("of_gpu", "of_instance", "asked"),
    [
        pytest.param([_entry(1, 9)], [_entry(1, 9)], False, id="the GPU tells everybody, with the instance"),
        pytest.param([_entry(1, 9), _entry(2)], [_entry(1)], False, id="the instance's own list needs no number"),
        pytest.param([_entry(1)], [_entry(1, 9)], True, id="the GPU does not say which instance"),
        pytest.param([_entry(2, 9)], [_entry(1, 9), _entry(2, 9)], True, id="the GPU leaves one out"),
        pytest.param([], [_entry(1, 9)], True, id="the GPU tells nobody"),
        pytest.param([], [], True, id="there is nobody to tell it by"),
        pytest.param(Missing(Reason.PERMISSION), [_entry(1, 9)], True, id="the GPU does not tell"),
        pytest.param([_entry(1, 9)], Missing(Reason.ERROR), True, id="the instance does not tell"),
    ],
)
def test_a_gpu_is_believed_that_was_seen_to_tell_everybody(
    of_gpu: list[Entry] | Missing, of_instance: list[Entry] | Missing, *, asked: bool
) -> None:
    lists = _Lists({"GPU": of_gpu, "MIG": of_instance})
    roster, board = Roster(lists), _board()
    first = roster.read(board)
    lists.asked.clear()
    assert roster.read(board) == first
    assert ("MIG" in lists.asked) is asked
    lists.asked.clear()
    assert roster.read(_board()) == first
    assert "MIG" in lists.asked  # another layout, another look

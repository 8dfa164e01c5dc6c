"""Where the processes of MIG instances are read: of each instance, or all of them from the list of their GPU.

A GPU's list names every process with its instance (nvml.h on nvmlDeviceGetComputeRunningProcesses_v3), which saves three
lists an instance; but "only if the caller has appropriate privileges", and nobody has shown what else a driver leaves out. So
it is believed only where it was seen to hold whatever the instances listed themselves, and that is looked at again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from exporter.model import DeviceUuid, GpuUuid, Missing, Process
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import UNSUPPORTED, Spot
from exporter.sources.nvml.processes import NO_INSTANCE, Entry, merged

_Own = Mapping[DeviceUuid, list[Entry] | Missing]


class Lists(Protocol):
    """Whoever reads one device's lists."""

    def entries(self, spot: Spot) -> list[Entry] | Missing:
        """Return every entry of every list of a device."""

    def on_gpu(self, spot: Spot) -> tuple[Process, ...] | Missing:
        """Return the processes of a whole GPU, with their shares."""


class Roster:
    """Reads who is on each device of a board."""

    def __init__(self, processes: Lists) -> None:
        self._processes = processes
        # Boards whose own lists were seen to hold everybody; one that was walked anew is another object.
        self._complete: dict[GpuUuid, Board] = {}

    def read(self, board: Board) -> dict[DeviceUuid, tuple[Process, ...] | Missing]:
        """Return the processes of a whole GPU, or those on none of its instances and those of each."""
        if not board.mig:
            return {board.spot.uuid: self._processes.on_gpu(board.spot)}
        whole = self._processes.entries(board.spot)
        own = self._from(board, whole) or self._asked(board, whole)
        found = {uuid: _merged(entries) for uuid, entries in own.items()}
        if isinstance(whole, Missing):
            return {board.spot.uuid: whole, **found}
        outside = [entry for entry in whole if entry[1].gpuInstanceId == NO_INSTANCE]
        return {board.spot.uuid: merged(outside, UNSUPPORTED), **found}

    def _from(self, board: Board, whole: list[Entry] | Missing) -> _Own | None:
        """Divide the GPU's list among the instances; None where it is not known to be complete."""
        if isinstance(whole, Missing) or self._complete.get(board.gpu.uuid) is not board:
            return None
        own: dict[tuple[int, int], list[Entry]] = {}
        for entry in whole:
            own.setdefault(_place(entry), []).append(entry)
        return {spot.uuid: own.get((i.gpu_instance, i.compute_instance), []) for spot, i in board.members}

    def _asked(self, board: Board, whole: list[Entry] | Missing) -> _Own:
        """Ask the instances, and remember whether the GPU's list would have done."""
        own: dict[DeviceUuid, list[Entry] | Missing] = {}
        there = set() if isinstance(whole, Missing) else {(entry[1].pid, *_place(entry)) for entry in whole}
        seen, missed = 0, isinstance(whole, Missing)
        for spot, instance in board.members:
            listed = self._processes.entries(spot)
            if isinstance(listed, Missing):
                own[spot.uuid], missed = listed, True
                continue
            here = (instance.gpu_instance, instance.compute_instance)
            own[spot.uuid] = mine = [entry for entry in listed if _place(entry) in {here, (NO_INSTANCE, NO_INSTANCE)}]
            seen += len(mine)
            missed = missed or any((entry[1].pid, *here) not in there for entry in mine)
        if seen and not missed:
            self._complete[board.gpu.uuid] = board
        return own


def _place(entry: Entry) -> tuple[int, int]:
    return entry[1].gpuInstanceId, entry[1].computeInstanceId


def _merged(entries: Iterable[Entry] | Missing) -> tuple[Process, ...] | Missing:
    """The driver does not say what share of the GPU a process has under MIG."""
    return entries if isinstance(entries, Missing) else merged(entries, UNSUPPORTED)

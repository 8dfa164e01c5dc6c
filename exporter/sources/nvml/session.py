"""One opened library, from its initialisation to its shutdown, and the order in which it is read.

The order matters: events first, because they say which boards to walk again; all memory before any GPM sample, because
sampling has been reported to disturb memory queries; lost GPUs last, because any of the calls may have found one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from exporter.model import (
    DeviceUse,
    DeviceUuid,
    DriverReading,
    GpuUse,
    GpuUuid,
    Inventory,
    Missing,
    Process,
    Reading,
)
from exporter.sameness import each_kept, kept
from exporter.sources.nvml import readings
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import UNSUPPORTED, Calls, DriverGoneError, Spot
from exporter.sources.nvml.events import Events
from exporter.sources.nvml.gpm import Activity, Meters, answered
from exporter.sources.nvml.inventory import Boards
from exporter.sources.nvml.processes import Processes
from exporter.sources.nvml.readings import Basics
from exporter.sources.nvml.roster import Roster
from exporter.sources.nvml.seldom import Seldom

_NO_ACTIVITY = Activity.all(UNSUPPORTED)


class Session:
    """Reads the driver between one initialisation and one shutdown; on one thread, one call at a time.

    `before` is the last inventory of the session before this one, so that its generation goes on growing.
    """

    def __init__(self, calls: Calls, wall: Callable[[], float], before: Inventory | None) -> None:
        self._calls = calls
        self._boards = Boards(calls, before)
        self._events = Events(calls)
        self._meters = Meters(calls)
        self._roster = Roster(Processes(calls, wall))
        self._seldom = Seldom()
        self._uses: dict[DeviceUuid, DeviceUse] = {}

    def read(self, now: float) -> DriverReading:
        """Read everything once. Raises DriverGoneError when the library has to be opened again, SourceError otherwise."""
        xids, reshaped = self._events.poll()
        self._boards.refresh(reshaped)
        boards = self._boards.boards
        self._events.watch(boards)
        if self._boards.walked:
            self._seldom.forget()
        gpus = {board.gpu.uuid: readings.gpu_use(self._calls, board.spot, self._seldom) for board in boards}
        basics = {uuid: found for board in boards for uuid, found in self._basics(board)}
        activity = self._meters.read(boards, now)
        devices = {uuid: readings.device_use(found, activity.get(uuid, _NO_ACTIVITY)) for uuid, found in basics.items()}
        self._mark_lost(boards, gpus, devices)
        self._uses = each_kept(self._uses, devices)
        return DriverReading(
            at=now,
            inventory=self._boards.settle(),
            gpus=gpus,
            devices=self._uses,
            events=xids,
            gpm=answered(activity.values()),
        )

    def close(self) -> None:
        """Free samples and events, then shut the library down. What the driver refuses by now is left to it."""
        lib = self._calls.lib
        self._calls.lost.clear()
        for give_back in (self._meters.close, self._events.close, lib.nvmlShutdown):
            with suppress(DriverGoneError, lib.NVMLError):
                give_back()

    def _basics(self, board: Board) -> list[tuple[DeviceUuid, Basics]]:
        calls = self._calls
        memory, ecc = readings.memory(calls, board.spot), readings.ecc(calls, board.spot)
        utilisation = UNSUPPORTED if board.mig else readings.utilisation(calls, board.spot)
        processes = {uuid: self._as_before(uuid, found) for uuid, found in self._roster.read(board).items()}
        whole = Basics(memory, utilisation, *ecc, processes[board.spot.uuid])
        parts = [(spot.uuid, self._instance(spot, ecc[1], processes[spot.uuid])) for spot, _ in board.members]
        return [(board.spot.uuid, whole), *parts]

    def _as_before(self, uuid: DeviceUuid, found: tuple[Process, ...] | Missing) -> tuple[Process, ...] | Missing:
        use = self._uses.get(uuid)
        return found if use is None else kept(use.processes, found)

    def _instance(self, spot: Spot, of_gpu: Reading, processes: tuple[Process, ...] | Missing) -> Basics:
        """Read an instance. While its GPU counts no new uncorrectable error (`of_gpu`), the instance has none either."""
        if isinstance(of_gpu, Missing):
            ecc = readings.instance_ecc(self._calls, spot)
        else:
            ecc = (
                UNSUPPORTED,
                self._seldom.ask(spot, ("uncorrected", of_gpu), lambda: readings.instance_ecc(self._calls, spot)[1]),
            )
        return Basics(readings.memory(self._calls, spot), UNSUPPORTED, *ecc, processes)

    def _mark_lost(
        self, boards: tuple[Board, ...], gpus: dict[GpuUuid, GpuUse], devices: dict[DeviceUuid, DeviceUse]
    ) -> None:
        """Whatever of a lost GPU was read before it was found lost is not to be trusted beside the rest."""
        for board in boards:
            if board.gpu.uuid in self._calls.lost:
                gpus[board.gpu.uuid] = readings.LOST_GPU_USE
                devices[board.spot.uuid] = readings.LOST_DEVICE_USE
                for instance in board.gpu.instances:
                    devices[instance.uuid] = readings.LOST_DEVICE_USE

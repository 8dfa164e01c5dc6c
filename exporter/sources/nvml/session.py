"""One opened library, from its initialisation to its shutdown, and the order in which it is read.

The order matters: events first, because they say which boards to walk again; all memory before any GPM sample, because
sampling has been reported to disturb memory queries; lost GPUs last, because any of the calls may have found one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from exporter.model import DeviceUse, DeviceUuid, DriverReading, GpuUse, GpuUuid, Inventory, MigInstance
from exporter.sources.nvml import readings
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import UNSUPPORTED, Calls, DriverGoneError, Spot
from exporter.sources.nvml.events import Events
from exporter.sources.nvml.gpm import Activity, Meters, answered
from exporter.sources.nvml.inventory import Boards
from exporter.sources.nvml.processes import Processes
from exporter.sources.nvml.readings import Basics

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
        self._processes = Processes(calls, wall)

    def read(self, now: float) -> DriverReading:
        """Read everything once. Raises DriverGoneError when the library has to be opened again, SourceError otherwise."""
        xids, reshaped = self._events.poll()
        self._boards.refresh(reshaped)
        boards = self._boards.boards
        self._events.watch(boards)
        gpus = {board.gpu.uuid: readings.gpu_use(self._calls, board.spot) for board in boards}
        basics = {uuid: found for board in boards for uuid, found in self._basics(board)}
        activity = self._meters.read(boards, now)
        devices = {uuid: readings.device_use(found, activity.get(uuid, _NO_ACTIVITY)) for uuid, found in basics.items()}
        self._mark_lost(boards, gpus, devices)
        return DriverReading(
            at=now,
            inventory=self._boards.settle(),
            gpus=gpus,
            devices=devices,
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
        whole = Basics(
            readings.memory(calls, board.spot),
            UNSUPPORTED if board.mig else readings.utilisation(calls, board.spot),
            *readings.ecc(calls, board.spot),
            self._processes.on_gpu(board.spot, mig=board.mig),
        )
        parts = [(spot.uuid, self._instance(spot, instance)) for spot, instance in board.members]
        return [(board.spot.uuid, whole), *parts]

    def _instance(self, spot: Spot, instance: MigInstance) -> Basics:
        return Basics(
            readings.memory(self._calls, spot),
            UNSUPPORTED,
            *readings.instance_ecc(self._calls, spot),
            self._processes.on_instance(spot, instance.gpu_instance, instance.compute_instance),
        )

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

"""Which GPUs and MIG devices there are, kept current without walking all of them on every tick.

Looking up MIG handles has been reported at 50 to 100 ms each, so a board is walked again only when something says that
it changed: the number of GPUs, its MIG mode, a reconfiguration event, a handle that is no longer what it was; and, for
what none of these show (an instance added beside the others where events may not be received), on every tenth reading.
"""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from exporter.errors import SourceError
from exporter.model import DeviceUuid, Gpu, GpuUuid, Inventory, MigInstance, Missing, Reason
from exporter.sources.nvml import instances, profiles
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import UNSUPPORTED, Calls, Spot
from exporter.sources.nvml.readings import memory

FULL_EVERY: Final = 10
"""Readings between two walks of everything."""

_ARCHITECTURES: Final = {
    2: "kepler",
    3: "maxwell",
    4: "pascal",
    5: "volta",
    6: "turing",
    7: "ampere",
    8: "ada",
    9: "hopper",
    10: "blackwell",
    13: "rubin",
}
"""NVML_DEVICE_ARCH_* of nvml.h."""

_log = logging.getLogger(__name__)


class Boards:
    """The boards of one session. `before` is the inventory of the session before: its lost GPUs are not forgotten."""

    def __init__(self, calls: Calls, before: Inventory | None) -> None:
        self._calls = calls
        self._reads = 0
        self._count = -1
        self.walked = True  # whether the last refresh looked at every board anew
        self._skipped: set[int] = set()
        self._renewed = True
        self._last = Inventory(driver="", nvml="", generation=-1 if before is None else before.generation)
        former = () if before is None else before.gpus
        self._boards = {gpu.uuid: Board(gpu, Spot(gpu.uuid, DeviceUuid(gpu.uuid), None)) for gpu in former}

    @property
    def boards(self) -> tuple[Board, ...]:
        """The boards in the order of the driver's indices."""
        return tuple(sorted(self._boards.values(), key=lambda board: (board.gpu.index, board.gpu.lost, board.gpu.uuid)))

    def refresh(self, reshaped: AbstractSet[GpuUuid]) -> None:
        """Bring the boards up to date; `reshaped` are the GPUs of which an event says that their layout changed.

        Raises SourceError when the driver cannot even count its GPUs, DriverGoneError when it went away.
        """
        self._calls.lost.clear()
        if self._count < 0:
            self._last = _named(self._calls, self._last)
        before = dict(self._boards)
        count = self._calls.attempt(None, self._calls.lib.nvmlDeviceGetCount)
        if isinstance(count, Missing):
            raise SourceError(f"the NVIDIA driver does not count its GPUs ({count.reason})", count.reason)
        self.walked = count != self._count or self._reads % FULL_EVERY == 0
        if self.walked:
            self._walk_all(count, reshaped)
        else:
            for board in before.values():
                self._boards[board.gpu.uuid] = self._check(board, reshaped)
        self._count = count
        self._reads += 1
        same = before.keys() == self._boards.keys() and all(before[uuid] is self._boards[uuid] for uuid in before)
        if not same and _shape(before) != _shape(self._boards):
            self._renewed = True
            if self._reads > 1:
                self._calls.forget()

    def settle(self) -> Inventory:
        """Return the inventory as the reading found it, with the GPUs that were lost in the course of it marked."""
        lost = self._calls.lost
        for board in self._boards.values():
            uuid = board.gpu.uuid
            if board.gpu.lost != (uuid in lost):
                self._boards[uuid] = replace(board, gpu=replace(board.gpu, lost=uuid in lost))
                self._calls.forget()
        gpus = tuple(board.gpu for board in self.boards)
        if self._renewed or gpus != self._last.gpus:
            self._last = replace(self._last, gpus=gpus, generation=self._last.generation + 1)
            self._renewed = False
        return self._last

    def _walk_all(self, count: int, reshaped: AbstractSet[GpuUuid]) -> None:
        before, self._boards = self._boards, {}
        by_index = {board.gpu.index: board for board in before.values()}
        unanswered: list[Board] = []
        for index in range(count):
            spot = self._spot(index)
            if not isinstance(spot, Missing):
                self._skipped.discard(index)
                self._boards[spot.gpu] = self._walk(index, spot, before.get(spot.gpu), reshaped)
            elif index in by_index:
                # Known before: it stays, and its readings say what is wrong with it.
                unanswered.append(by_index[index])
                if spot.reason is Reason.DEVICE_LOST:
                    self._calls.lost.add(by_index[index].gpu.uuid)
            else:
                self._skip(index, spot)
        # Indices move up when a GPU leaves, so a board that was found under another index is not kept twice.
        kept = [*unanswered, *(board for board in before.values() if board.gpu.lost)]
        for board in kept:
            if board.gpu.uuid in self._boards:
                continue
            self._boards[board.gpu.uuid] = board
            if board.gpu.lost or board.spot.handle is None:
                self._calls.lost.add(board.gpu.uuid)

    def _skip(self, index: int, why: Missing) -> None:
        if index not in self._skipped:
            self._skipped.add(index)
            _log.warning("GPU %d cannot be opened (%s): it is left out, the others are read", index, why.reason)

    def _spot(self, index: int) -> Spot | Missing:
        handle = self._calls.attempt(None, self._calls.lib.nvmlDeviceGetHandleByIndex, index)
        if isinstance(handle, Missing):
            return handle
        uuid = self._calls.attempt(None, self._calls.lib.nvmlDeviceGetUUID, handle)
        return uuid if isinstance(uuid, Missing) else Spot(GpuUuid(uuid), DeviceUuid(uuid), handle)

    def _check(self, board: Board, reshaped: AbstractSet[GpuUuid]) -> Board:
        if board.gpu.lost or board.spot.handle is None:
            return self._try_again(board, reshaped)
        mode = _mig_mode(self._calls, board.spot)
        known = (board.gpu.mig_current, board.gpu.mig_pending)
        moved = mode is not None and mode != known
        told = board.gpu.uuid in reshaped
        if not moved and not told and all(instances.still_there(self._calls, spot) for spot, _ in board.members):
            return board
        return self._walk(board.gpu.index, board.spot, board, reshaped)

    def _try_again(self, board: Board, reshaped: AbstractSet[GpuUuid]) -> Board:
        spot = self._spot(board.gpu.index)
        if isinstance(spot, Missing) or spot.gpu != board.gpu.uuid:
            self._calls.lost.add(board.gpu.uuid)
            return board
        return self._walk(board.gpu.index, spot, board, reshaped)

    def _walk(self, index: int, spot: Spot, before: Board | None, reshaped: AbstractSet[GpuUuid]) -> Board:
        """Read what a board is. What the driver cannot tell just now stays as it was."""
        mode = _mig_mode(self._calls, spot)
        if mode is None:
            mode = (UNSUPPORTED, UNSUPPORTED) if before is None else (before.gpu.mig_current, before.gpu.mig_pending)
        known = () if before is None else before.members
        if before is not None and before.gpu.mig_current != mode[0]:
            self._calls.forget()  # what was refused in one MIG mode is answered in the other
        anew = spot.gpu in reshaped
        if before is not None and not before.gpu.lost and not anew:
            spot = instances.same_spot(before.spot, spot)
        if before is None or before.gpu.mig_current != mode[0] or not _described(before):
            gpu = _describe(self._calls, spot, index, with_profiles=not isinstance(mode[0], Missing))
        else:
            gpu = before.gpu
        members = instances.walk(self._calls, spot, known, anew=anew) if mode[0] is True else ()
        if spot.gpu in self._calls.lost and before is not None:
            return before
        found: tuple[MigInstance, ...] = tuple(instance for _, instance in members)
        gpu = replace(
            gpu,
            index=index,
            mig_current=mode[0],
            mig_pending=mode[1],
            instances=found,
            lost=False,
            exclusive_process=_exclusive_process(self._calls, spot),
        )
        return Board(gpu, spot, members)


def _shape(boards: dict[GpuUuid, Board]) -> dict[GpuUuid, tuple[Gpu, tuple[Spot, ...]]]:
    """Everything about the boards that cached refusals hang on; whether one is lost just now is not part of it."""
    return {
        uuid: (replace(board.gpu, lost=False), tuple(spot for spot, _ in board.members))
        for uuid, board in boards.items()
    }


def _named(calls: Calls, inventory: Inventory) -> Inventory:
    driver = calls.attempt(None, calls.lib.nvmlSystemGetDriverVersion)
    nvml = calls.attempt(None, calls.lib.nvmlSystemGetNVMLVersion)
    return replace(
        inventory,
        driver="" if isinstance(driver, Missing) else driver,
        nvml="" if isinstance(nvml, Missing) else nvml,
    )


def _mig_mode(calls: Calls, spot: Spot) -> tuple[bool | Missing, bool | Missing] | None:
    """Return (current, pending), both Missing on a board without MIG; None when the driver cannot say just now."""
    mode = calls.ask(spot, calls.lib.nvmlDeviceGetMigMode)
    if isinstance(mode, Missing):
        return (mode, mode) if mode == UNSUPPORTED else None
    enabled = calls.lib.NVML_DEVICE_MIG_ENABLE
    return mode[0] == enabled, mode[1] == enabled


def _exclusive_process(calls: Calls, spot: Spot) -> bool | Missing:
    """Whether the compute mode lets one process alone have a context; the device plugin sets it for MPS."""
    mode = calls.ask(spot, calls.lib.nvmlDeviceGetComputeMode)
    return mode if isinstance(mode, Missing) else bool(mode == calls.lib.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS)


def _described(board: Board) -> bool:
    """Whether what is known of the board was read in this session, and all of it."""
    sms = board.gpu.sm_count
    unknown = isinstance(sms, Missing) and sms != UNSUPPORTED
    return board.spot.handle is not None and bool(board.gpu.model) and not unknown


def _describe(calls: Calls, spot: Spot, index: int, *, with_profiles: bool) -> Gpu:
    """Read what does not change while a board stays in its MIG mode."""
    lib = calls.lib
    name = calls.ask(spot, lib.nvmlDeviceGetName)
    minor = calls.ask(spot, lib.nvmlDeviceGetMinorNumber)
    architecture = calls.ask(spot, lib.nvmlDeviceGetArchitecture)
    rows = profiles.catalogue(calls, spot, memory(calls, spot).total) if with_profiles else ()
    return Gpu(
        uuid=spot.gpu,
        index=index,
        minor=None if isinstance(minor, Missing) else minor,
        model="" if isinstance(name, Missing) else name.partition(" MIG ")[0],
        architecture="" if isinstance(architecture, Missing) else _ARCHITECTURES.get(architecture, ""),
        sm_count=profiles.sm_count(calls, spot, rows),
        mig_current=UNSUPPORTED,
        mig_pending=UNSUPPORTED,
        profiles=tuple(row for row in rows if row.name),
    )

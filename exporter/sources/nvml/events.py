"""What happened since the last reading: XID errors, and instances that were made or destroyed.

One event set for all GPUs, polled without waiting from the thread that reads everything else, since the library is not
to be entered by two threads. The driver queues events between two polls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from exporter.model import GpuUuid, Missing, Reason, Xid
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import LOST, UNSUPPORTED, Calls, Spot, address

_XID: Final = 0x8
_MIG_CHANGE: Final = 0x100
"""nvmlEventTypeXidCriticalError and nvmlEventMigConfigChange of nvml.h."""

_NO_INSTANCE: Final = 0xFFFFFFFF

_MOST: Final = 1000
"""Events taken in one reading, so that a storm of them does not keep the reading from ending."""


class Events:
    """The event set of one session. It must be freed before the library is shut down: `close`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._set: Any = None
        self._unsupported = False
        self._registered: dict[int, GpuUuid] = {}

    def watch(self, boards: Iterable[Board]) -> None:
        """Register every GPU that is not registered yet. A GPU that has no events to offer is not asked again."""
        for board in boards:
            if board.spot.handle is None or board.gpu.uuid in self._calls.lost:
                continue
            handle = address(board.spot.handle)
            if self._registered.get(handle) != board.gpu.uuid and self._open():
                self._register(board.spot)
                self._registered[handle] = board.gpu.uuid

    def poll(self) -> tuple[tuple[Xid, ...], frozenset[GpuUuid]]:
        """Return the XIDs, oldest first, and the GPUs whose MIG layout changed. Raises DriverGoneError."""
        xids: list[Xid] = []
        reshaped: set[GpuUuid] = set()
        for _ in range(_MOST if self._set is not None else 0):
            event = self._calls.attempt(None, self._calls.lib.nvmlEventSetWait, self._set, 0)
            if isinstance(event, Missing):
                if event.reason is not Reason.TIMEOUT:
                    # A lost GPU makes every wait fail (nvml.h); a new set without it hears the others.
                    self.close()
                break
            # By the handle's value: a GPU that fell off the bus no longer answers for its UUID.
            gpu = self._registered.get(address(event.device))
            if gpu is None:
                continue
            if event.eventType & _MIG_CHANGE:
                reshaped.add(gpu)
            if event.eventType & _XID:
                instance, compute = _instance(event.gpuInstanceId), _instance(event.computeInstanceId)
                xids.append(Xid(gpu, event.eventData, instance, compute))
        return tuple(xids), frozenset(reshaped)

    def close(self) -> None:
        """Free the event set; the next `watch` makes another."""
        if self._set is not None:
            self._calls.attempt(None, self._calls.lib.nvmlEventSetFree, self._set)
        self._set = None
        self._registered.clear()

    def _open(self) -> bool:
        if self._set is None and not self._unsupported:
            created = self._calls.attempt(None, self._calls.lib.nvmlEventSetCreate)
            if isinstance(created, Missing):
                self._unsupported = created is UNSUPPORTED
            else:
                self._set = created
        return self._set is not None

    def _register(self, spot: Spot) -> None:
        lib = self._calls.lib
        offered = self._calls.ask(spot, lib.nvmlDeviceGetSupportedEventTypes)
        if isinstance(offered, Missing):
            return
        wanted = offered & (_XID | _MIG_CHANGE)
        # Without the right to see the MIG layout the pair is refused: then XIDs alone.
        for mask in dict.fromkeys((wanted, wanted & _XID)):
            if not mask:
                continue
            answer = self._calls.attempt(spot.gpu, lib.nvmlDeviceRegisterEvents, spot.handle, mask, self._set)
            if answer is None or answer is LOST:
                return


def _instance(number: int) -> int | None:
    return None if number == _NO_INSTANCE else number

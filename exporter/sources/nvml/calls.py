"""Every call into the driver goes through here, so that a refusal is a value and not an exception.

The driver refuses by return code; pynvml raises `NVMLError`, or, for a symbol that the installed library lacks,
sometimes `NVMLLibraryMismatchError`, which is no `NVMLError`. Both become `Missing(reason)` for the one value that was
asked for. Two refusals reach further: a lost GPU is remembered, so that nothing else is asked of it in that reading, and
a driver that is gone ends the session.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from exporter.errors import SourceError
from exporter.model import DeviceUuid, GpuUuid, Missing, Reason

T = TypeVar("T")

# nvmlReturn_t of nvml.h. Written out because pynvml is imported only when a session opens.
SUCCESS: Final = 0
UNINITIALIZED: Final = 1
INVALID_ARGUMENT: Final = 2
NOT_SUPPORTED: Final = 3
NO_PERMISSION: Final = 4
NOT_FOUND: Final = 6
INSUFFICIENT_SIZE: Final = 7
DRIVER_NOT_LOADED: Final = 9
TIMEOUT: Final = 10
LIBRARY_NOT_FOUND: Final = 12
FUNCTION_NOT_FOUND: Final = 13
GPU_IS_LOST: Final = 15
RESET_REQUIRED: Final = 16
LIB_RM_VERSION_MISMATCH: Final = 18
ARGUMENT_VERSION_MISMATCH: Final = 25
DEPRECATED: Final = 26

_REASONS: Final = {
    INVALID_ARGUMENT: Reason.UNSUPPORTED,  # also the answer for a question that does not apply to a MIG handle
    NOT_SUPPORTED: Reason.UNSUPPORTED,
    FUNCTION_NOT_FOUND: Reason.UNSUPPORTED,
    ARGUMENT_VERSION_MISMATCH: Reason.UNSUPPORTED,
    DEPRECATED: Reason.UNSUPPORTED,
    NO_PERMISSION: Reason.PERMISSION,
    TIMEOUT: Reason.TIMEOUT,
    GPU_IS_LOST: Reason.DEVICE_LOST,
    RESET_REQUIRED: Reason.DEVICE_LOST,
}
_GONE: Final = frozenset({UNINITIALIZED, DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH})

_MISSING: Final = {reason: Missing(reason) for reason in Reason}
UNSUPPORTED: Final = _MISSING[Reason.UNSUPPORTED]
LOST: Final = _MISSING[Reason.DEVICE_LOST]


class DriverGoneError(SourceError):
    """The driver was unloaded, replaced or shut down under us: this session is over, and another may be opened."""


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A driver handle with the names of what it stands for; a whole GPU's `uuid` equals its `gpu`.

    A spot is equal to itself alone: the same one tick after tick means that the device was there all the time, and a
    device that was made anew gets another, whatever its UUID.
    """

    gpu: GpuUuid
    uuid: DeviceUuid
    handle: Any


def missing_for(code: int) -> Missing:
    """Translate a return code into the reason why a value is missing; one object a reason, so that `is` compares."""
    return _MISSING[_REASONS.get(code, Reason.ERROR)]


def address(handle: Any) -> int:
    """Return the handle's own value, 0 for none: by that two handles compare, and an event names its GPU."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


class Calls:
    """Guarded calls into `lib` (the module pynvml) for one session.

    `lost` holds the GPUs that answered GPU_IS_LOST or RESET_REQUIRED; it is the caller's to clear. A refusal of the
    kind UNSUPPORTED is remembered for (device, call, arguments) until `forget`, because a refused call costs as much as
    an answered one (0.2 ms for utilisation on an H100) and would be refused on every tick.
    """

    def __init__(self, lib: Any) -> None:
        self.lib = lib
        self.lost: set[GpuUuid] = set()
        self._refused: dict[tuple[str, Any, tuple[Any, ...]], Missing] = {}

    def forget(self) -> None:
        """Ask everything again: the devices are others, or in another mode."""
        self._refused.clear()

    def ask(self, spot: Spot, call: Callable[..., T], *arguments: Any, into: tuple[Any, ...] = ()) -> T | Missing:
        """Return `call(handle, *arguments, *into)`, or why it was refused. Raises DriverGoneError.

        `into` is where the driver puts an answer that it does not return; it is no part of what is asked.
        """
        key = (spot.uuid, call, arguments)
        refusal = self._refused.get(key)
        if refusal is not None:
            return refusal
        answer = self.attempt(spot.gpu, call, spot.handle, *arguments, *into)
        if answer is UNSUPPORTED:
            self._refused[key] = UNSUPPORTED
        return answer

    def ask_first(self, spot: Spot, *questions: tuple[Any, ...]) -> Any:
        """Ask several forms of one question, newest first, until one is supported. A form is (call, *arguments)."""
        answer: Any = UNSUPPORTED
        for call, *arguments in questions:
            answer = self.ask(spot, call, *arguments)
            if answer is not UNSUPPORTED:
                break
        return answer

    def attempt(self, gpu: GpuUuid | None, call: Callable[..., T], *arguments: Any) -> T | Missing:
        """Return `call(*arguments)`, or why it was refused; nothing is remembered but a loss. Raises DriverGoneError."""
        if gpu in self.lost:
            return LOST
        try:
            return call(*arguments)
        except self.lib.NVMLError as error:
            return self._refusal(gpu, error)
        except self.lib.NVMLLibraryMismatchError:
            return UNSUPPORTED
        except UnicodeDecodeError:
            # pynvml decodes the driver's strings as UTF-8 and lets the failure through.
            return _MISSING[Reason.ERROR]

    def _refusal(self, gpu: GpuUuid | None, error: Any) -> Missing:
        if error.value in _GONE:
            message = f"the NVIDIA driver went away ({error}): waiting for it to be loaded again"
            raise DriverGoneError(message) from error
        refusal = missing_for(error.value)
        if gpu is not None and refusal is LOST:
            self.lost.add(gpu)
        return refusal

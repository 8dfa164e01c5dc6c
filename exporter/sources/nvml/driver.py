"""The NVIDIA driver as a source: opens the library when it is there, reads it, and opens it again after it went away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from exporter.errors import SourceError
from exporter.model import DriverReading, Inventory, Reason
from exporter.sources.nvml import calls as codes
from exporter.sources.nvml.calls import Calls, DriverGoneError, missing_for
from exporter.sources.nvml.session import Session

_NO_GPUS: Final = 1
"""NVML_INIT_FLAG_NO_GPUS of nvml.h: a node without a GPU is an empty inventory and not a failure."""

_WHY: Final = {
    codes.LIBRARY_NOT_FOUND: (
        "libnvidia-ml.so.1 not found: is the NVIDIA driver installed, or its library mounted into this container?"
    ),
    codes.DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded: is the kernel module nvidia loaded on this node?",
    codes.NO_PERMISSION: (
        "the NVIDIA driver refuses this process: give it /dev/nvidiactl and /dev/nvidia*, or run it privileged"
    ),
    codes.LIB_RM_VERSION_MISMATCH: (
        "libnvidia-ml.so.1 and the loaded NVIDIA kernel module are of different versions:"
        " reload the module or restart the node"
    ),
    codes.FUNCTION_NOT_FOUND: (
        "libnvidia-ml.so.1 has no nvmlInitWithFlags: the NVIDIA driver must be R410 or newer, or another library stands"
        " in its place"
    ),
    codes.TIMEOUT: "the NVIDIA driver did not answer in time when it was opened",
}


class NvmlDriver:
    """The driver of this node, satisfying `exporter.sources.base.Driver`.

    Constructing it touches nothing. `wall` is Unix seconds: the driver stamps its per-process samples with that clock.
    Reads are one at a time: NVML is not safe to enter twice, and a call that hangs cannot be taken back.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._session: Session | None = None
        self._before: Inventory | None = None
        self._inside = threading.Lock()
        self._closing = False

    def read(self, now: float) -> DriverReading:
        """Read everything once, opening the library first if need be.

        Raises SourceError: TIMEOUT while an earlier read has not come back, else what the driver or its library says.
        """
        if not self._inside.acquire(blocking=False):
            raise SourceError("an earlier read is still waiting inside the NVIDIA driver", Reason.TIMEOUT)
        try:
            return self._read(now)
        finally:
            self._inside.release()
            # A close that found us inside left its work to us.
            if self._closing:
                self.close()

    def close(self) -> None:
        """Give back samples, event set and library. A read that is still inside does it on its way out."""
        self._closing = True
        if self._inside.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._inside.release()

    def _read(self, now: float) -> DriverReading:
        if self._session is None:
            self._session = Session(open_library(), self._wall, self._before)
        try:
            reading = self._session.read(now)
        except DriverGoneError:
            self._end()
            raise
        self._before = reading.inventory
        return reading

    def _end(self) -> None:
        session, self._session = self._session, None
        self._closing = False
        if session is not None:
            session.close()


def open_library() -> Calls:
    """Load and initialise the driver's library. Raises SourceError that says what is wrong and what to do.

    pynvml is imported here and nowhere else, so that an exporter on a node without a driver starts and says so.
    """
    try:
        import pynvml  # noqa: PLC0415  # see above
    except ImportError as error:
        message = "the Python package nvidia-ml-py is not installed: pip install nvidia-ml-py"
        raise SourceError(message, Reason.UNSUPPORTED) from error
    lib: Any = pynvml
    try:
        lib.nvmlInitWithFlags(_NO_GPUS)
    except lib.NVMLError as error:
        code = error.value
        message = _WHY.get(code, f"the NVIDIA driver could not be opened: {error}")
        reason = Reason.UNSUPPORTED if code == codes.LIBRARY_NOT_FOUND else missing_for(code).reason
        raise SourceError(message, reason) from error
    return Calls(lib)

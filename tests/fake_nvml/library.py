"""The fake driver's own counters, read by ctypes: what a test asserts about how the driver was used.

Loading the library here also makes the real pynvml find it, because the loader knows it by its SONAME from then on.
A process can load one library only: pynvml keeps the functions that it has looked up.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tests.fake_nvml.build import SONAME, build


class FakeLibrary:
    """The libnvidia-ml.so.1 of this process: the one that is loaded already, else one built into `directory`.

    Raises BuildError, OSError when it cannot be loaded, AttributeError when the one that is loaded is a real driver's.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._library = ctypes.CDLL(SONAME, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            self._library = ctypes.CDLL(str(build(directory)))
        self._library.fake_nvml_calls.restype = ctypes.c_ulong
        for name in ("concurrent_calls", "live_samples", "live_event_sets", "live_inits"):
            getattr(self._library, f"fake_nvml_{name}").restype = ctypes.c_long

    def calls(self, name: str = "") -> int:
        """Count the calls of one C function since the library was loaded; of all without a name."""
        return int(self._library.fake_nvml_calls(name.encode() or None))

    @property
    def concurrent_calls(self) -> int:
        """How often a thread came in while another was inside; the real library is not safe for that."""
        return int(self._library.fake_nvml_concurrent_calls())

    @property
    def in_flight(self) -> int:
        """Threads inside now: 1 while a call hangs."""
        return int(self._library.fake_nvml_in_flight())

    @property
    def live_samples(self) -> int:
        """GPM samples allocated and not freed."""
        return int(self._library.fake_nvml_live_samples())

    @property
    def live_event_sets(self) -> int:
        """Event sets made and not freed."""
        return int(self._library.fake_nvml_live_event_sets())

    @property
    def live_inits(self) -> int:
        """Inits without their shutdown."""
        return int(self._library.fake_nvml_live_inits())

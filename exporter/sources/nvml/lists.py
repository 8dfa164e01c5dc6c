"""A process list in one call: pynvml asks for the length first and makes an object of many for each entry.

The lists are the dearest part of a reading, and there are three for each GPU. So they are read here by the library that pynvml
has loaded, into room that is kept; what comes back has the names that pynvml gives it. Where the library has no such function
pynvml's own is used, which says so in its own way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from exporter.sources.nvml.calls import INSUFFICIENT_SIZE, SUCCESS

_NO_VALUE: Final = 0xFFFFFFFFFFFFFFFF
"""NVML_VALUE_NOT_AVAILABLE of nvml.h."""

_ROOM: Final = 64
_TRIES: Final = 4
"""How often the list may have grown between two calls."""


class Listed(NamedTuple):
    """One entry of a list; memory in bytes, None where the driver does not tell it."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815  # pynvml's names
    gpuInstanceId: int  # noqa: N815
    computeInstanceId: int  # noqa: N815


class _Info(ctypes.Structure):
    """nvmlProcessInfo_v2_t of nvml.h, which is the third form's too."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


def list_call(lib: Any, name: str, form: str) -> Callable[[Any], list[Any]]:
    """Return what reads the list `name` in one form ("_v2", "_v3") of a device, given by its handle."""
    function = getattr(lib.nvmlLib, name + form, None)
    if function is None:
        pynvmls: Callable[[Any], list[Any]] = getattr(lib, name + form.replace("_v3", ""))
        return pynvmls
    return _List(lib, function).read


class _List:
    """One function of the library, and room for what it answers; used by one thread."""

    def __init__(self, lib: Any, function: Any) -> None:
        self._lib = lib
        self._function = function
        self._count = ctypes.c_uint()
        self._room = (_Info * _ROOM)()

    def read(self, handle: Any) -> list[Listed]:
        """Read the list. Raises NVMLError."""
        code = INSUFFICIENT_SIZE
        for _ in range(_TRIES):
            self._count.value = len(self._room)
            code = self._function(handle, ctypes.byref(self._count), self._room)
            if code != INSUFFICIENT_SIZE:
                break
            self._room = (_Info * (self._count.value * 2 + 5))()
        if code != SUCCESS:
            raise self._lib.NVMLError(code)
        return [
            Listed(info.pid, None if info.used == _NO_VALUE else info.used, info.gpu_instance, info.compute_instance)
            for info in self._room[: self._count.value]
        ]

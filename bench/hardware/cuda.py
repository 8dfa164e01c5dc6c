"""The CUDA driver's own interface through ctypes: as much of libcuda.so.1 as a tenant needs, and no toolkit.

One thread uses one `Cuda`. Facts: CUDA Driver API (cuda.h): names with `_v2` are what the header's macros stand for, and
every function returns a CUresult, 0 for success.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any, Final

from bench.hardware import kernels

LIBRARY: Final = "libcuda.so.1"

_POINTER = ctypes.POINTER
SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (_POINTER(c_int),),
    "cuGetErrorName": (c_int, _POINTER(c_char_p)),
    "cuDeviceGetCount": (_POINTER(c_int),),
    "cuDeviceGet": (_POINTER(c_int), c_int),
    "cuDeviceGetName": (_POINTER(c_char), c_int, c_int),
    "cuDeviceGetUuid_v2": (_POINTER(c_ubyte), c_int),
    "cuDeviceGetAttribute": (_POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxSetFlags_v2": (c_int, c_uint),
    "cuDevicePrimaryCtxRetain": (_POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxSynchronize": (),
    "cuModuleLoadData": (_POINTER(c_void_p), c_char_p),
    "cuModuleGetFunction": (_POINTER(c_void_p), c_void_p, c_char_p),
    "cuMemAlloc_v2": (_POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemGetInfo_v2": (_POINTER(c_size_t), _POINTER(c_size_t)),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
    "cuStreamCreate": (_POINTER(c_void_p), c_uint),
    "cuEventCreate": (_POINTER(c_void_p), c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuLaunchKernel": (c_void_p, *(c_uint,) * 7, c_void_p, _POINTER(c_void_p), _POINTER(c_void_p)),
}
"""Argument types by symbol (cuda.h). A CUdevice is an int, a CUdeviceptr 64 bits, every other handle a pointer."""

_SM_COUNT, _MAJOR, _MINOR = 16, 75, 76
"""CUdevice_attribute: MULTIPROCESSOR_COUNT, COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR."""

_WAIT_ASLEEP: Final = 4
"""CU_CTX_SCHED_BLOCKING_SYNC: who waits sleeps, so that many tenants do not need a core each."""

_NON_BLOCKING: Final = 1
"""CU_STREAM_NON_BLOCKING: the stream has no order with the default one."""

_EVENT: Final = 1 | 2
"""CU_EVENT_BLOCKING_SYNC and CU_EVENT_DISABLE_TIMING."""

_BLOCKS, _THREADS = 4, 512
_LARGEST_BLOCK: Final = 1024
"""Threads: blocks of that size are spread over the SMs, one each, before a second one shares an SM."""

_WORD: Final = 8


class CudaError(Exception):
    """A call was refused, or the library cannot be used; the message says which and how."""


def load() -> Any:
    """Load the driver's library and give every function its types. Raises CudaError."""
    try:
        library = ctypes.CDLL(LIBRARY)
        for name, types in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, c_int
    except (OSError, AttributeError) as error:
        raise CudaError(f"{LIBRARY} cannot be used: {error}") from error
    return library


class Cuda:
    """One context on one device, with a module of our kernels. Raises CudaError from every method."""

    def __init__(self, uuid: str) -> None:
        self._lib = load()
        self._check("cuInit", 0)
        self.device = self._device(uuid)
        self.sm_count = self._attribute(_SM_COUNT)
        self._call("cuDevicePrimaryCtxSetFlags_v2", self.device, _WAIT_ASLEEP)
        context = c_void_p()
        self._check("cuDevicePrimaryCtxRetain", ctypes.byref(context), self.device)
        self._check("cuCtxSetCurrent", context)
        self._module = self._load_module()
        self._functions = {name: self._function(name) for name in (kernels.SPIN, kernels.GAPS)}
        self._sink = self.allocate(_WORD)

    def close(self) -> None:
        """Give the context back, and all memory with it."""
        self._check("cuDevicePrimaryCtxRelease_v2", self.device)

    def version(self) -> int:
        """Return the driver's CUDA version, 13000 for 13.0."""
        found = c_int()
        self._check("cuDriverGetVersion", ctypes.byref(found))
        return found.value

    # --- memory ---

    def allocate(self, size: int) -> int:
        """Allocate so many bytes; return their address."""
        address = c_uint64()
        self._check("cuMemAlloc_v2", ctypes.byref(address), size)
        return address.value

    def free_and_total(self) -> tuple[int, int]:
        """Return the device's free and total bytes."""
        free, total = c_size_t(), c_size_t()
        self._check("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    # --- work ---

    def stream(self) -> c_void_p:
        """Make a stream."""
        found = c_void_p()
        self._check("cuStreamCreate", ctypes.byref(found), _NON_BLOCKING)
        return found

    def event(self) -> c_void_p:
        """Make an event that is waited for asleep."""
        found = c_void_p()
        self._check("cuEventCreate", ctypes.byref(found), _EVENT)
        return found

    def record(self, event: c_void_p, stream: c_void_p | None) -> None:
        """Put an event behind what the stream was given so far."""
        self._check("cuEventRecord", event, stream)

    def await_event(self, event: c_void_p) -> None:
        """Wait until the event has passed."""
        self._check("cuEventSynchronize", event)

    def synchronize(self) -> None:
        """Wait for everything."""
        self._check("cuCtxSynchronize")

    def spin(self, rounds: int, stream: c_void_p | None = None, *, sms: int = 0, fill: float = 1.0) -> None:
        """Launch so many rounds of work for every SM, or for about the part `fill` of them.

        `sms` is for how many SMs the work is, 0 for those that are seen here: a client of MPS sees fewer than there are.
        """
        self._launch(kernels.SPIN, (rounds, self._sink), shape(sms or self.sm_count, fill), stream)

    def gaps(self, seconds: float, threshold: float, room: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Look at the device's clock for so long; return nanoseconds looked and (when, how long) of each jump."""
        size = (kernels.GAPS_HEAD + 2 * room) * _WORD
        address = self.allocate(size)
        try:
            values = (round(seconds * 1e9), round(threshold * 1e9), room, address)
            self._launch(kernels.GAPS, values, (1, 1), None)
            self.synchronize()
            words = (c_uint64 * (kernels.GAPS_HEAD + 2 * room))()
            self._check("cuMemcpyDtoH_v2", ctypes.addressof(words), address, size)
        finally:
            self._check("cuMemFree_v2", address)
        return kernels.gaps_of(tuple(words))

    def _launch(self, kernel: str, values: Sequence[int], shape: tuple[int, int], stream: c_void_p | None) -> None:
        held = [c_uint64(value) for value in values]
        pointers = (c_void_p * len(held))(*(ctypes.addressof(value) for value in held))
        grid, block = shape
        self._check("cuLaunchKernel", self._functions[kernel], grid, 1, 1, block, 1, 1, 0, stream, pointers, None)

    # --- the way in ---

    def _device(self, uuid: str) -> int:
        count = c_int()
        self._check("cuDeviceGetCount", ctypes.byref(count))
        seen = []
        for index in range(count.value):
            device = c_int()
            self._check("cuDeviceGet", ctypes.byref(device), index)
            raw = (c_ubyte * 16)()
            self._check("cuDeviceGetUuid_v2", raw, device)
            seen.append(uuid_text(bytes(raw)))
            if seen[-1] == uuid:
                return device.value
        raise CudaError(f"CUDA does not offer {uuid}; it offers {', '.join(seen) or 'no device'}")

    def _attribute(self, which: int) -> int:
        found = c_int()
        self._check("cuDeviceGetAttribute", ctypes.byref(found), which, self.device)
        return found.value

    def _load_module(self) -> c_void_p:
        module, code = c_void_p(), 0
        for text in kernels.forms(self._attribute(_MAJOR), self._attribute(_MINOR)):
            code = self._call("cuModuleLoadData", ctypes.byref(module), text.encode("ascii"))
            if code == 0:
                return module
        raise CudaError(f"cuModuleLoadData: the driver does not compile our kernels: {self._named(code)}")

    def _function(self, name: str) -> c_void_p:
        found = c_void_p()
        self._check("cuModuleGetFunction", ctypes.byref(found), self._module, name.encode("ascii"))
        return found

    def _call(self, name: str, *arguments: Any) -> int:
        return int(getattr(self._lib, name)(*arguments))

    def _check(self, name: str, *arguments: Any) -> None:
        code = self._call(name, *arguments)
        if code:
            raise CudaError(f"{name}: {self._named(code)}")

    def _named(self, code: int) -> str:
        name = c_char_p()
        known = self._call("cuGetErrorName", code, ctypes.byref(name)) == 0 and name.value is not None
        return f"{(name.value or b'').decode()} ({code})" if known else f"error {code}"


def shape(sms: int, fill: float) -> tuple[int, int]:
    """Return blocks and threads that fill so many SMs, 2048 threads each, or a part of them, one block each."""
    return (_BLOCKS * sms, _THREADS) if fill >= 1.0 else (max(1, round(fill * sms)), _LARGEST_BLOCK)


def uuid_text(raw: bytes) -> str:
    """Spell a CUuuid as NVML does: `GPU-` and the sixteen bytes in hexadecimal, 4-2-2-2-6."""
    digits = raw.hex()
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

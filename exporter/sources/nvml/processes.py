"""Which processes are on a device, how much memory each holds, and what share of the GPU each had lately.

The driver keeps three lists (compute, graphics, MPS clients), and a process may be on several. Its per-process activity
is of whole GPUs outside MIG mode only, and names only processes that were active in the last sample period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from exporter.model import Missing, Process, ProcessKind, Reading, Reason
from exporter.sources.nvml.calls import INSUFFICIENT_SIZE, NOT_FOUND, SUCCESS, UNSUPPORTED, Calls, Spot
from exporter.sources.nvml.lists import list_call

NO_INSTANCE: Final = 0xFFFFFFFF
"""The instance id of an entry that names none (nvml.h on nvmlProcessInfo_t)."""

_LOOK_BACK: Final = 1_000_000
"""Microseconds of samples to ask for: the driver's longest sample period, so that a busy process has one."""

_STALE: Final = Missing(Reason.STALE)

_KINDS: Final = (ProcessKind.MPS, ProcessKind.COMPUTE, ProcessKind.GRAPHICS)

Entry = tuple[ProcessKind, Any]


class Processes:
    """Reads the process lists of devices. `wall` is Unix seconds, the clock of the driver's samples."""

    def __init__(self, calls: Calls, wall: Callable[[], float]) -> None:
        self._calls = calls
        self._wall = wall
        self._lists = list_calls(calls.lib)

    def on_gpu(self, spot: Spot) -> tuple[Process, ...] | Missing:
        """Return the processes that run on a whole GPU that is not in MIG mode."""
        entries = self.entries(spot)
        if isinstance(entries, Missing):
            return entries
        return merged(entries, self._shares(spot)) if entries else ()

    def entries(self, spot: Spot) -> list[Entry] | Missing:
        """Return every entry of every list of a device; of a GPU in MIG mode, with the instance that each names."""
        entries: list[Entry] = []
        for kind, forms in self._lists:
            answer = self._calls.ask_first(spot, *forms)
            if not isinstance(answer, Missing):
                entries.extend((kind, entry) for entry in answer)
            elif kind is ProcessKind.COMPUTE or answer is not UNSUPPORTED:
                # A board without graphics or MPS has an empty list; any other refusal would hide processes.
                return answer
        return entries

    def _shares(self, spot: Spot) -> dict[int, Reading] | Missing:
        samples = self._calls.ask(spot, self._samples)
        if isinstance(samples, Missing):
            return samples
        latest = int(self._wall() * 1e6) + _LOOK_BACK
        newest: dict[int, Any] = {}
        for sample in samples:
            known = newest.get(sample.pid)
            if known is None or sample.timeStamp >= known.timeStamp:
                newest[sample.pid] = sample
        # The clock was set back: until it is there again, the samples from before would be the newest.
        return {pid: _STALE if found.timeStamp > latest else found.smUtil / 100 for pid, found in newest.items()}

    def _samples(self, handle: Any) -> Any:
        """Ask for the samples of the last second; nobody active is an empty list and not a refusal."""
        lib = self._calls.lib
        since = int(self._wall() * 1e6) - _LOOK_BACK
        for last in (False, True):
            try:
                return lib.nvmlDeviceGetProcessUtilization(handle, since)
            except lib.NVMLError as error:
                # pynvml raises NVMLError(0) when the size it asks for comes back as 0.
                if error.value in {SUCCESS, NOT_FOUND}:
                    return ()
                # A process joined between the call for the size and the one for the samples.
                if last or error.value != INSUFFICIENT_SIZE:
                    raise
        return ()


def merged(entries: Iterable[Entry], shares: dict[int, Reading] | Missing) -> tuple[Process, ...]:
    """Make one process of the entries of each pid."""
    chosen: dict[int, tuple[ProcessKind, Reading]] = {}
    for kind, entry in _by_precedence(entries):
        held: Reading = UNSUPPORTED if entry.usedGpuMemory is None else float(entry.usedGpuMemory)
        known = chosen.get(entry.pid)
        if known is None:
            chosen[entry.pid] = kind, held
        elif isinstance(known[1], Missing):
            chosen[entry.pid] = known[0], held
    return tuple(
        Process(
            pid=pid,
            kind=kind,
            memory_bytes=held,
            sm_share=shares if isinstance(shares, Missing) else shares.get(pid, 0.0),
        )
        for pid, (kind, held) in sorted(chosen.items())
    )


def _by_precedence(entries: Iterable[Entry]) -> Iterator[Entry]:
    return iter(sorted(entries, key=lambda entry: _KINDS.index(entry[0])))


def list_calls(lib: Any) -> tuple[tuple[ProcessKind, tuple[tuple[Any], ...]], ...]:
    """Return the calls for each list, newest form first.

    The first R535 drivers answer the third form with elements of 32 bytes where pynvml reads 24, and the pids come out
    as garbage; nvitop (api/libnvml.py) tells them by the symbols that they have. There the second form is asked.
    """
    library = lib.nvmlLib
    wide = hasattr(library, "nvmlDeviceGetConfComputeMemSizeInfo") and not hasattr(
        library, "nvmlDeviceGetRunningProcessDetailList"
    )
    forms = []
    for kind, name in (
        (ProcessKind.COMPUTE, "nvmlDeviceGetComputeRunningProcesses"),
        (ProcessKind.MPS, "nvmlDeviceGetMPSComputeRunningProcesses"),
        (ProcessKind.GRAPHICS, "nvmlDeviceGetGraphicsRunningProcesses"),
    ):
        second = (list_call(lib, name, "_v2"),)
        forms.append((kind, (second,) if wide else ((list_call(lib, name, "_v3"),), second)))
    return tuple(forms)

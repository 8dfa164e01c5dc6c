"""The board between the two fakes: what tenants do through the fake CUDA is what the fake NVML tells of them.

`FakeBoard` makes the file that the fake CUDA's processes keep their accounts in, and, as long as its context is open, writes
a state for the fake NVML every few hundredths of a second: who holds memory, and what share of the last period each had.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.fake_nvml.state import (
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_SM,
    GPM_TENSOR,
    STATE_VARIABLE,
    FakeDriver,
    FakeGpu,
    FakeMemory,
    FakeProcess,
    write,
)

CUDA_VARIABLE = "SLICEWATCH_FAKE_CUDA"
"""The environment variable that holds the path of the accounts."""

UUID = "GPU-5ca1ab1e-0000-4000-8000-00000000f00d"

_SLOTS = 64
_HEAD = struct.Struct("<16sQIIII")
_SLOT = struct.Struct("<iiQQ")
"""The layout of `struct board` and `struct slot` in src/board.h."""

_CONTEXT = 400 << 20
"""Bytes that a context takes before the program allocates anything; of the order that real ones take."""


@dataclass(frozen=True, slots=True)
class Account:
    """One process on the board: nanoseconds of its turns so far, bytes held."""

    pid: int
    busy: int
    memory: int


@dataclass
class FakeBoard:
    """One GPU. `folder` takes the files; `period` is the driver's sample period in seconds.

    `foreign` is added to each pid, as a driver does that counts in another pid namespace; `lists` is whether it lists
    processes at all.
    """

    folder: Path
    memory: int = 80 << 30
    period: float = 0.1
    foreign: int = 0
    lists: bool = True
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Make the accounts and begin to tell of them."""
        major, minor = 9, 0
        head = _HEAD.pack(bytes.fromhex(UUID.removeprefix("GPU-").replace("-", "")), self.memory, 132, major, minor, 0)
        self.accounts.write_bytes(head.ljust(_HEAD.size + _SLOTS * _SLOT.size, b"\0"))
        with self.accounts.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._before: dict[int, int] = {}
        self._energy = 0.0
        self._tell(self.period)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Tell no more."""
        self._stop.set()
        self._thread.join()
        self._map.close()

    @property
    def accounts(self) -> Path:
        """Where processes keep their accounts."""
        return self.folder / "accounts"

    def variables(self) -> dict[str, str]:
        """What makes a process find this board."""
        return {CUDA_VARIABLE: str(self.accounts), STATE_VARIABLE: str(self.folder / "driver.state")}

    def read(self) -> list[Account]:
        """Return the accounts of the processes that are alive."""
        rows = (_SLOT.unpack_from(self._map, _HEAD.size + _SLOT.size * slot) for slot in range(_SLOTS))
        return [Account(pid, busy, memory) for pid, _, busy, memory in rows if pid and _alive(pid)]

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self.period):
            now = time.monotonic()
            self._tell(now - last)
            last = now

    def _tell(self, passed: float) -> None:
        accounts = self.read()
        spent = {row.pid: row.busy - self._before.get(row.pid, row.busy) for row in accounts}
        self._before = {row.pid: row.busy for row in accounts}
        shares = {pid: min(100, round(busy / (passed * 1e7))) for pid, busy in spent.items()}
        processes = tuple(
            FakeProcess(
                pid=row.pid + self.foreign,
                memory_bytes=row.memory + _CONTEXT,
                sm=shares[row.pid],
                mem=shares[row.pid] // 4,
            )
            for row in accounts
        )
        write(self.folder / "driver.state", FakeDriver(gpus=(self._gpu(processes, passed),)))

    def _gpu(self, processes: tuple[FakeProcess, ...], passed: float) -> FakeGpu:
        busy = min(100, sum(process.sm for process in processes))
        watts = 70 + 4 * busy
        self._energy += watts * passed
        used = sum(process.memory_bytes or 0 for process in processes)
        return FakeGpu(
            uuid=UUID,
            name="NVIDIA Fake 80GB",
            memory=FakeMemory(total=self.memory + (1 << 30), used=min(used, self.memory), reserved=479 << 20),
            utilisation=busy,
            sm_clock=1980 if busy else 345,
            power_mw=watts * 1000,
            temperature=30 + busy // 4,
            energy_mj=1_000_000 + int(self._energy * 1000),
            throttle=0 if busy else 1,
            gpm_supported=True,
            gpm={GPM_GRAPHICS: busy, GPM_SM: busy, GPM_TENSOR: 0.0, GPM_DRAM: busy / 20},
            processes=processes if self.lists else (),
        )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""A program under measurement: start and end it, and read from /proc what it costs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PATIENCE = 60.0
_KIB = 1024
_MIB = 1 << 20


class ProgramError(Exception):
    """A program did not come up, or went away; the message carries the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Program:
    """A running server: its pid, its port on the loopback, and the file that it writes to."""

    name: str
    pid: int
    port: int
    log: Path

    def cpu_seconds(self) -> float:
        """User and system time of all its threads since its start (fields 14 and 15 of proc(5)'s stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def memory(self) -> tuple[float, float]:
        """Resident MiB now, and the most it ever was (VmRSS and VmHWM)."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest}
        return kib["VmRSS"] * _KIB / _MIB, kib["VmHWM"] * _KIB / _MIB


@contextlib.contextmanager
def running(name: str, command: Sequence[str], port: int, environ: Mapping[str, str], log: Path) -> Iterator[Program]:
    """Run a server until the block ends; entered once its port answers. Raises ProgramError when it never does."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environ}
        )
        try:
            _await_port(process, name, port, log)
            yield Program(name, process.pid, port, log)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _await_port(process: subprocess.Popen[bytes], name: str, port: int, log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise ProgramError(f"{name} did not come up: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])

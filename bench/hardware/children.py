"""The processes that a run starts, and their end: whatever happens, none of them outlives the run."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]

_GRACE = 5.0
"""Seconds between the polite end of a child and the other one."""


class ChildError(Exception):
    """A child did not do what it was asked; the message carries the end of what it wrote."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment without proxies: everything that a child talks to is on this machine."""
    kept = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Child:
    """One process in a group of its own, spoken to in lines of JSON. Its standard error goes to a file."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        leash = [sys.executable, "-m", "bench.hardware.leash", str(os.getpid())]
        with log.open("ab") as errors:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [*leash, *argv],
                cwd=ROOT,
                env=environment(**variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                process_group=0,
            )
        self._held = b""

    @property
    def pid(self) -> int:
        """Its pid, in our pid namespace; the leash is the same process as the command."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What it has written to standard error so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def say(self, message: Mapping[str, Any]) -> None:
        """Send one line. Raises ChildError when it has gone."""
        try:
            pipe = _pipe(self.process.stdin)
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.flush()
        except OSError as error:
            raise ChildError(f"{self.name} has gone: {self._end()}") from error

    def hear(self, within: float) -> dict[str, Any]:
        """Return its next line. Raises ChildError when none comes, with what the child said of it."""
        until = time.monotonic() + within
        pipe = _pipe(self.process.stdout)
        while b"\n" not in self._held:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise ChildError(f"{self.name} said nothing within {within:g} s: {self._end()}")
            data = os.read(pipe.fileno(), 1 << 16)
            if not data:
                raise ChildError(f"{self.name} ended: {self._end()}")
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise ChildError(f"{self.name}: {found['error']}")
        return found

    def end(self, within: float = _GRACE) -> int:
        """Ask it to end, make it end, and return its status."""
        with suppress(OSError):
            _pipe(self.process.stdin).close()
        if self.process.poll() is None:
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait(within)
        _pipe(self.process.stdout).close()
        return status

    def _end(self) -> str:
        lines = self.log.strip().splitlines()
        return " | ".join(lines[-3:]) or f"no word; exit status {self.process.poll()}"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ChildError("a child without pipes")
    return pipe


class Crew:
    """Everything that a step started. Leaving the context ends all of it, the last one first."""

    def __init__(self, logs: Path, variables: Mapping[str, str] | None = None) -> None:
        self._logs = logs
        self._variables = dict(variables or {})
        self._children: list[Child] = []
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """End them."""
        while self._children:
            self._children.pop().end()

    def start(self, name: str, argv: Sequence[str], **variables: str) -> Child:
        """Start a command."""
        # A log of its own for each: what one says is not to be read as the word of another of its name.
        self._started += 1
        child = Child(name, argv, self._logs / f"{self._started:02}-{name}.log", {**self._variables, **variables})
        self._children.append(child)
        return child

    def python(self, name: str, module: str, *arguments: str, **variables: str) -> Child:
        """Start a module of this checkout."""
        return self.start(name, [sys.executable, "-m", module, *arguments], **variables)

    def dismiss(self, child: Child) -> int:
        """End one of them now; return its status."""
        self._children.remove(child)
        return child.end()

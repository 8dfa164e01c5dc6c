"""A program that answers a question in a line: run without a shell, with an end to its time and to what it may say."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_BYTES = 4096
"""Of an answer; what comes behind it is not read, and the program is ended."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a program said, at most MAX_BYTES of it, and its exit status; negative when it was ended."""

    text: str
    status: int


def ask(command: Sequence[str], question: bytes, environment: Mapping[str, str], seconds: float) -> Told:
    """Run a program, write it a question, and read its answer. Raises TimeoutError, and OSError when it cannot be run."""
    until = time.monotonic() + seconds
    with subprocess.Popen(  # noqa: S603  # a fixed program and fixed words, no shell
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(environment)
    ) as program:
        try:
            _write(program, question)
            said = _read(program, until)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return Told(said.decode("utf-8", "replace").strip(), program.wait(max(0.0, until - time.monotonic())))
            raise TimeoutError
        finally:
            program.kill()


def _write(program: subprocess.Popen[bytes], question: bytes) -> None:
    """Write a question that fits into a pipe's buffer, so that nobody waits for it to be read."""
    if program.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its status says why
            program.stdin.write(question)
            program.stdin.close()


def _read(program: subprocess.Popen[bytes], until: float) -> bytes:
    """Read to the end of the answer, or to its bound. Raises TimeoutError."""
    said = b""
    while program.stdout is not None and len(said) < MAX_BYTES:
        ready, _, _ = select.select([program.stdout], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise TimeoutError
        piece = os.read(program.stdout.fileno(), MAX_BYTES - len(said))
        if not piece:
            return said
        said += piece
    program.kill()
    return said

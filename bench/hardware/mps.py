"""An MPS daemon of our own: in the foreground, its pipes in our folder, no setting of the GPU touched."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from bench.hardware.children import Crew, environment

PROGRAM: Final = "nvidia-cuda-mps-control"

_COMES_UP: Final = 10.0
_ANSWERS: Final = 10.0


class MpsError(Exception):
    """There is no MPS here, or it did not come up; the message says which."""


def start(stack: ExitStack, folder: Path) -> dict[str, str]:
    """Start the daemon; return the environment by which clients find it. Raises MpsError.

    Compute mode is left as it is: MPS works in the default mode too (NVIDIA MPS documentation, "Server and clients").
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise MpsError(f"{PROGRAM} is not installed")
    pipes, logs = folder / "mps", folder / "mps-log"
    for made in (pipes, logs):
        made.mkdir()
    variables = {"CUDA_MPS_PIPE_DIRECTORY": str(pipes), "CUDA_MPS_LOG_DIRECTORY": str(logs)}
    # In a crew of its own, which ends behind the clients': a daemon that has clients does not quit.
    daemon = stack.enter_context(Crew(folder)).start("mps-control", [program, "-f"], **variables)
    stack.callback(_quit, program, variables)
    until = time.monotonic() + _COMES_UP
    while not (pipes / "control").exists():
        if daemon.process.poll() is not None or time.monotonic() > until:
            raise MpsError(f"{PROGRAM} did not come up: {daemon.log[-500:]}")
        time.sleep(0.05)
    return variables


def client(variables: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the environment of a client with so many percent of the threads; of no client where there is no server.

    A client may give itself less than the server's default (NVIDIA MPS documentation, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE).
    """
    return {**variables, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(threads)} if variables else {}


def _quit(program: str, variables: dict[str, str]) -> None:
    """Let the daemon end its server; it is asked before it is killed, because the server is its child and not ours."""
    with suppress(subprocess.TimeoutExpired, OSError):
        subprocess.run(
            [program],
            input=b"quit\n",
            env=environment(**variables),
            timeout=_ANSWERS,
            check=False,
            capture_output=True,
        )

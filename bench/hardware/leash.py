"""Runs a command that dies with the process that started it: `python -m bench.hardware.leash PARENT COMMAND…`.

The kernel keeps the parent-death signal over execve (prctl(2), PR_SET_PDEATHSIG), so that a kit that is killed leaves
nobody on the GPU.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Ask to be killed when the parent ends. Ends at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(f"the process {parent} that started this one is gone")


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # the command is the kit's own

"""Which machine and which program the figures are of."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def line(peers: Sequence[str] = ("nvitop-exporter", "prometheus-client")) -> str:
    """One line: CPU model, cores, Python, the peers' versions, the commit."""
    versions = ", ".join(f"{peer} {version(peer)}" for peer in peers)
    return (
        f"{cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()};"
        f" {versions}; commit {commit()}"
    )


def cpu() -> str:
    """The processor's name."""
    for fact in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = fact.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def commit() -> str:
    """The commit that is checked out, marked when something is changed."""
    root = Path(__file__).parents[1]
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()

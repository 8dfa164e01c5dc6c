"""Look up what this process may do here, and which of the enforcers' files there are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from exporter.config import Settings
from exporter.doctor.standing import MONITOR, Standing
from exporter.sources.mps_control import BINARY
from exporter.sources.procfs import host_pid_namespace
from exporter.values import SourceKind


def look(settings: Settings, environ: Mapping[str, str]) -> Standing:
    """Look at this process and its mounts. Never raises: what may not be looked at is not there."""
    where = settings.sources
    given = {"hami": where.hami, "mps": where.mps, "dra": where.dra}
    paths = {name: path for name, path in given.items() if path is not None}
    if where.kind is not SourceKind.NVML:
        return Standing(paths={name: str(path) for name, path in paths.items()})
    return Standing(
        uid=os.geteuid(),
        host_pids=host_pid_namespace(str(where.procfs)),
        monitor=environ.get(MONITOR, ""),
        mps_program=shutil.which(BINARY) is not None,
        paths={name: str(path) for name, path in paths.items()},
        found=frozenset(name for name, path in paths.items() if _there(path)),
    )


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False

"""Compile the fake CUDA driver: `build(directory)` returns a libcuda.so.1 that ctypes loads by that name."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.fake_nvml.build import BuildError

SONAME = "libcuda.so.1"
SOURCES = Path(__file__).parent / "src"

_FLAGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-shared")


def build(target_dir: Path) -> Path:
    """Compile into `target_dir` and return the library's path. Raises BuildError."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BuildError("no C compiler found (cc, gcc or clang, or $CC): the fake CUDA driver cannot be built")
    library = target_dir / SONAME
    command = [compiler, *_FLAGS, f"-Wl,-soname,{SONAME}", *map(str, sorted(SOURCES.glob("*.c"))), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{compiler} refused the fake CUDA driver's sources:\n{done.stderr}")
    return library

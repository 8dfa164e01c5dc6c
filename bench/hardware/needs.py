"""What a machine must have before the kit can run, looked at first, so that what is missing is one clear line.

`python -m bench.hardware.needs` prints the Python packages, for pip.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import sys
from collections.abc import Iterator
from typing import Final

MODULES: Final = {
    "pynvml": "nvidia-ml-py",
    "h2": "h2",
    "google.protobuf": "protobuf",
    "yaml": "PyYAML",
    "rich": "rich",
    "bcrypt": "bcrypt",
    "kubernetes": "kubernetes",
}
"""Modules by the package that has them: the exporter's own, and the API server's client."""

LIBRARIES: Final = {"libnvidia-ml.so.1": "NVML, of the NVIDIA driver"}
"""Without CUDA's library the driver can still be read; that is found out when a GPU is chosen."""

_OLDEST: Final = (3, 11)


def missing() -> list[str]:
    """Return a line for each thing that is not here; nothing when all of it is."""
    return [*_python(), *_modules(), *_libraries()]


def _python() -> Iterator[str]:
    if sys.version_info < _OLDEST:
        yield f"Python {platform.python_version()}: 3.11 or newer is needed"
    if sys.platform != "linux":
        yield f"{sys.platform}: only Linux has the procfs that processes are placed by"


def _modules() -> Iterator[str]:
    lacking = [package for module, package in MODULES.items() if not _there(module)]
    if lacking:
        yield (
            f"Python packages: {' '.join(lacking)}; without a network, carry them as wheels"
            ' (docs/hardware.md, "Without a network")'
        )


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is not there
        return False


def _libraries() -> Iterator[str]:
    for name, what in LIBRARIES.items():
        try:
            ctypes.CDLL(name)
        except OSError as error:
            yield f"{name} ({what}): {error}"


if __name__ == "__main__":
    sys.stdout.write(" ".join(MODULES.values()) + "\n")

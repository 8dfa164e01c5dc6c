"""Compile the fake driver: `build(directory)` returns a libnvidia-ml.so.1 that the real pynvml loads.

The library is rebuilt when a source, the compiler or the symbols left out have changed. `without` makes an older driver
of it: the symbols (shell patterns) are not exported, so that pynvml finds them missing as it would there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

SONAME = "libnvidia-ml.so.1"
SOURCES = Path(__file__).parent / "src"

_FLAGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-pthread")
_EXPORTED = re.compile(r"^API [^(=;]*?\b(\w+)\(", re.MULTILINE)


class BuildError(Exception):
    """There is no compiler, it refused the sources, or a pattern names no symbol; the message says which."""


def build(target_dir: Path, without: Iterable[str] = ()) -> Path:
    """Compile into `target_dir` unless that has been done, and return the library's path. Raises BuildError.

    One directory holds one variant. Two processes may build into the same directory: the result is put in place whole.
    """
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BuildError("no C compiler found (cc, gcc or clang, or $CC): the fake driver cannot be built")
    left_out = _expand(without)
    digest = _digest(compiler, left_out)
    library, stamp = target_dir / SONAME, target_dir / f"{SONAME}.digest"
    if library.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return library
    target_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target_dir) as scratch:
        _compile(compiler, Path(scratch), left_out)
        (Path(scratch) / SONAME).replace(library)
        draft = Path(scratch) / "digest"
        draft.write_text(digest, encoding="ascii")
        draft.replace(stamp)
    return library


def exported() -> frozenset[str]:
    """Return the names of all functions that the sources export."""
    return frozenset(name for source in _sources() for name in _EXPORTED.findall(source.read_text(encoding="utf-8")))


def _sources() -> list[Path]:
    return sorted(SOURCES.glob("*.c"))


def _expand(patterns: Iterable[str]) -> list[str]:
    names = exported()
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if fnmatchcase(name, pattern)}
        if not matching:
            raise BuildError(f"{pattern}: the fake driver exports no such symbol")
        found |= matching
    return sorted(found)


def _digest(compiler: str, left_out: list[str]) -> str:
    content = hashlib.sha256("\0".join((compiler, *_FLAGS, *left_out)).encode())
    for source in sorted(SOURCES.iterdir()):
        content.update(source.name.encode() + b"\0" + source.read_bytes())
    return content.hexdigest()


def _compile(compiler: str, scratch: Path, left_out: list[str]) -> None:
    script = scratch / "exports.map"
    hidden = "".join(f"    {name};\n" for name in left_out)
    script.write_text(f"{{\n  global:\n    nvml*;\n    fake_nvml_*;\n  local:\n{hidden}    *;\n}};\n", encoding="ascii")
    linking = ("-shared", f"-Wl,-soname,{SONAME}", f"-Wl,--version-script={script}")
    command = [compiler, *_FLAGS, *map(str, _sources()), "-o", str(scratch / SONAME), *linking]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{compiler} refused the fake driver's sources:\n{done.stderr}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.fake_nvml.build DIRECTORY")
    sys.stdout.write(f"{build(Path(sys.argv[1]))}\n")

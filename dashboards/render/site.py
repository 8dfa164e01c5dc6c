"""The page, built: node modules and Vite's output in a folder that is not committed.

    python -m dashboards.render.site    # build it now, so that no test pays for it

Node modules are installed once for each lock file, the page is built once for each version of its sources. Several processes may ask
at once: one builds, the others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboards.render.programs import NotInstalledError, program

PAGE = Path(__file__).parent / "page"
FOLDER = Path(__file__).parents[2] / "build" / "render"

# peer dependencies of @grafana/ui name React 18, and it runs with 19: hence the legacy rule. Scripts of packages are not run.
INSTALL = ("ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


class BuildError(Exception):
    """npm or Vite failed; the message is the end of what they said."""


@dataclass(frozen=True)
class Site:
    """A page that is built: what is served, and what drives the browser."""

    dist: Path
    driver: Path


def build(folder: Path = FOLDER) -> Site:
    """Build what is not built yet. Raises NotInstalledError and BuildError."""
    program("node")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / ".lock"):
        _install(folder)
        _compile(folder)
    return Site(folder / "dist", folder / "drive.mjs")


def _install(folder: Path) -> None:
    wanted = [PAGE / "package.json", PAGE / "package-lock.json"]
    with _once(folder / ".installed", wanted) as stale:
        if stale:
            for each in wanted:
                shutil.copy(each, folder)
            _run([program("npm"), *INSTALL], folder)


def _compile(folder: Path) -> None:
    sources = sorted(each for each in PAGE.rglob("*") if each.is_file())
    with _once(folder / ".built", sources) as stale:
        if stale:
            shutil.rmtree(folder / "src", ignore_errors=True)
            shutil.copytree(PAGE, folder, dirs_exist_ok=True)
            vite = folder / "node_modules" / "vite" / "bin" / "vite.js"
            _run([program("node"), str(vite), "build", "--logLevel=error"], folder)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def _once(stamp: Path, files: Iterable[Path]) -> Iterator[bool]:
    """Tell whether the stamp is of other contents; write it when the block ends well."""
    digest = hashlib.sha256()
    for each in files:
        digest.update(each.name.encode() + b"\0" + each.read_bytes())
    now = digest.hexdigest()
    stale = not stamp.exists() or stamp.read_text() != now
    yield stale
    stamp.write_text(now)


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "CI": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BuildError(f"{' '.join(command)}: exit status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


def main() -> int:
    """Build; without node, say so: the tests that need it fail or skip by themselves."""
    try:
        build()
    except NotInstalledError as error:
        print(f"dashboards are not drawn here: {error}", file=sys.stderr)  # noqa: T201  # a command's word
    return 0


if __name__ == "__main__":
    sys.exit(main())

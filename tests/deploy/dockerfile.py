"""The Dockerfile as its instructions, and its steps run in a folder: without a container, with this machine's Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, in its stage; the stage before the first FROM is empty."""

    stage: str
    word: str
    rest: str


def instructions(text: str) -> Iterator[Instruction]:
    """Every instruction of a Dockerfile without heredocs; mounts are left out."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    stage = ""
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.split()[-1]
        yield Instruction(stage, word, re.sub(r"--mount=\S+ ", "", " ".join(rest.split())))


def play(stages: Sequence[str], folder: Path) -> Path:
    """Run the steps of stages below a folder, all but what installs Debian's packages; return the folder that is the root.

    Paths of the image (`/opt/slicewatch`, `/pip`, `/src`, `/wheels`) lie in the folder.
    """
    work, environment = folder, {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python3").symlink_to(sys.executable)
    for each in instructions(DOCKERFILE.read_text()):
        if each.stage not in stages:
            continue
        rest = re.sub(r"(?<![\w./])(?=/(?:opt/slicewatch|pip|src|wheels)\b)", str(folder), each.rest)
        if each.word == "WORKDIR":
            work = Path(rest)
            work.mkdir(parents=True, exist_ok=True)
        elif each.word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in rest.split())
            environment.pop("PIP_NO_CACHE_DIR", None)  # for speed
        elif each.word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(ROOT / source, work / target / ("" if (ROOT / source).is_dir() else source))
        elif each.word == "RUN" and "apt-get" not in rest:
            _step(rest, work, environment)
    return folder


def _step(command: str, work: Path, environment: dict[str, str]) -> None:
    run = subprocess.run(
        ["sh", "-ec", command], cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, f"{command}\n{run.stdout[-2000:]}{run.stderr[-2000:]}"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)

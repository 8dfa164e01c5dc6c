"""`make image`: build both images with buildah, run them as they run on a cluster, and say how large they are.

    python -m tools.image [--stand-in] [--build-flag=FLAG …] [--keep]

The base comes from its registry. Where there is none, `--stand-in` makes one of Debian's packages with mmdebstrap and gives it
the base's name: that proves the steps and the result, not that the published base has the same packages. Every command runs
as the image's user, in a root that is mounted read-only, without a network of its own. Needs root, or a user namespace.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "image"
_NOBODY = "65532:65532"
_SLIM = ("doc", "man", "info", "locale", "groff", "lintian")
"""Folders of /usr/share that Debian's slim images leave out (debuerreotype, .slimify-excludes)."""
_SERVE = "timeout --preserve-status 20"
"""Ends a server as Kubernetes does, with SIGTERM; the seconds are enough for a busy machine."""


@dataclass(frozen=True, slots=True)
class Check:
    """A command in an image, the exit status that it must have, and a text that it must say."""

    command: str
    status: int
    says: str
    writes: str = ""  # the folder that a volume is mounted on


CHECKS = {
    "exporter": (
        Check("slicewatch --help", 0, "usage: slicewatch COMMAND"),
        Check("slicewatch exporter --once --source=simulator", 0, "gpu_partition_guarantee_seconds_total"),
        Check("slicewatch doctor --source=simulator", 0, "podresources"),
        Check("slicewatch doctor --kubernetes=/etc/no-config", 2, "cannot read this kubeconfig"),
        Check("slicewatch slo check --prometheus=http://127.0.0.1:9", 2, "slicewatch[slo]"),
        Check("python3 -c 'import polars'", 1, "No module named 'polars'"),
        Check(f"{_SERVE} slicewatch exporter --source=simulator --podresources.socket=", 0, "msg=serving"),
    ),
    "slo": (
        Check("slicewatch slo validate", 0, "well-formed"),
        Check("slicewatch slo rules", 0, "GPUPartitionPromiseBurn"),
        Check("slicewatch slo check --prometheus=http://127.0.0.1:9", 3, "127.0.0.1:9"),
        Check(
            f"{_SERVE} slicewatch slo run --prometheus=http://127.0.0.1:9 --journal.file=/tmp/alerts.db",
            0,
            "msg=serving",
            writes="/tmp",  # noqa: S108  # in the image
        ),
    ),
}
"""What must hold in each image."""

COMMON = (
    Check("id -u", 0, "65532"),
    Check("touch /opt/slicewatch/x /tmp/x", 1, "Read-only file system"),
    Check("python3 -m pip", 1, "No module named pip"),
    Check("cc --version", 127, "not found"),
)
"""What must hold in both."""


def main(argv: Sequence[str]) -> int:
    """Build and check; the exit status is 1 when a check fails, 2 when a program is missing."""
    parser = argparse.ArgumentParser(prog="make image", description="Build, run and measure both images.")
    parser.add_argument(
        "--stand-in", action="store_true", help="make a base of Debian's packages instead of fetching it"
    )
    parser.add_argument("--build-flag", action="append", default=[], metavar="FLAG", help="a flag for `buildah build`")
    parser.add_argument("--keep", action="store_true", help="keep the images in build/image")
    asked = parser.parse_args(argv)
    needed = ["buildah", *(["mmdebstrap"] if asked.stand_in else [])]
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        sys.stderr.write(f"make image: not installed: apt-get install {' '.join(missing)}\n")
        return 2
    try:
        if asked.stand_in:
            _stand_in(base())
        failed = [_image(target, asked) for target in CHECKS]
        return 1 if any(failed) else 0
    finally:
        if not asked.keep:
            shutil.rmtree(WORK, ignore_errors=True)


def base() -> tuple[str, str]:
    """The base's name in the Dockerfile, and Debian's name in it."""
    found = re.search(r"^ARG BASE=(\S+:(\w+)-slim)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("make image: the Dockerfile's base is no slim Debian")
    return found[1], found[2]


def _stand_in(named: tuple[str, str]) -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    archive = WORK / "base.tar"
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _SLIM]
    began = time.monotonic()
    _quiet(["mmdebstrap", "--variant=minbase", "--components=main", *excluded, named[1], str(archive)])
    container = _buildah("from", "scratch")
    _buildah("add", "--quiet", container, str(archive), "/")
    _buildah("commit", "--quiet", "--rm", container, named[0])
    archive.unlink()
    print(f"{named[0]}: a stand-in of Debian's packages, {time.monotonic() - began:.0f} s")


def _image(target: str, asked: argparse.Namespace) -> int:
    """Build one image, say what it is, and return how many checks it fails."""
    began, name = time.monotonic(), f"localhost/slicewatch-{target}"
    pull = ["--pull=never"] if asked.stand_in else []
    _buildah("build", "--layers", *pull, *asked.build_flag, f"--target={target}", f"--tag={name}", str(ROOT))
    took = time.monotonic() - began
    print(f"{target}: {_size(name)}, built in {took:.0f} s")
    with _mounted(name) as root:
        failed = [check for check in (*COMMON, *CHECKS[target]) if not _holds(root, check)]
    return len(failed)


def _size(name: str) -> str:
    """What an image's layers come to, unpacked and as they are pulled."""
    manifest = json.loads(_buildah("inspect", "--type=image", "--format={{.Manifest}}", name))
    unpacked = [layer["size"] for layer in manifest["layers"]]
    archive = WORK / "image.tar"
    _buildah("push", "--quiet", name, f"oci-archive:{archive}")
    pulled = archive.stat().st_size
    archive.unlink()
    layers = " + ".join(f"{size / 1e6:.0f}" for size in unpacked)
    return f"{sum(unpacked) / 1e6:.0f} MB ({layers}), {pulled / 1e6:.0f} MB to pull"


def _holds(root: Path, check: Check) -> bool:
    found = _run(root, check)
    kept = found.returncode == check.status and check.says in found.stdout + found.stderr
    print(f"  {'ok' if kept else 'FAILED'}  {check.command}")
    if not kept:
        print(f"      exit status {found.returncode}: {(found.stderr or found.stdout)[-500:].strip()}")
    return kept


@contextmanager
def _mounted(name: str) -> Iterator[Path]:
    """The image's files."""
    container = _buildah("from", "--pull=never", name)
    try:
        yield Path(_buildah("mount", container))
    finally:
        _buildah("rm", container)


def _run(root: Path, check: Check) -> subprocess.CompletedProcess[str]:
    """Run a command as the image's user, in files that are read-only, with a procfs, without a network."""
    path = "/opt/slicewatch/bin:/usr/bin:/bin"
    volume = f'mount -t tmpfs -o mode=1777 volume "$1{check.writes}" && ' if check.writes else ""
    script = (
        f'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1/proc" && {volume}'
        f'exec chroot --userspec={_NOBODY} "$1" /usr/bin/env -i PATH={path} sh -c "$2"'
    )
    namespaces = ["unshare", "--mount", "--pid", "--net", "--fork"]
    words = [*namespaces, "sh", "-c", script, "sh", str(root), check.command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


def _buildah(*words: str) -> str:
    stores = ["--root", str(WORK / "storage"), "--runroot", str(WORK / "run")]
    return _quiet(["buildah", *stores, *words], BUILDAH_ISOLATION="chroot")


def _quiet(command: Sequence[str], **environment: str) -> str:
    """Run, and return what it says last; its whole log when it fails. Raises SystemExit."""
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

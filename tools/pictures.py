"""Draw the pictures of the documents: the dashboards in an evening with an incident, and Prometheus's page of alerts during `make up`.

    python -m tools.pictures [--no-alerts]

Pictures go to docs/pictures; look at them before they are committed.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from dashboards.render.browser import Job, visit
from dashboards.render.drawing import THEMES, Wish, draw
from dashboards.render.site import Site, build
from tests.dashboards.scene import BEGIN, END, SCRAPE, scene

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
_COLOURS = 192
_PAGED = "document.body.innerText.includes('GPUPartitionPromiseBurn')"
_SETTLED = 30.0
"""Seconds after the first page, until its neighbours have theirs."""
_PATIENCE = 180.0


def main(argv: Sequence[str]) -> int:
    """Draw; the exit status is 1 when a dashboard has a fault, which is said."""
    parser = argparse.ArgumentParser(prog="make pictures", description="Draw the pictures of the documents.")
    parser.add_argument("--no-alerts", action="store_true", help="leave the page of alerts as it is")
    asked = parser.parse_args(argv)
    site = build()
    PICTURES.mkdir(exist_ok=True)
    faults = _dashboards(site)
    if not asked.no_alerts:
        _alerts(site)
    for path in sorted(PICTURES.glob("*.png")):
        _small(path)
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


def _dashboards(site: Site) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder)) as server:
        wishes = [
            Wish(path.read_text(), PICTURES / f"{path.stem}-{theme}.png", BEGIN, END, theme, scrape=SCRAPE)
            for path in sorted((ROOT / "dashboards" / "json").glob("*.json"))
            for theme in THEMES
        ]
        return [f"{one.png.name}: {fault}" for one in draw(site, server.url, wishes) for fault in one.faults]


def _alerts(site: Site) -> None:
    """Bring everything up, wait for the page, and take a picture of Prometheus's alerts; Debian's Alertmanager has no pages."""
    with _up() as said:
        job = Job(_address(said), str(PICTURES / "alerts.png"), ready=_PAGED, width=1600, height=900)
        until = time.monotonic() + _PATIENCE
        while not _firing(job.url) and time.monotonic() < until:
            time.sleep(2)
        time.sleep(_SETTLED)
        visit(site, [job])


def _firing(page: str) -> bool:
    address = re.sub(r"/(classic/)?alerts$", "/api/v1/alerts", page)
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # on loopback
        return b"GPUPartitionPromiseBurn" in answer.read()


@contextmanager
def _up() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-m", "tools.up", "--free-ports"], cwd=ROOT, stdout=out)
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _address(said: Path) -> str:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        found = re.search(r"^Prometheus +(http://\S+)", said.read_text(), re.MULTILINE)
        if found:
            return found[1]
        time.sleep(0.5)
    raise SystemExit("make up did not come up")


def _small(path: Path) -> None:
    """Few colours and no transparency: pictures of curves and tables lose nothing by it."""
    with Image.open(path) as picture:
        if picture.mode == "P":
            return
        few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

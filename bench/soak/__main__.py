"""An hour of churn, and whether the exporter grows in it.

    python -m bench.soak [--minutes 60] [--pods-a-minute 500] [--json FILE]

The real exporter runs on the fake driver (a C library that the unmodified pynvml loads), a kubelet's socket, an API server
and a procfs. Pods are born and gone, 500 a minute; MIG is cut anew each minute; the page is scraped each second; now and
then something fails for a while. Every 5 s the exporter's memory, descriptors, threads and series are counted. `slo run`
scrapes it too, with its history and its journal, and is counted as well; what it remembers grows with the partitions that
there have been, so that it has no goal here.

The slope is that of a straight line through the means of minutes, behind the warm-up, with its standard error: samples of
one minute are alike, and a fit over all of them would call itself surer than it is. Exit status 1 when a goal is not met.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.soak import report
from bench.soak.run import Plan, soak
from tests.fake_nvml.build import build


def main(argv: Sequence[str]) -> int:
    """Soak, print a line for each goal, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Does the exporter grow?")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pods-a-minute", type=float, default=500.0)
    parser.add_argument("--keep", type=float, default=60.0, help="the exporter's --departed.keep, seconds (60)")
    parser.add_argument("--no-evaluator", action="store_true", help="without `slo run` beside it")
    parser.add_argument("--json", type=Path, default=Path("build/soak.json"), metavar="FILE")
    asked = parser.parse_args(argv)
    plan = Plan(
        duration=asked.minutes * 60,
        pods_a_minute=asked.pods_a_minute,
        keep=asked.keep,
        evaluator=not asked.no_evaluator,
    )
    about, commit = machine.cpu(), machine.commit()
    with tempfile.TemporaryDirectory(prefix="slicewatch-soak-") as folder:
        soaked = soak(plan, Path(folder), build(Path(folder) / "driver"))
    told = report.document(plan, soaked, about, commit)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    text, met = report.text(told)
    print(text, end="")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

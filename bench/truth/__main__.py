"""The command: plays random worlds on all cores, judges them, and prints the figures beside their goals."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from bench.truth.report import lines
from bench.truth.running import SETS, run

WORLDS = 2000
QUICK = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as asked; the exit status is 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m bench.truth", description=__doc__)
    parser.add_argument(
        "--set", choices=sorted(SETS), default="report", help="which ranges and seeds (default: report)"
    )
    parser.add_argument("--worlds", type=int, default=WORLDS, help=f"how many worlds (default: {WORLDS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} worlds, within a minute")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    count = QUICK if chosen.quick else chosen.worlds
    started = time.monotonic()
    cases = run(chosen.set, count, chosen.workers)
    print(
        f"set {chosen.set}, {count:,} worlds of 100 s, {time.monotonic() - started:.0f} s on {chosen.workers} workers"
    )
    print("\n".join(lines(cases)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

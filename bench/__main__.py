"""What slicewatch costs, in one table: the tick, the page, the scrape, the memory, beside nvitop-exporter.

    python -m bench [--quick] [--window SECONDS] [--minutes N] [--markdown FILE]

How to read it. Times of the first two parts are CPU time of one thread, medians over 100 ticks whose readings change;
the driver is not in them, because a real one costs what it costs. The last parts are whole processes on a fake driver
(a C library that the unmodified pynvml loads): CPU is user and system time from /proc over half a minute, as a part of one
core, without a scrape, scraped every 15 s, as real clusters do, and scraped once a second; the fake driver's own time is in it, for both programs
alike. Absolute times are those of the machine named above the table; ratios are of the same run. What each of the two
programs does in a scrape is told in `bench/live.py`, and where the client library is given its advantage in
`bench/page.py`. The garbage collector runs as it does in production.

`--quick` takes less than two minutes and is too short for figures to be quoted: CPU is counted in hundredths of a second.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import live, machine, page, reading, report, tick
from bench.modes import every_mode
from bench.report import Figures
from exporter.simulator.synthetic import synthetic
from tests.fake_nvml.build import build

SIZES = (7, 56, 512)


def main(argv: Sequence[str]) -> int:
    """Measure, print, and write. The exit status is 0 whether or not the goals are met: they are for a quiet machine."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what slicewatch costs.")
    parser.add_argument("--quick", action="store_true", help="all of it in under two minutes, roughly")
    parser.add_argument("--window", type=float, default=30.0, help="seconds over which CPU is counted (30)")
    parser.add_argument("--minutes", type=float, default=5.0, help="age at which memory is read, 56 partitions (5)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    asked = parser.parse_args(argv)
    about = machine.line()
    with tempfile.TemporaryDirectory(prefix="slicewatch-bench-") as folder:
        build(Path(folder))
        measured = {size: _measure(size, _plan(size, asked), Path(folder), quick=asked.quick) for size in SIZES}
    text = _text(about, measured, quick=asked.quick)
    print(text, end="")
    if asked.markdown is not None:
        asked.markdown.write_text(text, encoding="utf-8")
    return 0


def _plan(size: int, asked: argparse.Namespace) -> live.Plan:
    if asked.quick:
        return live.Plan(scrapes=30, spacing=0.017, window=5.0, age=0.0)
    age = asked.minutes * 60 if size == report.GOAL_PARTITIONS else 0.0
    return live.Plan(scrapes=100, spacing=0.057, window=asked.window, age=age)


def _measure(size: int, plan: live.Plan, library: Path, *, quick: bool) -> Figures:
    print(f"{size} partitions: the tick", file=sys.stderr)
    ticker = tick.run(synthetic(size), 30 if quick else 100)
    sheet = page.figures(ticker, 5 if quick else 20)
    print(f"{size} partitions: the driver", file=sys.stderr)
    read = reading.figures(synthetic(size), 10 if quick else 50, library)
    print(f"{size} partitions: every mode", file=sys.stderr)
    modes = tick.run(every_mode(size), 30 if quick else 100)
    modes_read = reading.figures(every_mode(size), 10 if quick else 50, library)
    print(f"{size} partitions: both exporters", file=sys.stderr)
    own, peer = live.measure(size, plan, library)
    return Figures(
        times=ticker.times,
        page=sheet,
        reading=read,
        modes=modes.times,
        modes_reading=modes_read,
        live=own,
        peer=peer,
    )


def _text(about: str, measured: dict[int, Figures], *, quick: bool) -> str:
    note = "A quick run: not for quoting.\n\n" if quick else ""
    goals = "\n".join(f"- {goal}" for goal in report.goals(measured))
    return f"{note}{about}\n\n{report.table(measured)}\n{goals}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

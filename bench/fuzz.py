"""Feed every reader of what others write with odd input, for longer than the tests do: `python -m bench.fuzz`.

The readers, what they are fed with and what must hold are the tests' own (`tests/fuzz`). Exit status 1 when one fell over;
Hypothesis then prints the smallest input that does it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.readers import READERS, Reader


def main(argv: Sequence[str]) -> int:
    """Run and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=3_000, help="examples for each reader (default 3000)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds try equal examples (default 1)")
    parser.add_argument("--only", default="", help="readers whose name has this in it")
    flags = parser.parse_args(argv)
    failed = 0
    print("| reader | examples | seconds | |\n|---|---|---|---|")
    for reader in READERS:
        if flags.only in reader.name:
            started = time.monotonic()
            fed, error = feed(reader, flags.examples, flags.seed)
            failed += error is not None
            told = "ok" if error is None else f"FELL OVER: {type(error).__name__}"
            print(f"| {reader.name} | {fed:,} | {time.monotonic() - started:.0f} | {told} |", flush=True)
            if error is not None:
                print("\n".join([str(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
    return 1 if failed else 0


def feed(reader: Reader, examples: int, number: int) -> tuple[int, Exception | None]:
    """Feed one reader; return how many examples it was fed, and what it fell over."""
    fed = 0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=timedelta(seconds=5),
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.feed)
    def survives(read: Any) -> None:
        nonlocal fed
        fed += 1
        reader.read(read)

    try:
        survives()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        return fed, error
    return fed, None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

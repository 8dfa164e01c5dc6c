"""How fast a history is judged: slices a second, beside pandas doing the same windows in the same run.

    python -m bench.slo_evaluate [--quick]

A week of one-minute slices in which every partition had some bad ones, the worst case: partitions without a bad slice are not
looked at again. pandas counts the same eight windows and compares the same thresholds; it raises no alerts, knows no GPU and
no budget.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from slo.burnrate import thresholds
from slo.entity import Entity, Facts
from slo.evaluate import evaluate
from slo.sli import BAD, GOOD, IDLE, States
from slo.slices import Slices
from slo.spec import SLICE, Objective, PartitionSLO, Severity, Sli, Subject

MINUTES = 7 * 1440
START = 1_700_000_000 // SLICE * SLICE


def spec() -> PartitionSLO:
    """Return an SLO at 99 %, with all four burns."""
    objective = Objective(name="all", target=0.99, fast=Severity.PAGE, slow=Severity.TICKET)
    sli = Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.25)
    return PartitionSLO(name="compute", sli=sli, objectives=(objective,))


def history(partitions: int) -> Slices:
    """Make a fleet of 7 partitions a GPU and 8 GPUs a node, idle half of the time, bad in one minute of two hundred."""
    rng = np.random.default_rng(5)
    drawn = rng.random((partitions, MINUTES), dtype=np.float32)
    states = np.where(drawn < 0.005, BAD, np.where(drawn < 0.5, GOOD, IDLE)).astype(np.uint8)
    entities = tuple(
        Entity((), f"GPU-{n // 7}", f"MIG-{n}", f"team-{n % 20}", f"pod-{n}", "main") for n in range(partitions)
    )
    facts = tuple(Facts(node=f"node-{n // 56}", classes={"compute": "isolated"}) for n in range(partitions))
    return Slices(entities, facts, START, states)


def by_pandas(rules: PartitionSLO, states: States) -> int:
    """Return how often a burn condition holds, by rolling sums."""
    held = 0
    for row in states:
        bad = pd.Series(row == BAD, dtype="int64")
        for pair in thresholds(rules, rules.objectives[0]):
            long = bad.rolling(pair.burn.long // SLICE, min_periods=1).sum()
            short = bad.rolling(pair.burn.short // SLICE, min_periods=1).sum()
            held += int(((long > pair.long_above) & (short > pair.short_above)).sum())
    return held


def best(work: Callable[[], object], times: int) -> float:
    """Return the shortest of some runs, in seconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the partitions")
    partitions = 100 if parser.parse_args().quick else 1000
    rules, found = spec(), history(partitions)
    few = found.states[: partitions // 10]
    ours = found.states.size / best(lambda: evaluate(rules, found), 3)
    theirs = few.size / best(lambda: by_pandas(rules, few), 1)
    print("| a week of one-minute slices, every partition with bad ones | million slices/s | ratio |")
    print("|---|---|---|")
    print(
        f"| slicewatch: slices to alerts and budgets, {partitions:,} partitions | {ours / 1e6:.1f} | {ours / theirs:.0f} |"
    )
    print(f"| pandas: rolling sums and thresholds alone, {len(few):,} partitions | {theirs / 1e6:.2f} | 1 |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

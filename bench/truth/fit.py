"""Where the weights of the inference come from: `python -m bench.truth.fit`, on tuning worlds alone.

A logistic regression of "truly broken" on `exporter.demand_inference.terms`, over the windows that come to the inference.
Printed are the weights, those that the exporter has, and for some margins what the whole judgement reaches with weights
that were fitted on the other worlds. `--write` puts the weights into the exporter.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from bench.truth.rows import Row, gather
from exporter import demand_inference
from exporter.demand import Answer, DemandPolicy
from exporter.demand_verdict import decide

WORLDS = 5600
MARGINS = (0.06, 0.075, 0.09, 0.105)
STEADY = 0.09
FOLDS = 2

_RIDGE = 0.01
_STEPS = 50
_STILL = 1e-9

Numbers = NDArray[np.float64]


def logistic(given: Numbers, happened: Numbers) -> Numbers:
    """Return the weights of a logistic regression, by Newton's method with a touch of ridge."""
    weights = np.zeros(given.shape[1])
    for _ in range(_STEPS):
        likely = 1.0 / (1.0 + np.exp(-given @ weights))
        curve = likely * (1.0 - likely)
        bend = (given * curve[:, None]).T @ given + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(bend, given.T @ (happened - likely) - _RIDGE * weights)
        weights = weights + step
        if np.abs(step).max() < _STILL:
            break
    return weights


def fitted(rows: Sequence[Row]) -> tuple[float, ...]:
    """Return the weights that fit these windows, rounded to what is kept."""
    asked = [row for row in rows if row.terms is not None]
    weights = logistic(np.array([row.terms for row in asked]), np.array([float(row.broken) for row in asked]))
    return tuple(round(float(weight), 3) for weight in weights)


def swept(rows: Sequence[Row]) -> Iterator[str]:
    """Yield for each margin what the judgement reaches on worlds that its weights were not fitted on."""
    yield f"{'margin':>8}{'P far':>8}{'P all':>8}{'R far':>8}{'short':>8}{'others':>8}{'blind':>8}"
    folds = [[row for row in rows if row.world % FOLDS == fold] for fold in range(FOLDS)]
    weights = [fitted([row for row in rows if row.world % FOLDS != fold]) for fold in range(FOLDS)]
    for margin, chance in (*((each, demand_inference.CHANCE) for each in MARGINS), (STEADY, -math.inf)):
        policy = replace(DemandPolicy(), broken_margin=margin)
        said = []
        for fold, known in zip(folds, weights, strict=True):
            with patch.multiple(demand_inference, WEIGHTS=known, CHANCE=chance):
                said += [(row, _answer(row, policy)) for row in fold]
        told = "".join(f"{each:8.3f}" for each in _figures(said))
        yield f"{margin:8.3f}{told}{'' if chance > 0 else '  if steadiness alone could condemn'}"


def _answer(row: Row, policy: DemandPolicy) -> Answer:
    if row.window is None:
        return Answer.IDLE
    return decide(row.window, row.levels, row.promise, policy, 0.0).answer


def _figures(said: Sequence[tuple[Row, Answer]]) -> Iterator[float]:
    far = [(row, answer) for row, answer in said if row.far]
    for cases in (far, said):
        called = [row for row, answer in cases if answer is Answer.BROKEN]
        yield sum(row.broken for row in called) / max(1, len(called))
    for wanted in ((True, False), (True,), (False,)):
        broken = [answer for row, answer in far if row.broken and row.short in wanted]
        yield sum(answer is Answer.BROKEN for answer in broken) / max(1, len(broken))
    yield sum(answer is Answer.BLIND for _, answer in far) / max(1, len(far))


def written(weights: Sequence[float]) -> None:
    """Put the weights into the module of the exporter."""
    path = Path(demand_inference.__file__)
    text = path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r"^WEIGHTS = \([^)]*\)", f"WEIGHTS = {tuple(weights)}", text, flags=re.MULTILINE), encoding="utf-8"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit and print; the exit status is 0 whatever comes out."""
    parser = argparse.ArgumentParser(prog="python -m bench.truth.fit", description=__doc__)
    parser.add_argument("--worlds", type=int, default=WORLDS, help=f"how many tuning worlds (default: {WORLDS})")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="put the weights into exporter/demand_inference.py")
    chosen = parser.parse_args(arguments)
    rows = gather("tuning", chosen.worlds, chosen.workers)
    weights = fitted(rows)
    print(
        f"{chosen.worlds:,} tuning worlds, {len(rows):,} windows, {sum(r.terms is not None for r in rows):,} fitted on"
    )
    print(f"fitted:       {weights}\nthe exporter: {demand_inference.WEIGHTS}\n")
    print("\n".join(swept(rows)))
    if chosen.write:
        written(weights)
    return 0


if __name__ == "__main__":
    sys.exit(main())

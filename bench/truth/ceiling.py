"""How much there is to be known: `python -m bench.truth.ceiling`, the recall of a classifier that may use everything.

A boosted forest (scikit-learn, `pip install slicewatch[bench]`) on every figure of `bench.truth.features`, over several spans
of time, trained on tuning worlds. Its threshold is the lowest that keeps the goals of precision, 0.99 far from the
threshold and 0.95 over all, on tuning worlds that it was not trained on. A breach is *knowable* if this classifier, with
this threshold, calls it broken. What it misses, the judge is not expected to find; what it finds and the judge does not, is
the judge's to learn. It is a lower bound of what can be known: a better classifier may come.

The classifier knows nothing of the worlds of the report, and nothing of the judge goes into it or comes out of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.truth.rows import Row, gather
from bench.truth.score import part
from exporter.demand import Answer

TUNING, REPORT = 3100, 400
FOLDS = 3
FAR, ALL = 0.99, 0.95
SHOWN = 40

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


def table(rows: Sequence[Row], names: Sequence[str]) -> Numbers:
    """Return the figures of each row in the order of the names; NaN where a row has none."""
    return np.array([[row.figures.get(name, np.nan) for name in names] for row in rows])


def likely(known: Numbers, broken: Flags, asked: Numbers) -> Numbers:
    """Return the likelihood of a breach for each row asked, from a classifier trained on those known."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  # nothing else here needs them
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    forest = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.1, max_leaf_nodes=20, min_samples_leaf=40, l2_regularization=1.0, random_state=1
    )
    with threadpool_limits(1):  # its threads wait for each other in a spin, which a busy machine does not bear
        found: Numbers = forest.fit(known, broken).predict_proba(asked)[:, 1]
    return found


Classify = Callable[[Numbers, Flags, Numbers], Numbers]


def held_out(given: Numbers, broken: Flags, worlds: NDArray[np.int_], classify: Classify = likely) -> Numbers:
    """Return the likelihood of a breach for each row, from a classifier that was trained on other worlds."""
    found = np.zeros(len(broken))
    for fold in range(FOLDS):
        asked = worlds % FOLDS == fold
        found[asked] = classify(given[~asked], broken[~asked], given[asked])
    return found


def lowest(found: Numbers, broken: Flags, far: Flags) -> float:
    """Return the lowest threshold that keeps both goals of precision; infinity when none does."""
    order = np.argsort(-found, kind="stable")
    hits, asked = np.cumsum(broken[order]), np.arange(1, len(order) + 1)
    far_hits, far_asked = np.cumsum((broken & far)[order]), np.maximum(1, np.cumsum(far[order]))
    keeps = np.nonzero((hits / asked >= ALL) & (far_hits / far_asked >= FAR))[0]
    return float(found[order][keeps[-1]]) if len(keeps) else float("inf")


def told(name: str, rows: Sequence[Row], said: Flags) -> str:
    """One line of figures: precision far and over all; recall far: over all, on short bursts, on all others."""
    broken, far = flags(rows)
    short = np.array([row.short for row in rows])
    parts = [_part(broken, said & far), _part(broken, said)]
    parts += [_part(said, broken & far & among) for among in (broken, short, ~short)]
    return f"{name:44}{''.join(f'{part:9.3f}' for part in parts)}"


def flags(rows: Sequence[Row]) -> tuple[Flags, Flags]:
    """Which rows were truly broken, and which truths were far from the threshold."""
    return np.array([row.broken for row in rows]), np.array([row.far for row in rows])


def judged(rows: Sequence[Row]) -> Flags:
    """What the judge called broken."""
    return np.array([row.answer is Answer.BROKEN for row in rows])


def _part(passes: Flags, among: Flags) -> float:
    return float((passes & among).sum() / max(1, among.sum()))


def ranked(rows: Sequence[Row], names: Sequence[str], given: Numbers) -> Iterator[tuple[float, str]]:
    """Yield how well each figure alone tells breaches of short bursts from windows without one, best first.

    The part of the pairs in which it puts the breach on the same side: 0.5 is none at all. Of windows that come to the
    inference and are far from the threshold, and of the tenants in which the figure exists.
    """
    broken, far = flags(rows)
    asked = np.array([row.terms is not None for row in rows]) & far
    short = np.array([row.short for row in rows])
    found = []
    for column, name in enumerate(names):
        there = asked & ~np.isnan(given[:, column]) & (short | ~broken)
        values, guilty = given[there, column], broken[there]
        if guilty.any() and not guilty.all():
            # Ties count half: the mean of the ranks from both ends.
            _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
            ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
            above = (ranks[guilty].sum() - guilty.sum() * (guilty.sum() + 1) / 2) / (guilty.sum() * (~guilty).sum())
            found.append((float(max(above, 1 - above)), name))
    yield from sorted(found, reverse=True)


def study(tuning: Sequence[Row], report: Sequence[Row], classify: Classify = likely) -> Iterator[str]:
    """Yield the ceiling on tuning worlds and on the report's, and how much of the knowable the judge finds."""
    names = sorted({name for row in tuning for name in row.figures})
    broken, far = flags(tuning)
    given = table(tuning, names)
    found = held_out(given, broken, np.array([row.world for row in tuning]), classify)
    threshold = lowest(found, broken, far)
    yield f"{'':44}{'P far':>9}{'P all':>9}{'R far':>9}{'short':>9}{'others':>9}"
    yield told(f"tuning, {len(tuning):,} windows: the ceiling", tuning, found >= threshold)
    yield told("the judge", tuning, judged(tuning))
    best = list(ranked(tuning, names, given))[:SHOWN]
    yield "alone, on short bursts: " + ", ".join(f"{name} {part:.2f}" for part, name in best)
    if report:
        knowable = classify(given, broken, table(report, names)) >= threshold
        yield told(f"report, {len(report):,} windows: the ceiling", report, knowable)
        yield told("the judge", report, judged(report))
        broken, far = flags(report)
        yield _found(
            [
                Breach(row.world, row.answer is Answer.BROKEN)
                for row, asked in zip(report, broken & far & knowable, strict=True)
                if asked
            ]
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """A knowable one, and whether the judge found it."""

    world: int
    found: bool


def _found(breaches: Sequence[Breach]) -> str:
    got = part(breaches, lambda _: True, lambda breach: breach.found)
    if got.value is None or got.low is None or got.high is None:
        return "no breach of the report is knowable"
    found = f"{got.value:.3f} (95 % by world {got.low:.3f} to {got.high:.3f})"
    return f"of {len(breaches):,} breaches far from the threshold and knowable the judge finds {found}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Study and print; the exit status is 0 whatever comes out."""
    parser = argparse.ArgumentParser(prog="python -m bench.truth.ceiling", description=__doc__)
    parser.add_argument("--tuning", type=int, default=TUNING, help=f"how many tuning worlds (default: {TUNING})")
    parser.add_argument("--report", type=int, default=REPORT, help=f"how many of the report's (default: {REPORT})")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    tuning = gather("tuning", chosen.tuning, chosen.workers, everything=True)
    report = gather("report", chosen.report, chosen.workers, everything=True)
    print("\n".join(study(tuning, report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

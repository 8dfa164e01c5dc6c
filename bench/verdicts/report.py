"""The figures as text: one row a guarantee, and the ledger below."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import fields

from bench.verdicts.balance import Worst
from bench.verdicts.score import Pair, Score
from exporter.verdict import Guarantee

_HEAD = (
    "guarantee",
    "precision",
    "clear",
    "recall",
    "clear",
    "cause",
    "neighbour",
    "blind",
    "delay s, median / p95 / worst",
    "episodes missed",
)


def table(scores: Mapping[Guarantee, Score], worst: Worst) -> str:
    """Lay the figures out as Markdown."""
    lines = [_row(_HEAD), _row(("---",) * len(_HEAD))]
    lines += [_row(_figures(guarantee, score)) for guarantee, score in scores.items()]
    sums = ", ".join(f"{each.name} {getattr(worst, each.name):.1e}" for each in fields(worst))
    return "\n".join([*lines, "", f"Worst imbalance of the ledger, seconds: {sums}", ""])


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figures(guarantee: Guarantee, score: Score) -> tuple[str, ...]:
    return (
        str(guarantee),
        _ratio(score.precision),
        _ratio(score.clear_precision),
        _ratio(score.recall),
        _ratio(score.clear_recall),
        _ratio(score.cause),
        _ratio(score.neighbour),
        _ratio(score.blind),
        _delays(score.delays),
        f"{score.missed.part} of {score.missed.whole}",
    )


def _ratio(pair: Pair) -> str:
    return "–" if pair.ratio is None else f"{pair.ratio:.4f} of {pair.whole:,}"


def _delays(delays: list[float]) -> str:
    if not delays:
        return "–"
    ranked = sorted(delays)
    return f"{statistics.median(ranked):.0f} / {ranked[int(0.95 * (len(ranked) - 1))]:.0f} / {ranked[-1]:.0f}"

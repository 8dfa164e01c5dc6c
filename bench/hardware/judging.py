"""What the exporter said of each tenant over a stretch of time, from two of its snapshots: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.hardware.node import NAMESPACE


@dataclass(frozen=True, slots=True)
class Said:
    """One guarantee of one tenant. `seconds` by outcome; `outcome` is the one that had most of them.

    `cause` and `neighbour` are those to which most was lost, empty when nothing was. `delivered` and `entitled` are those
    of the last tick, None where they were missing.
    """

    outcome: str
    seconds: Mapping[str, float]
    cause: str = ""
    neighbour: str = ""
    delivered: float | None = None
    entitled: float | None = None
    evidence: str = ""
    reasons: Mapping[str, float] = field(default_factory=dict)


def said(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[tuple[str, str], Said]:
    """Return what was said between two snapshots, by tenant and guarantee."""
    earlier = {row["pod"]: row for row in before["partitions"] if row["namespace"] == NAMESPACE}
    found = {}
    for row in after["partitions"]:
        if row["namespace"] != NAMESPACE or "seconds" not in row:
            continue
        old = earlier.get(row["pod"], {}).get("seconds", {}).get("guarantees", {})
        for guarantee, account in row["seconds"]["guarantees"].items():
            verdict = row["guarantees"].get(guarantee, {})
            found[row["pod"], guarantee] = _said(old.get(guarantee, {}), account, verdict)
    return found


def doubts(page: str) -> dict[str, float]:
    """Return what the exporter did not believe or could not place, by check or kind, from its page; without the zeros."""
    told = re.findall(
        r'^slicewatch_(?:untrusted_readings_total\{check|orphans\{kind)="(\w+)"\} (\S+)$', page, re.MULTILINE
    )
    return {name: float(value) for name, value in told if float(value)}


def _said(old: Mapping[str, Any], new: Mapping[str, Any], verdict: Mapping[str, Any]) -> Said:
    seconds = _grown(old, new, "outcomes")
    neighbours = _grown(old, new, "lost_to_neighbour")
    return Said(
        outcome=_most(seconds),
        seconds={name: round(value, 3) for name, value in seconds.items()},
        cause=_most(_grown(old, new, "lost")),
        neighbour=_most(neighbours).rpartition("/")[2],
        delivered=_number(verdict.get("delivered")),
        entitled=_number(verdict.get("entitled")),
        evidence=str(verdict.get("evidence") or ""),
        reasons={name: round(value, 3) for name, value in _grown(old, new, "blind").items()},
    )


def _grown(old: Mapping[str, Any], new: Mapping[str, Any], part: str) -> dict[str, float]:
    before = old.get(part, {})
    grown = {name: value - before.get(name, 0.0) for name, value in new.get(part, {}).items()}
    return {name: value for name, value in grown.items() if value > 0.0}


def _most(amounts: Mapping[str, float]) -> str:
    return max(amounts, key=lambda name: amounts[name], default="")


def _number(value: object) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("likely")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

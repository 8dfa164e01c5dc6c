"""Counter histories with everything that goes wrong in them, and what `slo.sli` says of each minute."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from exporter.catalogue import OUTCOMES
from slo import sli
from slo.spec import PartitionSLO

LOOKBACK = 5
"""Minutes that a sample is found for when no newer one is there; histories here never come near it without an end."""


@dataclass
class History:
    """One partition's counters at each minute: numbers, None for no sample, or "stale" for the end of the series."""

    pod: str
    values: list[tuple[float, ...] | str | None] = field(default_factory=list)

    def series(self, outcome: int) -> str:
        """Write one outcome's values as promtool has them."""
        return " ".join(
            "_" if value is None else value if isinstance(value, str) else f"{value[outcome]:g}"
            for value in self.values
        )

    def seen(self, minute: int) -> tuple[float, ...] | None:
        """Return what an instant query finds at a minute."""
        if minute < 0:
            return None
        for value in reversed(self.values[max(minute - LOOKBACK + 1, 0) : minute + 1]):
            if value is not None:
                return None if isinstance(value, str) else value
        return None

    def state(self, spec: PartitionSLO, minute: int) -> int:
        """Return the state of the slice that ends at a minute."""
        nothing = (float("nan"),) * len(OUTCOMES)
        before, now = (np.array(self.seen(at) or nothing) for at in (minute - 1, minute))
        return int(sli.states(sli.seconds(before, now), spec.sli))


def random_history(pod: str, minutes: int, dice: random.Random) -> History:
    """Return a history of whole and half seconds: steps, births, resets, gaps, ends, and counters that go back alone."""
    found = History(pod)
    counters = [0.0] * len(OUTCOMES)
    if dice.random() < 0.5:
        counters = [float(dice.randint(0, 5000)) for _ in OUTCOMES]
    while len(found.values) < minutes:
        event = dice.random()
        if event < 0.05:  # the exporter starts again
            counters = [0.0] * len(OUTCOMES)
        elif event < 0.10:  # scrapes are missed
            gap = dice.randint(1, 3)
            found.values += [None] * gap
            counters[2] += 60 * gap
        elif event < 0.14:  # the target goes, and comes back older
            found.values += ["stale", *[None] * dice.randint(0, 2)]
            counters[2] += 60
        elif event < 0.18:  # one counter alone goes back
            counters[dice.randrange(len(OUTCOMES))] = float(dice.randint(0, 30))
        elif event < 0.22:  # nothing moves
            found.values.append(tuple(counters))
            continue
        for part in _parts(dice):
            counters[part[0]] += part[1]
        found.values.append(tuple(counters))
    found.values = found.values[:minutes]
    return found


def _parts(dice: random.Random) -> list[tuple[int, float]]:
    """Cut a minute, more or less, into seconds of outcomes."""
    whole = dice.choice([60, 60, 60, 60, 30, 90, 100, 100.5])
    lost = dice.choice([0, 0, 0.5, 1, 2, 3, 3.5, 6, 30, whole])
    broken = min(lost, whole)
    rest = dice.choice([0, 2, 3])  # kept, idle or blind
    return [(1, broken), (rest, whole - broken)]

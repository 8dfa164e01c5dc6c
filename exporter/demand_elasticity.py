"""Elasticity: whether a holder's share moves with the length of a round of turns, second by second.

A process that always has work gets one turn a round, so the largest share beside a holder is a turn over the length of the
round, whoever it belongs to. A closed loop spends a part u of its time waiting for rounds and thinks in the rest; when
rounds grow, its share falls by the power of u. Work that arrives by itself does not care for u = 0. So u is the *readiness*
that the queueing inversion takes from means, seen in another way: it needs neither the length of a turn nor that bursts
are longer than one. For one process, delivered over entitled is share / promise + 1 - u.

Pure. Sums are cumulated as those of `exporter.demand_window`; seconds in which the holder used nothing, or nobody beside it
used enough to tell a round by, are in none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import sub
from typing import NamedTuple

from exporter.demand import Holder

_LEAST_TURN = 0.02
"""A largest share below this is nobody's turn of every round."""

_BLUR = 4e-4
"""Variance that sampling in whole percents puts into the logarithm of a share of about a third."""

_COARSE = 0.004
"""Standard deviation of a sample of a perfectly steady share."""

_LEAST_SECONDS = 5.0


class Moves(NamedTuple):
    """Sums over seconds: of weights, of the holder's share x, of the logarithm l of the largest share beside it."""

    seconds: float = 0.0
    share: float = 0.0
    square: float = 0.0  # x²
    turn: float = 0.0  # l
    turns: float = 0.0  # l²
    both: float = 0.0  # x l

    def grown(self, seconds: float, share: float, beside: float) -> Moves:
        """Add a tick's use; `beside` is the largest share of a process of another holder."""
        if share <= 0.0 or beside <= _LEAST_TURN:
            return self
        turn = math.log(beside)
        weights, shares, squares, turns, turn_squares, both = self
        used, long = share * seconds, turn * seconds
        return Moves(
            weights + seconds,
            shares + used,
            squares + share * used,
            turns + long,
            turn_squares + turn * long,
            both + share * long,
        )


class Elasticity(NamedTuple):
    """The power by which the share moves with the length of a round, with its standard error."""

    power: float
    error: float


UNSEEN = Elasticity(0.0, 9.0)
"""Nobody beside it, or too short a time: no word for either side."""


def elasticity(first: Moves, last: Moves) -> Elasticity:
    """Return the elasticity between two sums."""
    seconds, share, square, turn, turns, both = map(sub, last, first)
    if seconds < _LEAST_SECONDS or share <= 0.0:
        return UNSEEN
    share, turn = share / seconds, turn / seconds
    spread = max(0.0, turns / seconds - turn * turn) + _BLUR
    power = (both / seconds - share * turn) / share / spread
    own = max(0.0, square / seconds / (share * share) - 1.0)
    coarse = _COARSE / share
    rest = max(0.0, own - power * power * spread) + coarse * coarse
    return Elasticity(power, math.sqrt(rest / (seconds * spread)))


def largest(shares: Iterable[tuple[Holder, float]]) -> tuple[Holder | None, tuple[float, float]]:
    """Return whose process has the largest share; then the largest of all others' shares, and the largest of all."""
    first: Holder | None = None
    most = second = 0.0
    for holder, share in shares:
        if share > most:
            if holder != first:
                first, second = holder, most
            most = share
        elif share > second and holder != first:
            second = share
    return first, (second, most)

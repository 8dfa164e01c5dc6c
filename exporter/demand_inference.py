"""From the shares of all processes to what a holder was entitled to: the queueing inversion, corrected where it errs.

The inversion takes every holder for a closed loop with bursts longer than a turn. Two things tell where that is wrong. The
*swing* of the share from second to second: work that arrives by itself swings with its arrivals and is content; a holder
whose turns are what holds it up is steadied by them. And the *elasticity* (`exporter.demand_elasticity`): what waits for
turns gives way when rounds grow longer, what arrives does not. The log-odds of a breach are linear in these; the weights
are a logistic regression of "truly broken" on the tuning set of the truth bench, `python -m bench.truth.fit`. 0.9 is even
odds, and 0.05 off it they are e to one.

What shares cannot tell: bursts much shorter than a turn beside others that never pause. A closed loop of them waits a whole
turn for each and starves; work that arrives in them is content; both are small, steady shares, and no round changes its
length. There the answer is blind, unless appetite or the workload's own word says more.
"""

from __future__ import annotations

import math
from operator import mul

from exporter.demand import Bounds, DemandPolicy
from exporter.demand_appetite import HARDLY
from exporter.demand_elasticity import Elasticity, elasticity
from exporter.demand_window import Means
from exporter.queueing import dedicated

WEIGHTS = (-6.457, -22.876, -6.708, 14.026, -12.094, 15.554, -1.798, 0.26, -3.045, -2.373, -1.119)
"""One a term of `terms`, in its order. Printed by `python -m bench.truth.fit`, never edited by hand."""

_ROOM = 1.25
"""Beyond this a ratio says no more than "content"."""

_EVEN = 0.9
"""The ratio of delivered to entitled that the odds are of: below it is what the fit calls a breach, whatever the policy does."""

_SHORT = 0.1
"""What is missing at even odds."""

_STEP = 0.05
"""What one step of the log-odds of a breach is in the ratio of delivered to entitled."""

_NOISE = 0.006
"""Standard deviation of a sample of a perfectly steady share: whole percents, and a little more."""

_LEAST = 0.2
"""No ratio below this can be told from shares in whole percents."""

_HELD_UP = 0.8
"""Others whose mean queue is less than this part of 1/p - 1 hold a tenant up less than a device of speed p does."""

_LENIENT = 0.05
"""By how much the inversion flatters on the tuning set: readiness cannot be seen above 1, but it can below."""

_SOFT = 0.05
"""For each such part of the entitlement that the inversion sees kept beyond that, one standard error of elasticity more."""

CHANCE = 2.0
"""Standard errors beyond which a share that seems to give way does not by chance."""

_SUREST = 4.0
"""Standard errors beyond which the elasticity is not surer."""

_LEAST_ERROR = 0.05
"""Nothing in whole percents tells an elasticity better than this."""


def terms(window: Means, seen: Elasticity, remembered: Bounds | None, promise: float) -> tuple[float, ...]:
    """Return what the log-odds of a breach are linear in; `remembered` bounds the entitlement from an earlier appetite.

    Two inversions: of the seconds in which the holder used something (pauses of seconds are no wish of the tenant), and of
    all seconds, or its appetite where that is known. How much its processes seem to pause, which is where the inversions err;
    the swing; and the elasticity: as a ratio, and as the standard errors by which it lies beyond a breach.
    """
    active, count = max(window.active, 1e-3), window.processes
    share, ready = window.share / active, window.readiness / active
    busy = whole = _closed_loop(count, share, ready, promise)
    if remembered is not None:
        whole = window.share / remembered.low
    elif active < 1.0:
        whole = _closed_loop(count, window.share, window.readiness, promise)
    busy = min(_ROOM, busy) - _EVEN
    pausing = 1.0 - ready / count if ready < count else 0.0
    power, error = seen
    waiting = 0.0 if power <= 0.0 else count * min(1.0, power)
    sure = (power - _SHORT - window.share / promise) / max(_LEAST_ERROR, error)
    return (
        1.0,
        busy,
        min(1.0, whole) - _EVEN,
        pausing,
        pausing * pausing,
        busy * pausing,
        math.log(math.hypot(window.swing, _NOISE) / share),
        max(-_SUREST, min(_SUREST, sure)),
        min(_ROOM, _closed_loop(count, share, waiting, promise)) - _EVEN,
        math.log(promise),
        math.log(count),
    )


def ratio(window: Means, remembered: Bounds | None, promise: float, threshold: float) -> float:
    """Return delivered over entitled, as likely as not.

    Evidence may acquit or confirm, but not condemn, where the others hold the holder up less than a dedicated device would,
    and where neither the inversion nor the elasticity sees that turns are what holds it up.
    """
    seen = elasticity(*window.moves)
    found = terms(window, seen, remembered, promise)
    odds: float = sum(map(mul, WEIGHTS, found))
    corrected = _EVEN - _STEP * odds
    if window.pressure < HARDLY * (1 / promise - 1):
        return max(1.0, corrected)
    if window.pressure < _HELD_UP * (1 / promise - 1) or not _borne_out(seen, found[1] + _EVEN - threshold):
        return max(threshold, corrected)
    return corrected


def _borne_out(seen: Elasticity, above: float) -> bool:
    """Whether the share moves with the length of a round, the more surely the less the inversion itself sees a breach.

    `above` is by how much the inversion's ratio lies above the threshold.

    Steadiness alone does not tell tiny bursts that wait from tiny requests that come at equal times and are all served.
    """
    if above < _LENIENT:
        return True
    return seen.power >= min(CHANCE, (above - _LENIENT) / _SOFT) * max(_LEAST_ERROR, seen.error)


def inferred(window: Means, remembered: Bounds | None, promise: float, policy: DemandPolicy) -> Bounds:
    """Return the entitled share with its error bar, at most the promise."""
    likely = ratio(window, remembered, promise, 1 - policy.tolerance)
    low = window.share / max(_LEAST, likely + policy.broken_margin)
    mid = window.share / max(_LEAST, likely)
    high = window.share / max(_LEAST, likely - policy.kept_margin)
    return Bounds(min(promise, low), min(promise, mid), min(promise, high))


def _closed_loop(processes: int, share: float, readiness: float, promise: float) -> float:
    """Delivered over entitled if each process waits for its burst before it thinks on."""
    pause = max(0.0, processes - readiness) / share
    return share / dedicated(processes, pause, promise)

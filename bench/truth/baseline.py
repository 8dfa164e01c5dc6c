"""The study's plain inversion, the figure to beat: mean shares of the window, one formula, no error bar, never blind.

A processor-sharing closed network inverted by Schweitzer's approximation of mean value analysis.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.truth.story import TOLERANCE, Tick
from bench.truth.worlds import Tenant, World


def says_broken(world: World, ticks: Sequence[Tick]) -> dict[str, bool | None]:
    """Say of each tenant whether its promise is broken, from the ticks of one window; None where it does not run."""
    heard = [tick.shares for tick in ticks if tick.shares is not None]
    if not heard:
        return {tenant.name: None for tenant in world.tenants if tenant.promise > 0}
    means = [sum(share or 0.0 for share in column) / len(heard) for column in zip(*heard, strict=True)]
    ratios = _think_ratios(means)
    return {tenant.name: _says(tenant, means, ratios) for tenant in world.tenants if tenant.promise > 0}


def _says(tenant: Tenant, means: Sequence[float], ratios: Sequence[float]) -> bool | None:
    share = sum(means[i] for i in tenant.members)
    if share <= 0.0:
        return None
    own = sorted(ratios[i] for i in tenant.members)
    return share < (1 - TOLERANCE) * _entitled(len(own), own[len(own) // 2], tenant.promise)


def _think_ratios(means: Sequence[float]) -> list[float]:
    s = min(sum(x / (1 + x) for x in means), 0.999999)
    queue = s / (1 - s)
    return [max(0.0, 1 / max(x, 1e-9) - 1 - (queue - x * (1 + queue) / (1 + x))) for x in means]


def _entitled(processes: int, ratio: float, speed: float) -> float:
    queue = throughput = 0.0
    for n in range(1, processes + 1):
        residence = (1 / speed) * (1 + queue)
        throughput = n / (ratio + residence)
        queue = throughput * residence
    return throughput

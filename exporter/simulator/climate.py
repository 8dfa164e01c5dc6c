"""Clock, power, temperature and energy of one board: what all its partitions share.

Power follows activity between idle and the limit, with the cube of the clock; when it would exceed the limit the clock
falls until it does not. Temperature follows power with inertia, and a hot board slows down. Every fall of the clock has
its event reason. The model is coarse on purpose: signs, bounds and reasons are right, watts are plausible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.model import Throttle
from exporter.simulator.gpus import Board
from exporter.simulator.spec import Throttling

INLET_CELSIUS = 25.0
THERMAL_SECONDS = 15.0
"""Time constant with which a heat sink follows the power."""

_HEAT_GAIN = 0.08
"""Clock ratio given up for each degree above the slowdown temperature."""

_THERMAL = frozenset({Throttle.SW_THERMAL, Throttle.HW_THERMAL})


@dataclass(slots=True)
class Climate:
    """The state of a board. `ratio` is the SM clock that busy work runs at, over the board's maximum."""

    board: Board
    limit: float = 0.0
    inlet: float = INLET_CELSIUS
    ratio: float = 1.0
    power: float = 0.0
    temperature: float = 0.0
    energy: float = 0.0
    active: bool = False
    throttle: frozenset[Throttle] = frozenset()

    def __post_init__(self) -> None:
        self.limit = self.board.power_limit
        self.power = self.board.power_idle
        self.temperature = self.inlet + self.board.celsius_per_watt * self.power

    @property
    def clock(self) -> float:
        """The SM clock as the driver reports it, hertz."""
        fastest = self.ratio * self.board.clock_max
        return fastest if self.active else min(fastest, self.board.clock_idle)

    def pass_time(self, seconds: float, forced: tuple[Throttling, ...]) -> None:
        """Let power do its work: energy and temperature. Power is constant in between two calls of `settle`."""
        self.energy += self.power * seconds
        target = self.inlet + self.board.celsius_per_watt * self.power
        if any(each.reason in _THERMAL for each in forced):
            target = max(target, self.board.slowdown_celsius)
        self.temperature += (target - self.temperature) * -math.expm1(-seconds / THERMAL_SECONDS)

    def settle(self, load: float, forced: tuple[Throttling, ...]) -> None:
        """Choose clock and power for the load. `load`: watts above idle that the work would draw at full clock."""
        board = self.board
        room = self.limit - board.power_idle
        ratios = {each.reason: each.clock_ratio for each in forced}
        if load > room:
            ratios[Throttle.SW_POWER_CAP] = min(
                ratios.get(Throttle.SW_POWER_CAP, 1.0), (max(room, 0.0) / load) ** (1 / 3)
            )
        excess = self.temperature - board.slowdown_celsius
        if excess > 0.0:
            ratios.setdefault(Throttle.SW_THERMAL, 1.0 - _HEAT_GAIN * excess)
        lowest = min(ratios.values(), default=1.0)
        self.ratio = max(lowest, board.clock_idle / board.clock_max)
        self.power = min(board.power_idle + load * self.ratio**3, max(self.limit, board.power_idle))
        self.active = load > 0.0
        named = {each.reason for each in forced} - {Throttle.SW_POWER_CAP}
        self.throttle = frozenset({reason for reason, ratio in ratios.items() if ratio <= lowest} | named)

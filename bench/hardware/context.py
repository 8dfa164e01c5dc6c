"""What one run carries from step to step: the board, where things go, how long they may take, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHORTEST_WINDOW = 6.0
"""Seconds: of a window under `exporter.demand.DemandPolicy.least_seconds`, 5 s, nothing is ever said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Seconds. `window` is the judge's sliding window, which the judged half of a scenario should hold once at least."""

    scenario: float = 24.0
    window: float = 10.0
    calls: float = 6.0
    calibrate: float = 2.0
    duty: float = 5.0
    overhead: float = 4.0
    rounds: int = 2
    turns: float = 3.0

    @classmethod
    def quick(cls) -> Lengths:
        """About two minutes and a half in all."""
        return cls(
            scenario=12.0, window=SHORTEST_WINDOW, calls=3.0, calibrate=1.0, duty=3.0, overhead=3.0, rounds=1, turns=1.0
        )

    @classmethod
    def shortest(cls) -> Lengths:
        """For tests on fakes: too short for any figure."""
        return cls(
            scenario=9.5, window=SHORTEST_WINDOW, calls=0.5, calibrate=0.3, duty=0.6, overhead=0.6, rounds=1, turns=0.4
        )

    @property
    def lead(self) -> float:
        """Seconds of a scenario before the part that is judged: the window is full by then."""
        return max(self.scenario * 2 / 3, self.window)


@dataclass(kw_only=True)
class Run:
    """One run of the kit."""

    id: str
    output: Path
    scratch: Path
    lengths: Lengths
    gpu: str = ""
    only_read: str = ""
    """Why tenants cannot contend for the GPU; empty where they can."""
    rounds_per_second: float = 0.0
    sms: int = 0
    """SMs that the rate alone is of."""
    variables: Mapping[str, str] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    appears: float = 3.0
    """Seconds within which the driver lists a process that has a context."""

    @property
    def lifetime(self) -> str:
        """Seconds after which a child's own alarm ends it, as a word of its command line."""
        return str(int(2 * self.lengths.scenario) + 240)

    def rounds(self, kernel: float) -> int:
        """Return how many rounds of work a kernel of so many seconds does."""
        return max(1, round(self.rounds_per_second * kernel))

    def folder(self, name: str) -> Path:
        """Make and return a folder for a step's files; its path is short enough for a socket."""
        made = self.scratch / name
        made.mkdir(parents=True, exist_ok=True)
        return made

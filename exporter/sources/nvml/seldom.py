"""Answers that hardly change: asked once for many readings, so that a reading is the calls whose answers are news."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from exporter.model import Missing
from exporter.sources.nvml.calls import Spot

T = TypeVar("T")


class Seldom:
    """Keeps what was told of a device until `forget`. What was refused is asked again every time."""

    def __init__(self) -> None:
        self._told: dict[tuple[Spot, Hashable], object] = {}

    def forget(self) -> None:
        """Ask everything again."""
        self._told.clear()

    def ask(self, spot: Spot, what: Hashable, ask: Callable[[], T]) -> T:
        """Return what was told of `what`, else what `ask` returns. A question always has the same type of answer."""
        told = self._told.get((spot, what))
        if told is None:
            told = ask()
            if not isinstance(told, Missing):
                self._told[spot, what] = told
        return told  # type: ignore[return-value]  # by the question

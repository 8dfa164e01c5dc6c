"""A GPU together with the handles that it is asked by."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.model import Gpu
from exporter.sources.nvml.calls import Spot
from exporter.sources.nvml.instances import Member


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU with its handles."""

    gpu: Gpu
    spot: Spot
    members: tuple[Member, ...] = ()

    @property
    def mig(self) -> bool:
        """Whether the GPU is cut into instances (or could be at once): then it is no device to run on itself."""
        return self.gpu.mig_current is True

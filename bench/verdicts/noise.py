"""A driver whose readings are as good as a real one's: whole percents, late samples, a process that is not listed.

It stands between the simulated driver and the collector, and changes readings only, never the physics.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.verdicts.parameters import Noise
from exporter.model import DeviceUse, DeviceUuid, DriverReading, Missing, Process, Reading, Reason
from exporter.sources.base import Driver

_ACTIVITY = ("engine_active", "sm_active", "tensor_active", "memory_bandwidth", "utilisation")
_VALUES = ("engine_active", "memory_used_bytes", "memory_free_bytes")


class NoisyDriver:
    """A driver with the same readings, a little worse. `unread` are the devices that the last reading lacked a value of."""

    def __init__(self, driver: Driver, noise: Noise, seed: int) -> None:
        self._driver = driver
        self._noise = noise
        self._draw = random.Random(seed)  # noqa: S311  # a reproducible stream, no secret
        self._before: Mapping[DeviceUuid, DeviceUse] = {}
        self.unread: frozenset[DeviceUuid] = frozenset()

    def read(self, now: float) -> DriverReading:
        """Read everything once. Raises what the driver raises."""
        reading = self._driver.read(now)
        devices = {uuid: self._worse(uuid, use) for uuid, use in reading.devices.items()}
        self.unread = frozenset(uuid for uuid, (_, unread) in devices.items() if unread)
        self._before = reading.devices
        return replace(reading, devices={uuid: use for uuid, (use, _) in devices.items()})

    def close(self) -> None:
        """Close the driver."""
        self._driver.close()

    def _worse(self, uuid: DeviceUuid, use: DeviceUse) -> tuple[DeviceUse, bool]:
        draw, noise, before = self._draw, self._noise, self._before.get(uuid)
        if before is not None and draw.random() < noise.late:
            use = _with(use, {name: getattr(before, name) for name in _ACTIVITY})
        if noise.percent:
            use = _with(use, {name: _percent(getattr(use, name)) for name in _ACTIVITY})
        if unread := draw.random() < noise.unread:
            use = _with(use, {draw.choice(_VALUES): Missing(Reason.TIMEOUT)})
        if not isinstance(use.processes, Missing) and use.processes and draw.random() < noise.hidden:
            use = replace(use, processes=_without_one(draw, use.processes))
        return use, unread


def _with(use: DeviceUse, readings: Mapping[str, Any]) -> DeviceUse:
    return replace(use, **readings)


def _percent(reading: Reading) -> Reading:
    return reading if isinstance(reading, Missing) else round(reading, 2)


def _without_one(draw: random.Random, processes: tuple[Process, ...]) -> tuple[Process, ...]:
    hidden = draw.randrange(len(processes))
    return processes[:hidden] + processes[hidden + 1 :]

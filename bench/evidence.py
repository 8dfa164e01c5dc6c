"""Readings taken beforehand: what the tick is fed when the driver's own time must not count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from exporter.model import DriverReading, Missing
from exporter.partitions import Evidence
from exporter.simulator.sources import build
from exporter.simulator.synthetic import synthetic

SERIAL_TICKS = 5
"""The kubelet is asked every fifth tick, as `exporter.collect` does at one tick a second."""


def pids(reading: DriverReading) -> set[int]:
    """Every process that the driver lists."""
    return {
        process.pid
        for use in reading.devices.values()
        if not isinstance(use.processes, Missing)
        for process in use.processes
    }


def evidence(partitions: int, ticks: int) -> Iterator[Evidence]:
    """Yield one tick's evidence a second of a simulated node whose readings change, `ticks` times."""
    node = build(synthetic(partitions))
    allocations = node.kubelet.read(0.0)
    for tick in range(ticks):
        now = float(tick)
        reading = node.driver.read(now)
        if tick % SERIAL_TICKS == 0:
            allocations = node.kubelet.read(now)
        yield Evidence(
            node="gpu-synthetic-0",
            at=now,
            driver=replace(reading, at=now),
            allocations=allocations,
            pods=node.pods.read(now),
            processes=node.processes.read(pids(reading)),
            allocations_stale=False,
        )

"""Evidence taken beforehand: what the tick is fed when the sources' own time must not count."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from exporter.model import DriverReading, Missing
from exporter.partitions import Evidence
from exporter.simulator.sources import build
from exporter.simulator.spec import Scenario
from exporter.witness import Clock, Live, Sources

_PATIENCE = 60.0
"""Seconds to wait for a simulated source, which answers as soon as its thread is let run."""


def pids(reading: DriverReading) -> set[int]:
    """Every process that the driver lists."""
    return {
        process.pid
        for use in reading.devices.values()
        if not isinstance(use.processes, Missing)
        for process in use.processes
    }


def evidence(scenario: Scenario, ticks: int) -> Iterator[Evidence]:
    """Yield one tick's evidence a second of a simulated node, `ticks` times, as the collecting thread would hear it.

    Its sources are the exporter's own witness: answers that are kept between the questions are kept here too.
    """
    node = build(scenario)
    second = [0.0]
    sources = Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        dcgm=node.dcgm,
        enforcers=node.enforcers,
    )
    clock = Clock(monotonic=lambda: second[0])
    holders = {(pod.namespace, pod.name) for pod in scenario.pods}
    with contextlib.closing(Live(scenario.node, sources, clock=clock, patience=_PATIENCE, deadline=_PATIENCE)) as live:
        for tick in range(ticks):
            second[0] = float(tick)
            yield live.hear(second[0], holders).evidence

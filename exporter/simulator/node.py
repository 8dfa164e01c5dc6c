"""The node that does not exist: time passes, things happen as the scenario says, and the truth is written down.

`advance_to` is the only way in which anything changes. It goes from one instant of interest to the next (a change of the
scenario, or the end of a half-second cell, in which boards settle on a clock), so that the same sequence of calls with
the same seed gives the same node, and finer calls give the same node up to rounding.
"""

from __future__ import annotations

from collections import deque

from exporter.simulator.agenda import Agenda
from exporter.simulator.happenings import Happenings
from exporter.simulator.hardware import Device, SimGpu
from exporter.simulator.population import Population
from exporter.simulator.spec import Scenario
from exporter.simulator.tenancy import SimProcess
from exporter.simulator.truth import TruthTick
from exporter.simulator.witness import Witness

CELL = 0.5
"""Seconds for which a board keeps clock and power."""

HISTORY = 3600
"""Ticks of truth that are kept."""


class SimNode:
    """A simulated node at `now` seconds since its start. Not thread-safe: `sources` puts one lock around it."""

    def __init__(self, scenario: Scenario, seed: int = 0, history: int = HISTORY) -> None:
        self.scenario = scenario
        self.seed = seed
        self.gpus = tuple(SimGpu(seed, index, spec) for index, spec in enumerate(scenario.gpus))
        self._agenda = Agenda()
        self.population = Population(seed, self.gpus, self._agenda, scenario.mig_strategy)
        self.happenings = Happenings(scenario, self.gpus, self.population, self._agenda)
        self._work = dict.fromkeys(self.gpus, 0.0)  # watt seconds above idle at full clock, of the present cell
        self._cell = 0
        self._witness = Witness()
        self._history: deque[TruthTick] = deque(maxlen=history)
        self.population.schedule(scenario)
        self._agenda.happen()

    @property
    def now(self) -> float:
        """Seconds since the start of the node."""
        return self._agenda.now

    def advance_to(self, t: float) -> None:
        """Let time pass until `t` seconds since the start. Raises ValueError when that is in the past."""
        start = self.now
        if t < start:
            message = f"time goes forward only: {t:g} s is before {start:g} s"
            raise ValueError(message)
        if t == start:
            return
        while self.now < t:
            cell_end = (self._cell + 1) * CELL
            stop = min(t, cell_end, max(self._agenda.next_at, self.now))
            if stop > self.now:
                self._step(stop)
            self._agenda.happen()  # first, so that what happens at the end of a cell rules the next one
            if self.now >= cell_end:
                self._settle()
        self._history.append(self._witness.close(start, t, self.population.tenancies))

    def truth(self) -> tuple[TruthTick, ...]:
        """Return what really happened, a tick for every advance, oldest first; the oldest are forgotten in time."""
        return tuple(self._history)

    def _step(self, stop: float) -> None:
        seconds = stop - self.now
        residents: dict[Device, list[SimProcess]] = {}
        for process in self.population.processes.values():
            if process.device is not None:
                residents.setdefault(process.device, []).append(process)
        switching: dict[Device, float] = {}
        for gpu in self.gpus:
            gpu.climate.pass_time(seconds, self.happenings.throttling(gpu))
            if not gpu.lost:
                for device in gpu.devices:
                    lost = device.engine.switching
                    device.engine.run(stop, gpu.climate.ratio)
                    switching[device] = device.engine.switching - lost
                    self._account(gpu, device, residents.get(device, []))
        self._observe(stop, seconds, residents, switching)
        self._agenda.now = stop

    def _account(self, gpu: SimGpu, device: Device, processes: list[SimProcess]) -> None:
        board, totals = gpu.spec.board, device.totals
        watts = 0.0
        for process in processes:
            spent = process.client.used - process.seen
            process.spent = spent
            process.seen = process.client.used
            if spent > 0.0:
                spec = process.spec
                totals.sm += spent * spec.sm
                totals.tensor += spent * spec.tensor
                totals.bandwidth += spent * spec.bandwidth
                watts += spent * max(0.0, spec.intensity * board.power_limit - board.power_idle)
        self._work[gpu] += watts * device.fraction

    def _observe(
        self, stop: float, seconds: float, residents: dict[Device, list[SimProcess]], switching: dict[Device, float]
    ) -> None:
        intruders = {
            device: [each for each in processes if each.tenancy is None and not each.server]
            for device, processes in residents.items()
        }
        for tenancy in self.population.tenancies:
            device = tenancy.device
            if tenancy.gone or tenancy.gpu.lost:
                for process in tenancy.processes:
                    process.spent = 0.0
            twin = None if tenancy.dedicated is None else tenancy.dedicated.run(stop, tenancy.gpu.climate.ratio)
            self._witness.observe(tenancy, seconds, twin, intruders.get(device, []))
            if not tenancy.exclusive:
                self._witness.note_switching(tenancy, switching.get(device, 0.0))

    def _settle(self) -> None:
        self._cell += 1
        for gpu in self.gpus:
            gpu.climate.settle(self._work[gpu] / CELL, self.happenings.throttling(gpu))
            self._work[gpu] = 0.0

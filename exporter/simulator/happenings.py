"""What happens to the node: each event of the scenario, carried out when its time comes and undone when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from exporter.model import Xid
from exporter.simulator.agenda import Agenda
from exporter.simulator.climate import INLET_CELSIUS
from exporter.simulator.hardware import SimGpu
from exporter.simulator.population import Population
from exporter.simulator.spec import (
    Access,
    Cooling,
    EccError,
    Event,
    Fault,
    Faulty,
    GpuLost,
    MigReshape,
    PowerCap,
    Scenario,
    Throttling,
    XidError,
)


class Happenings:
    """Carries events out. `xids` are all that were reported, `generation` counts changes of the inventory."""

    def __init__(self, scenario: Scenario, gpus: Sequence[SimGpu], population: Population, agenda: Agenda) -> None:
        self.generation = 0
        self.xids: list[Xid] = []
        self._gpus = {each.spec.name: each for each in gpus}
        self._population = population
        self._active: list[Event] = []
        for event in scenario.events:
            agenda.enter(event.at, partial(self._begin, event))
            if isinstance(event, Throttling | PowerCap | Cooling | GpuLost | Fault):
                agenda.enter(event.until, partial(self._end, event))

    def throttling(self, gpu: SimGpu) -> tuple[Throttling, ...]:
        """Return what holds a GPU's clock down from outside its own physics."""
        return tuple(each for each in self._active if isinstance(each, Throttling) and each.gpu == gpu.spec.name)

    def fault(self, kind: Faulty) -> Fault | None:
        """Return the fault of this kind that is on now."""
        return next((each for each in self._active if isinstance(each, Fault) and each.kind is kind), None)

    def denied(self, access: Access) -> bool:
        """Whether the permission for this is lost now."""
        return any(
            isinstance(each, Fault) and each.kind is Faulty.PERMISSION_LOST and each.access is access
            for each in self._active
        )

    def _begin(self, event: Event) -> None:
        match event:
            case Throttling() | PowerCap() | Cooling() | Fault():
                self._active.append(event)
                self._set_conditions()
            case XidError():
                self._report(event)
            case EccError():
                self._gpus[event.gpu].corrected += event.corrected
                self._gpus[event.gpu].uncorrected += event.uncorrected
            case GpuLost():
                self._population.lose(self._gpus[event.gpu])
                self.generation += 1
            case MigReshape():
                self._reshape(event)

    def _end(self, event: Event) -> None:
        if isinstance(event, GpuLost):
            self._population.regain(self._gpus[event.gpu])
            self.generation += 1
        else:
            self._active.remove(event)
            self._set_conditions()

    def _set_conditions(self) -> None:
        for name, gpu in self._gpus.items():
            caps = [each.watts for each in self._active if isinstance(each, PowerCap) and each.gpu == name]
            inlets = [each.inlet_celsius for each in self._active if isinstance(each, Cooling) and each.gpu == name]
            gpu.climate.limit = min([gpu.spec.board.power_limit, *caps])
            gpu.climate.inlet = max([INLET_CELSIUS, *inlets])

    def _report(self, event: XidError) -> None:
        gpu = self._gpus[event.gpu]
        device = None if event.instance is None else gpu.find(event.instance)
        if device is None:
            self.xids.append(Xid(gpu.uuid, event.xid))
        else:
            self.xids.append(Xid(gpu.uuid, event.xid, device.gpu_instance, 0))

    def _reshape(self, event: MigReshape) -> None:
        gpu = self._gpus[event.gpu]
        for label in event.destroy:
            self._population.evict(gpu, label)
        now = self._population.agenda.now
        for profile in event.create:
            gpu.create(profile, now)
        self.generation += 1

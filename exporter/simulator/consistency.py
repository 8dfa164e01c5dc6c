"""Whether a scenario can be played: the GPUs it names exist, MIG layouts fit their boards at all times, slots exist.

What the physics relies on is refused here, once, with the key path in the message.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.simulator.gpus import Board
from exporter.simulator.spec import (
    RESERVATIONS,
    ContainerSpec,
    DeviceRef,
    Event,
    Fault,
    GpuSharing,
    GpuSpec,
    MigReshape,
    PodSpec,
    PowerCap,
    Scenario,
)
from exporter.simulator.tables import Faults


class Layouts:
    """Which MIG instances of which GPU exist when."""

    def __init__(self, scenario: Scenario, faults: Faults) -> None:
        self._faults = faults
        self._gpus = {each.name: each for each in scenario.gpus}
        self._steps: dict[str, list[tuple[float, dict[int, str]]]] = {}
        self._created: dict[str, int] = {}
        for number, spec in enumerate(scenario.gpus):
            self._begin(spec, f"gpu[{number}].mig")
        ordered = sorted(enumerate(scenario.events), key=lambda each: each[1].at)
        for number, event in ordered:
            if isinstance(event, MigReshape) and event.gpu in self._gpus:
                self._reshape(event, f"event[{number}]")

    def at(self, gpu: str, time: float) -> dict[int, str]:
        """Return the instances (number → profile) of a GPU at a time, after what happens at that time."""
        layout: dict[int, str] = {}
        for since, step in self._steps.get(gpu, []):
            if since <= time:
                layout = step
        return layout

    def _begin(self, spec: GpuSpec, path: str) -> None:
        layout = dict(enumerate(spec.mig or ()))
        self._created[spec.name] = len(layout)
        self._steps[spec.name] = [(0.0, layout)]
        self._check_fit(spec.board, layout.values(), path)

    def _reshape(self, event: MigReshape, path: str) -> None:
        spec = self._gpus[event.gpu]
        if spec.mig is None:
            self._faults.add(path, f"{event.gpu} is not in MIG mode")
            return
        layout = dict(self.at(event.gpu, event.at))
        for label in event.destroy:
            if layout.pop(label, None) is None:
                self._faults.add(f"{path}.destroy", f"{event.gpu}/{label} does not exist at {event.at:g} s")
        for profile in event.create:
            layout[self._created[event.gpu]] = profile
            self._created[event.gpu] += 1
        self._check_fit(spec.board, layout.values(), path)
        self._steps[event.gpu].append((event.at, layout))

    def _check_fit(self, board: Board, profiles: Iterable[str], path: str) -> None:
        rows = []
        for name in profiles:
            row = board.row(name)
            if row is None:
                known = ", ".join(each.profile.name for each in board.rows) or "none: it has no MIG"
                self._faults.add(path, f"{board.name} has no MIG profile {name!r} (it has {known})")
            else:
                rows.append(row)
        compute, memory = sum(each.profile.slices for each in rows), sum(each.memory_slices for each in rows)
        if compute > board.compute_slices or memory > board.memory_slices:
            self._faults.add(
                path,
                f"does not fit: {compute} of {board.compute_slices} compute and {memory} of {board.memory_slices} "
                "memory slices",
            )


def check(scenario: Scenario, faults: Faults) -> None:
    """Note every reason why this scenario cannot be played."""
    gpus = {each.name: each for each in scenario.gpus}
    if not scenario.gpus:
        faults.add("gpu", "a node has at least one GPU")
    if len(gpus) < len(scenario.gpus):
        faults.add("gpu", "two GPUs have the same name")
    for number, event in enumerate(scenario.events):
        _check_event(gpus, event, f"event[{number}]", faults)
    layouts = Layouts(scenario, faults)
    for number, pod in enumerate(scenario.pods):
        for place, container in enumerate(pod.containers):
            path = f"pod[{number}].container[{place}]"
            for ref in container.holds:
                _check_ref(gpus, layouts, ref, pod.born, f"{path}.holds", faults)
                _check_slot(gpus, ref, f"{path}.holds", faults)
            _check_ask(gpus, scenario, pod, container, path, faults)
            for order, process in enumerate(container.processes):
                _check_ref(gpus, layouts, process.device, pod.born, f"{path}.process[{order}].on", faults)
    for number, host in enumerate(scenario.hosts):
        _check_ref(gpus, layouts, host.process.device, host.born, f"host[{number}].on", faults)


def _check_ask(
    gpus: dict[str, GpuSpec], scenario: Scenario, pod: PodSpec, container: ContainerSpec, path: str, faults: Faults
) -> None:
    ask = container.ask
    if ask.claim and (pod.namespace, ask.claim) not in {(claim.namespace, claim.name) for claim in scenario.claims}:
        faults.add(f"{path}.claim", f"there is no claim {ask.claim!r} in {pod.namespace}")
    for sharing in {gpus[ref.gpu].sharing for ref in container.holds if ref.gpu in gpus}:
        if sharing is GpuSharing.HAMI and not (ask.cores and ask.memory_bytes):
            faults.add(path, "a part of a GPU by HAMi has cores and memory_mib")
        if sharing is GpuSharing.KAI and pod.namespace != RESERVATIONS and not (ask.fraction or ask.memory_bytes):
            faults.add(path, "a part of a GPU by KAI has a fraction or memory_mib")


def _check_event(gpus: dict[str, GpuSpec], event: Event, path: str, faults: Faults) -> None:
    if isinstance(event, Fault):
        return
    if event.gpu not in gpus:
        faults.add(f"{path}.gpu", f"there is no GPU {event.gpu!r}")
        return
    board = gpus[event.gpu].board
    if isinstance(event, PowerCap) and event.watts <= board.power_idle:
        faults.add(f"{path}.watts", f"{board.name} draws {board.power_idle:g} W when idle")


def _check_ref(
    gpus: dict[str, GpuSpec], layouts: Layouts, ref: DeviceRef, at: float, path: str, faults: Faults
) -> None:
    spec = gpus.get(ref.gpu)
    if spec is None:
        faults.add(path, f"there is no GPU {ref.gpu!r}")
    elif spec.mig is not None and ref.instance not in layouts.at(ref.gpu, at):
        faults.add(path, f"{ref} is no MIG instance at {at:g} s")
    elif spec.mig is None and ref.instance is not None:
        faults.add(path, f"{ref.gpu} is not in MIG mode")


def _check_slot(gpus: dict[str, GpuSpec], ref: DeviceRef, path: str, faults: Faults) -> None:
    spec = gpus.get(ref.gpu)
    if spec is None:
        return
    shared = spec.slotted
    if shared != (ref.replica is not None):
        faults.add(path, f"{ref}: the devices of {spec.name} are {'' if shared else 'not '}shared")
    elif ref.replica is not None and ref.replica >= max(spec.replicas, spec.replicas_before):
        faults.add(path, f"{ref}: there are only {max(spec.replicas, spec.replicas_before)} slots")

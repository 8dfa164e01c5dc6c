"""Who lives on the node: pods are born and end, and their processes come onto devices and leave them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from exporter.simulator import identity
from exporter.simulator.agenda import Agenda
from exporter.simulator.demand import Client
from exporter.simulator.gpus import MIB
from exporter.simulator.hardware import Device, SimGpu, resource_name
from exporter.simulator.spec import (
    IDLE,
    RESERVATIONS,
    ContainerSpec,
    DeviceRef,
    GpuSharing,
    HostProcess,
    MigStrategy,
    Phase,
    PodSpec,
    ProcessSpec,
    Scenario,
)
from exporter.simulator.tenancy import Dedicated, SimPod, SimProcess, Tenancy, lease, mps_limit

MPS_SERVER = "nvidia-cuda-mps-server"
_MPS_SERVER_BYTES = 30 * MIB
_FIRST_PID = 20_011
_PID_STEP = 13
_TICKS_PER_SECOND = 100
_BOOT_TICKS = 8_640_000
"""The node was booted a day before the scenario starts (field 22 of /proc/<pid>/stat counts from boot)."""


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A device that a pod holds for others."""

    pod: SimPod
    container: str
    gpu: SimGpu
    device: Device


@dataclass(slots=True)
class Population:
    """Pods, processes and leases that are there now. `deleted` keeps the uids of pods that were."""

    seed: int
    gpus: Sequence[SimGpu]
    agenda: Agenda
    strategy: MigStrategy
    pods: list[SimPod] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    tenancies: list[Tenancy] = field(default_factory=list)
    reservations: list[Reservation] = field(default_factory=list)
    processes: dict[int, SimProcess] = field(default_factory=dict)
    started: int = 0

    def schedule(self, scenario: Scenario) -> None:
        """Enter every birth and death of the scenario into the agenda."""
        for gpu in self.gpus:
            if gpu.spec.sharing is GpuSharing.MPS:
                self._start_mps_server(gpu)
        for number, pod in enumerate(scenario.pods):
            self.agenda.enter(pod.born, partial(self._bear, number, pod))
        for number, host in enumerate(scenario.hosts):
            self.agenda.enter(host.born, partial(self._start_host, number, host))

    def on(self, device: Device) -> list[SimProcess]:
        """Return the processes on a device, in order of their start."""
        return [each for each in self.processes.values() if each.device is device]

    def leases_on(self, device: Device) -> list[Tenancy]:
        """Return the leases on a device, in order of their birth."""
        return [each for each in self.tenancies if each.device is device]

    # --- births and deaths --------------------------------------------------------------------------------------------

    def _bear(self, number: int, spec: PodSpec) -> None:
        words = (str(number), spec.namespace, spec.name)
        pod = SimPod(
            spec,
            identity.uuid(self.seed, "pod", *words),
            {each.name: identity.container_id(self.seed, *words, each.name) for each in spec.containers},
        )
        self.pods.append(pod)
        for container in spec.containers:
            self._allocate(pod, container)
        for container in spec.containers:
            for place, process in enumerate(container.processes):
                self._start(process, "/".join((*words, container.name, str(place))), pod, container.name)
        self.agenda.enter(spec.completed, partial(self._complete, pod))
        self.agenda.enter(spec.deleted, partial(self._delete, pod))

    def _allocate(self, pod: SimPod, container: ContainerSpec) -> None:
        groups: dict[tuple[str, int | None], list[DeviceRef]] = {}
        for ref in container.holds:
            groups.setdefault(ref.device, []).append(ref)
        for refs in groups.values():
            gpu, device = self._find(refs[0])
            if device is not None and pod.spec.namespace == RESERVATIONS:
                self.reservations.append(Reservation(pod, container.name, gpu, device))
            elif device is not None:
                self.tenancies.append(
                    lease(pod, container, gpu, device, tuple(refs), resource_name(self.strategy, device))
                )

    def _complete(self, pod: SimPod) -> None:
        if pod.spec.deleted <= self.agenda.now:
            return
        pod.phase = "Succeeded"
        self._empty(pod)

    def _delete(self, pod: SimPod) -> None:
        self._empty(pod)
        self.pods.remove(pod)
        self.deleted.add(pod.uid)

    def _empty(self, pod: SimPod) -> None:
        for process in [each for each in self.processes.values() if each.pod is pod]:
            self._end(process)
        self.tenancies = [each for each in self.tenancies if each.pod is not pod]
        self.reservations = [each for each in self.reservations if each.pod is not pod]

    # --- processes ----------------------------------------------------------------------------------------------------

    def _start_mps_server(self, gpu: SimGpu) -> None:
        spec = ProcessSpec(
            command=MPS_SERVER, device=DeviceRef(gpu.spec.name), phases=(Phase(0.0, IDLE, _MPS_SERVER_BYTES),)
        )
        self._start(spec, f"mps/{gpu.spec.name}").server = True

    def _start_host(self, number: int, host: HostProcess) -> None:
        process = self._start(host.process, f"host/{number}")
        self.agenda.enter(host.ended, partial(self._end, process))

    def _start(self, spec: ProcessSpec, stream: str, pod: SimPod | None = None, container: str = "") -> SimProcess:
        gpu, device = self._find(spec.device)
        pid = _FIRST_PID + _PID_STEP * self.started
        self.started += 1
        process = SimProcess(
            pid,
            spec,
            _BOOT_TICKS + round(self.agenda.now * _TICKS_PER_SECOND),
            Client(random.Random(f"{self.seed}/{stream}")),  # noqa: S311  # a reproducible stream, no secret
            pod,
            container,
            gpu,
            device,
        )
        self.processes[pid] = process
        self._bind(process)
        current = [phase for phase in spec.phases if phase.at <= self.agenda.now] or [spec.phases[0]]
        self._enter_phase(process, current[-1])
        for phase in spec.phases:
            if phase.at > self.agenda.now and phase is not current[-1]:
                self.agenda.enter(phase.at, partial(self._enter_phase, process, phase))
        return process

    def _bind(self, process: SimProcess) -> None:
        """Find the lease that a process belongs to: its container's on the device, else another one of its pod."""
        if process.device is None or process.pod is None:
            return
        own = [each for each in self.leases_on(process.device) if each.pod is process.pod]
        exact = [each for each in own if each.key.container == process.container]
        process.tenancy = next(iter(exact + own), None)
        if process.tenancy is not None:
            process.tenancy.processes.append(process)

    def _enter_phase(self, process: SimProcess, phase: Phase) -> None:
        if process.pid not in self.processes:
            return
        process.client.demand = phase.demand
        gpu, device = process.gpu, process.device
        if device is None or gpu is None:
            return
        device.memory.ask(process.pid, phase.memory_bytes, self._cap(gpu, device, process))
        if not gpu.lost:
            device.engine.remove(process.client)
            device.engine.add(process.client)
            self._refresh(device, process)

    def _cap(self, gpu: SimGpu, device: Device, process: SimProcess) -> int | None:
        """How much memory the process may have: MPS limits each client, HAMi's hook the container where it is loaded."""
        if gpu.spec.sharing is GpuSharing.MPS and process.spec.command != MPS_SERVER:
            return mps_limit(gpu, device)
        tenancy = process.tenancy
        if gpu.spec.sharing is not GpuSharing.HAMI or tenancy is None or not tenancy.ask.hook:
            return None
        others = sum(device.memory.of(each.pid) for each in tenancy.processes if each is not process)
        return max(0, tenancy.ask.memory_bytes - others)

    def _end(self, process: SimProcess) -> None:
        if self.processes.pop(process.pid, None) is None:
            return
        if process.tenancy is not None:
            process.tenancy.processes.remove(process)
        device = process.device
        if device is not None:
            device.engine.remove(process.client)
            device.memory.release(process.pid)
            self._refresh(device, process)

    # --- devices that come and go -------------------------------------------------------------------------------------

    def lose(self, gpu: SimGpu) -> None:
        """A GPU is lost: nothing runs on it, and what ran there still wants to."""
        gpu.lost = True
        for process in self._of(gpu):
            if process.device is not None:
                process.device.engine.remove(process.client)
        for tenancy in self.tenancies:
            if tenancy.gpu is gpu:
                tenancy.dedicated = None

    def regain(self, gpu: SimGpu) -> None:
        """A lost GPU is back after its reset, and its workloads start over."""
        gpu.lost = False
        for device in gpu.devices:
            device.engine.skip(self.agenda.now)
            for process in self.on(device):
                device.engine.add(process.client)
                self._refresh(device, process)

    def evict(self, gpu: SimGpu, label: int) -> None:
        """A MIG instance is destroyed under its holders: their processes have no device any more."""
        device = gpu.instances[label]
        for process in self.on(device):
            device.engine.remove(process.client)
            device.memory.release(process.pid)
            process.device = None
        for tenancy in self.leases_on(device):
            tenancy.gone = "mig_reconfigured"
            tenancy.dedicated = None
        gpu.destroy(label)

    def _of(self, gpu: SimGpu) -> Iterable[SimProcess]:
        return [each for each in self.processes.values() if each.gpu is gpu]

    def _find(self, ref: DeviceRef) -> tuple[SimGpu, Device | None]:
        gpu = next(each for each in self.gpus if each.spec.name == ref.gpu)
        return gpu, gpu.find(ref.instance)

    # --- dedicated twins ----------------------------------------------------------------------------------------------

    def intruders(self, device: Device) -> list[SimProcess]:
        """Return the processes of a device that belong to no lease on it; the MPS server is none."""
        return [each for each in self.on(device) if each.tenancy is None and not each.server]

    def _refresh(self, device: Device, changed: SimProcess) -> None:
        """Keep the twins of a device's leases: on a shared device always, on an exclusive one beside an intruder."""
        intruded = bool(self.intruders(device))
        for tenancy in self.leases_on(device):
            if tenancy.gpu.lost or (tenancy.exclusive and not intruded):
                tenancy.dedicated = None
            elif tenancy.dedicated is None:
                tenancy.dedicated = Dedicated(tenancy.promised / device.fraction, self.agenda.now)
                for process in tenancy.processes:
                    tenancy.dedicated.admit(process.client, device.engine.wakes(process.client))
            elif changed.tenancy is tenancy:
                tenancy.dedicated.dismiss(changed.client)
                if changed.pid in self.processes:
                    tenancy.dedicated.admit(changed.client, device.engine.wakes(changed.client))

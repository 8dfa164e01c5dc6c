"""The simulated node behind the Protocols of the real sources, so that the whole pipeline runs on it unchanged.

The sources are called by different worker threads; one lock around the node makes them one at a time. Whoever asks moves
the node to the time of the question.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from exporter.errors import SourceError
from exporter.ids import DeviceId, GpuId, MigId, MinorId, SplitId
from exporter.model import (
    Allocation,
    Allocations,
    CgroupPod,
    DeviceUse,
    DeviceUuid,
    DriverReading,
    Inventory,
    Missing,
    Pod,
    Pods,
    ProcessFacts,
    ProcessTable,
    Reason,
)
from exporter.readback import Enforcers
from exporter.records import HookKey, Limit, Sharing
from exporter.sameness import each_kept, kept
from exporter.simulator import ledgers
from exporter.simulator.clock import Clock
from exporter.simulator.dcgm import SimDcgm
from exporter.simulator.hardware import Device, SimGpu, resource_name
from exporter.simulator.labels import node_labels
from exporter.simulator.node import SimNode
from exporter.simulator.population import Reservation
from exporter.simulator.readings import WINDOW, DeviceReader, Sample, gpu_uses, inventory, sample, steady
from exporter.simulator.spec import Access, Faulty, GpuSharing, Scenario
from exporter.simulator.tenancy import SimPod, SimProcess, Tenancy
from exporter.sources.base import Driver, HookSource, Kubelet, PodSource, ProcessSource

COMMAND_BYTES = 15
"""The kernel cuts /proc/<pid>/comm to this length (TASK_COMM_LEN less its end)."""

STORE_GOOD_SECONDS = 60.0
"""A pod store that has not heard from the API server for longer refuses to answer."""


class SimDriver:
    """The driver of the simulated node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before: Sample | None = None
        self._last: Sample | None = None
        self._inventory: Inventory | None = None
        self._uses: dict[DeviceUuid, DeviceUse] = {}
        self._told = 0

    def read(self, now: float) -> DriverReading:
        """Read everything once, at `now`. Raises SourceError while the scenario has the driver hang or refuse."""
        with self._clock.lock:
            self._clock.advance(now)
            node = self._clock.node
            if node.happenings.fault(Faulty.DRIVER_HANG):
                raise SourceError("the driver does not answer", Reason.TIMEOUT)
            if node.happenings.denied(Access.DRIVER):
                raise SourceError("the driver refuses this user", Reason.PERMISSION)
            return self._read(now, node)

    def _read(self, now: float, node: SimNode) -> DriverReading:
        current = sample(node)
        if self._last is not None and current.at - self._last.at >= WINDOW:
            self._before = self._last
        self._uses = steady(self._uses, DeviceReader(node, self._before, current).read())
        if self._last is None or current.at - self._last.at >= WINDOW:
            self._last = current
        events = tuple(node.happenings.xids[self._told :])
        self._told = len(node.happenings.xids)
        self._inventory = kept(self._inventory, inventory(node))
        return DriverReading(
            at=now,
            inventory=self._inventory,
            gpus=gpu_uses(node),
            devices=self._uses,
            events=events,
            gpm=self._gpm(node),
        )

    def _gpm(self, node: SimNode) -> bool | Missing:
        if not any(gpu.spec.board.gpm for gpu in node.gpus):
            return Missing(Reason.UNSUPPORTED)
        if all(gpu.lost for gpu in node.gpus if gpu.spec.board.gpm):
            return False
        return True if self._before is not None else Missing(Reason.NOT_YET)

    def close(self) -> None:
        """Nothing to give back."""


class SimKubelet:
    """The kubelet of the simulated node. `sleep` blocks for as long as a slow kubelet does."""

    def __init__(self, clock: Clock, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._serial = 0
        self._items: tuple[Allocation, ...] = ()
        self._offered: tuple[tuple[str, DeviceId], ...] = ()

    def read(self, now: float) -> Allocations:
        """List who holds what. Raises SourceError while the scenario has the kubelet down or refusing."""
        with self._clock.lock:
            self._clock.advance(now)
            happenings = self._clock.node.happenings
            slow = happenings.fault(Faulty.KUBELET_SLOW)
            down = happenings.fault(Faulty.KUBELET_DOWN)
            denied = happenings.denied(Access.KUBELET)
        if slow is not None:
            self._sleep(slow.seconds)
        if down is not None:
            raise SourceError("the kubelet's socket refuses connections")
        if denied:
            raise SourceError("the kubelet's socket may not be opened", Reason.PERMISSION)
        with self._clock.lock:
            node = self._clock.node
            self._serial += 1
            items = [each for tenancy in node.population.tenancies for each in _allocations(node, tenancy)]
            items += [_reserved(node, each) for each in node.population.reservations]
            self._items, self._offered = kept(self._items, tuple(items)), kept(self._offered, _allocatable(node))
            return Allocations(serial=self._serial, items=self._items, allocatable=self._offered)

    def close(self) -> None:
        """No channel to close."""


class SimPods:
    """The API server's view. While it is down, the store stays as it was for a minute, as a watch's store does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._store: Pods | None = None
        self._stored_at = 0.0

    def read(self, now: float) -> Pods:
        """Return the pods of the node and its labels. Raises SourceError when the store is empty or too old."""
        with self._clock.lock:
            self._clock.advance(now)
            node = self._clock.node
            if node.happenings.denied(Access.API):
                raise SourceError("the API server refuses this service account", Reason.PERMISSION)
            if node.happenings.fault(Faulty.API_DOWN) is None:
                self._store, self._stored_at = kept(self._store, _pods(node)), now
        if self._store is None:
            raise SourceError("the API server has never answered", Reason.NOT_YET)
        if now - self._stored_at > STORE_GOOD_SECONDS:
            raise SourceError("the API server has not answered for too long", Reason.SOURCE_STALE)
        return self._store

    def close(self) -> None:
        """No watch to end."""


class SimProcesses:
    """The procfs of the simulated node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, ProcessFacts] = {}

    def read(self, pids: Collection[int]) -> ProcessTable:
        """Look these pids up, as the node is now. Raises SourceError while procfs may not be read."""
        with self._clock.lock:
            node = self._clock.node
            if node.happenings.denied(Access.PROCFS):
                raise SourceError("procfs may not be read", Reason.PERMISSION)
            known = node.population.processes
            found = {pid: _facts(known[pid]) for pid in sorted(set(pids)) if pid in known}
            self._known = each_kept(self._known, found)
            return dict(self._known)


class SimHooks:
    """The hooks in the containers of the simulated node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self, asked: Collection[HookKey], now: float) -> Mapping[HookKey, Limit | Missing]:
        """Read the limits of these containers, as the node is now."""
        del now
        with self._clock.lock:
            return ledgers.limits(self._clock.node, asked)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class SimSources:
    """Every source of one simulated node, and the node itself, which knows the truth."""

    driver: Driver
    kubelet: Kubelet
    pods: PodSource
    processes: ProcessSource
    hooks: HookSource
    node: SimNode
    dcgm: SimDcgm | None = None

    @property
    def enforcers(self) -> Enforcers:
        """Those that can be asked what they have set."""
        return Enforcers(hooks=self.hooks)


def build(
    scenario: Scenario, seed: int = 0, start: float = 0.0, sleep: Callable[[float], None] = time.sleep
) -> SimSources:
    """Build a node and its sources. `start` is the monotonic time, seconds, at which the node's clock stands at 0."""
    node = SimNode(scenario, seed)
    clock = Clock(node, start)
    return SimSources(
        driver=SimDriver(clock),
        kubelet=SimKubelet(clock, sleep),
        pods=SimPods(clock),
        processes=SimProcesses(clock),
        hooks=SimHooks(clock),
        node=node,
        dcgm=SimDcgm(clock, scenario.dcgm_seconds) if scenario.dcgm_seconds else None,
    )


def _allocations(node: SimNode, tenancy: Tenancy) -> list[Allocation]:
    key = tenancy.key
    if tenancy.sharing is Sharing.KAI:
        return []  # the kubelet knows the reservation pod alone
    if tenancy.ask.claim:
        return [Allocation(key.namespace, key.pod, key.container, ledgers.DRIVER, ledgers.claim_id(node, tenancy))]
    return [
        Allocation(
            key.namespace,
            key.pod,
            key.container,
            tenancy.resource,
            _device_id(node, tenancy.gpu, tenancy.device, ref.replica),
        )
        for ref in tenancy.refs
    ]


def _reserved(node: SimNode, reservation: Reservation) -> Allocation:
    pod, device = reservation.pod.spec, reservation.device
    resource = resource_name(node.scenario.mig_strategy, device)
    return Allocation(
        pod.namespace, pod.name, reservation.container, resource, _device_id(node, reservation.gpu, device, None)
    )


def _allocatable(node: SimNode) -> tuple[tuple[str, DeviceId], ...]:
    """Return every slot that the plugin offers; a lost GPU is unhealthy and not offered."""
    return tuple(
        (
            resource_name(node.scenario.mig_strategy, device),
            _device_id(node, gpu, device, replica),
        )
        for gpu in node.gpus
        if not gpu.lost and not node.scenario.claims  # a node has one driver of its GPUs
        for device in gpu.devices
        for replica in (range(gpu.spec.replicas) if gpu.spec.slotted else (None,))
    )


def _device_id(node: SimNode, gpu: SimGpu, device: Device, replica: int | None) -> DeviceId:
    """How the node's plugin spells a device, or a slot of it."""
    if node.scenario.gke:
        return MinorId(gpu.index, device.gpu_instance if device.row is not None else None, replica)
    if gpu.spec.sharing is GpuSharing.HAMI and replica is not None:
        return SplitId(device.uuid, replica)
    return GpuId(device.uuid, replica) if device.row is None else MigId(device.uuid, replica)


def _pods(node: SimNode) -> Pods:
    population = node.population
    return Pods(
        items=tuple(_pod(node, each) for each in population.pods),
        deleted=frozenset(population.deleted),
        node_labels=node_labels(node.scenario),
        claims=ledgers.claims(node),
    )


def _pod(node: SimNode, pod: SimPod) -> Pod:
    spec = pod.spec
    containers = frozenset(each.name for each in spec.containers)
    return Pod(
        uid=pod.uid,
        namespace=spec.namespace,
        name=spec.name,
        phase=pod.phase,
        workload_kind=spec.workload_kind,
        workload=spec.workload,
        containers=containers,
        ended_containers=containers if pod.phase == "Succeeded" else frozenset(),
        container_ids={number: name for name, number in pod.container_ids.items()},
        grants=ledgers.grants(node, pod),
        claim_uses=ledgers.claim_uses(pod),
    )


def _facts(process: SimProcess) -> ProcessFacts:
    pods: tuple[CgroupPod, ...] = ()
    if process.pod is not None:
        pods = (CgroupPod(process.pod.uid, process.pod.container_ids[process.container]),)
    command = process.spec.command[:COMMAND_BYTES]
    return ProcessFacts(pid=process.pid, command=command, started=process.started, pods=pods)

"""What the simulator knows at the end of a tick, of every lease, in the terms that the contract's sentences are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.ids import profile_of_resource
from exporter.model import Sharing
from exporter.policy import FATAL_XIDS, Policy
from exporter.simulator.hardware import Device
from exporter.simulator.node import SimNode
from exporter.simulator.spec import Access, EccError, Faulty, XidError
from exporter.simulator.tenancy import SimProcess, Tenancy, mps_limit
from exporter.simulator.truth import PartitionTruth
from exporter.verdict import Cause, Neighbour

_MINUTE = 60.0
_CLOCKWORK = {each.value: each for each in (Cause.POWER_CAP, Cause.THERMAL, Cause.HW_SLOWDOWN, Cause.UNKNOWN)}


@dataclass(frozen=True, slots=True)
class SeenNeighbour:
    """Another lease on the device: what it was promised of the memory, and what it holds, in bytes."""

    who: Neighbour
    promised: float
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLease:
    """One lease at the end of a tick. Shares are of the parent GPU, sizes in bytes, `engine` is the tick's mean."""

    who: Neighbour
    sharing: Sharing
    gone: str
    xid: bool
    ecc: bool
    slots_held: int
    slots_offered: int
    promised_share: float
    attached_share: float
    promised_bytes: float
    attached_bytes: float
    used_bytes: float
    free_bytes: float
    reserved_bytes: float
    neighbours: tuple[SeenNeighbour, ...]
    rogues: Mapping[int, tuple[Neighbour, float]]  # pid → its pod, its bytes
    hosts: Mapping[int, float]  # pid → its bytes
    allowed_bytes: float
    engine: float
    wanted: bool
    slowed: Mapping[Cause, float]
    clock: float  # at the end of the tick, of the maximum, when busy
    activity_known: bool

    @property
    def exclusive(self) -> bool:
        """Whether nobody else was sold the device."""
        return self.sharing in {Sharing.EXCLUSIVE, Sharing.MIG}


@dataclass(frozen=True, slots=True)
class Seen:
    """Every lease by namespace and pod; in these worlds a pod has one. `trouble`: a source fails, or did just now."""

    leases: Mapping[Neighbour, SeenLease]
    trouble: bool


class Watcher:
    """Looks at a node after each tick; remembers what happened to the hardware and how busy each device has been."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._busy: dict[Device, float] = {}
        self._at = 0.0
        self._failing = 0.0
        self._pending = [each for each in node.scenario.events if isinstance(each, XidError | EccError)]
        self._xids: dict[tuple[str, int | None], float] = {}
        self._ecc: dict[str, float] = {}

    def look(self) -> Seen:
        """Return what is so now."""
        node = self._node
        self._note_faults(node.now)
        truths = {part.key: part for part in node.truth()[-1].partitions}
        seconds = node.now - self._at
        busy = {device: device.engine.busy for gpu in node.gpus for device in gpu.devices}
        engine = {device: (total - self._busy.get(device, 0.0)) / seconds for device, total in busy.items()}
        leases: dict[Neighbour, SeenLease] = {}
        for tenancy in node.population.tenancies:
            truth = truths.get(tenancy.key)
            if truth is not None:
                leases[_who(tenancy)] = self._lease(tenancy, truth, engine.get(tenancy.device, 0.0))
        self._busy, self._at = busy, node.now
        return Seen(leases, node.now - self._failing < 4.0)

    def _note_faults(self, now: float) -> None:
        happenings = self._node.happenings
        silent = bool(happenings.fault(Faulty.DRIVER_HANG)) or happenings.denied(Access.DRIVER)
        if any(happenings.fault(kind) for kind in Faulty if kind is not Faulty.KUBELET_SLOW):
            self._failing = now
        lost = {gpu.spec.name for gpu in self._node.gpus if gpu.lost}
        if not silent:
            # An answer of a lost GPU ends what was before the loss: it comes back by a reset.
            self._xids = {key: until for key, until in self._xids.items() if key[0] not in lost and until > now}
            self._ecc = {name: until for name, until in self._ecc.items() if name not in lost and until > now}
        for event in [each for each in self._pending if each.at <= now and not silent]:
            if isinstance(event, EccError) and event.gpu in lost:
                continue  # the count is read when the GPU answers again
            self._pending.remove(event)
            if isinstance(event, EccError) and event.uncorrected:
                self._ecc[event.gpu] = now + _MINUTE
            if isinstance(event, XidError) and event.xid in FATAL_XIDS:
                gpu = next(each for each in self._node.gpus if each.spec.name == event.gpu)
                named = event.instance if event.instance is not None and gpu.find(event.instance) else None
                self._xids[event.gpu, named] = now + _MINUTE

    def _lease(self, tenancy: Tenancy, truth: PartitionTruth, engine: float) -> SeenLease:
        device, gpu = tenancy.device, tenancy.gpu
        name, label = gpu.spec.name, device.label
        strangers = [each for each in self._node.population.on(device) if each.tenancy is None]
        on = [each for each in strangers if not _allowed(each)]
        leases = self._node.population.leases_on(device)
        return SeenLease(
            who=_who(tenancy),
            sharing=tenancy.sharing,
            gone="device_lost" if gpu.lost else truth.gone,
            xid=(name, label) in self._xids or (name, None) in self._xids,
            ecc=name in self._ecc,
            slots_held=sum(len(each.refs) for each in leases),
            slots_offered=gpu.spec.replicas,
            promised_share=_promised_share(tenancy),
            attached_share=device.fraction,
            promised_bytes=_promised_bytes(tenancy),
            attached_bytes=float(device.memory.total),
            used_bytes=float(truth.memory_used),
            free_bytes=float(device.memory.free),
            reserved_bytes=float(device.memory.reserved),
            neighbours=tuple(
                SeenNeighbour(_who(other), _promised_bytes(other), float(sum(_bytes(p) for p in other.processes)))
                for other in leases
                if other is not tenancy
            ),
            rogues={each.pid: (_pod(each), _bytes(each)) for each in on if each.pod is not None},
            hosts={each.pid: _bytes(each) for each in on if each.pod is None},
            allowed_bytes=sum(_bytes(each) for each in strangers if _allowed(each)),
            engine=engine,
            wanted=truth.wanted,
            slowed={_CLOCKWORK[cause]: lost for cause, lost in truth.causes.items() if cause in _CLOCKWORK},
            clock=gpu.climate.ratio,
            activity_known=gpu.spec.board.gpm or not gpu.mig,
        )


def _who(tenancy: Tenancy) -> Neighbour:
    return tenancy.key.namespace, tenancy.key.pod


def _pod(process: SimProcess) -> Neighbour:
    return ("", "") if process.pod is None else (process.pod.spec.namespace, process.pod.spec.name)


def _bytes(process: SimProcess) -> float:
    return 0.0 if process.device is None else float(process.device.memory.of(process.pid))


def _allowed(process: SimProcess) -> bool:
    namespace = None if process.pod is None else process.pod.spec.namespace
    return process.server or Policy().allows(process.spec.command, namespace)


def _promised_share(tenancy: Tenancy) -> float:
    row = tenancy.gpu.spec.board.row(profile_of_resource(tenancy.resource) or "")
    if tenancy.sharing is not Sharing.MIG or row is None:
        return tenancy.promised
    return row.profile.sm_count / tenancy.gpu.spec.board.full_sm_count


def _promised_bytes(tenancy: Tenancy) -> float:
    """What the contract's table promises: of memory under time-slicing by the policy's `fair`, once for a container."""
    device, spec = tenancy.device, tenancy.gpu.spec
    if tenancy.sharing is Sharing.MPS:
        return float(len(tenancy.refs) * mps_limit(tenancy.gpu, device))
    if tenancy.sharing is Sharing.TIME_SLICING:
        return device.memory.total / spec.replicas
    row = spec.board.row(profile_of_resource(tenancy.resource) or "")
    return float(device.memory.total if row is None else row.profile.memory_bytes)

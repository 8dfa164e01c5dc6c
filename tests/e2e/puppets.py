"""Sources that say what a test tells them to, and a clock that a test moves: the collector's world in miniature."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from exporter.collect import Collector, Tick
from exporter.ids import GpuId
from exporter.model import (
    Allocation,
    Allocations,
    CgroupPod,
    DeviceUse,
    DeviceUuid,
    DriverReading,
    Gpu,
    GpuUse,
    GpuUuid,
    Inventory,
    Missing,
    Pod,
    Pods,
    Process,
    ProcessFacts,
    ProcessKind,
    ProcessTable,
    Reason,
    Xid,
)
from exporter.witness import Clock, Sources
from tests.e2e.scrape import Scrape, parse

T = TypeVar("T")

GPU = GpuUuid("GPU-0a0b0c0d-0000-4000-8000-000000000001")
POD_UID = "11111111-aaaa-4000-8000-000000000001"
CONTAINER = "c" * 64
EPOCH = 1_760_000_000.0
LONG = 30.0
"""Real seconds for which a tick waits for a puppet that answers at once; only a broken test waits them."""

_UNSUPPORTED = Missing(Reason.UNSUPPORTED)


def reading(at: float, *events: Xid) -> DriverReading:
    """One whole GPU with one process on it."""
    process = Process(pid=7, kind=ProcessKind.COMPUTE, memory_bytes=1e9, sm_share=0.5)
    use = DeviceUse(
        memory_total_bytes=80e9,
        memory_used_bytes=1e9,
        memory_free_bytes=79e9,
        engine_active=0.5,
        sm_active=_UNSUPPORTED,
        tensor_active=_UNSUPPORTED,
        memory_bandwidth=_UNSUPPORTED,
        utilisation=0.5,
        ecc_corrected=0.0,
        ecc_uncorrected=0.0,
        processes=(process,),
    )
    shared = GpuUse(
        sm_clock_hertz=1.9e9,
        sm_clock_max_hertz=1.98e9,
        power_watts=300.0,
        power_limit_watts=700.0,
        temperature_celsius=50.0,
        energy_joules=300.0 * at,
        throttle=frozenset(),
    )
    gpu = Gpu(
        uuid=GPU,
        index=0,
        minor=0,
        model="NVIDIA L40S",
        architecture="ada",
        sm_count=142.0,
        mig_current=_UNSUPPORTED,
        mig_pending=_UNSUPPORTED,
    )
    return DriverReading(
        at=at,
        inventory=Inventory(driver="590", nvml="13", gpus=(gpu,), generation=1),
        gpus={GPU: shared},
        devices={DeviceUuid(GPU): use},
        events=events,
        gpm=_UNSUPPORTED,
    )


ALLOCATION = Allocation("team", "pod-0", "main", "nvidia.com/gpu", GpuId(GPU))
POD = Pod(
    uid=POD_UID,
    namespace="team",
    name="pod-0",
    phase="Running",
    workload_kind="Job",
    workload="fit",
    containers=frozenset({"main"}),
    container_ids={CONTAINER: "main"},
)
FACTS = ProcessFacts(pid=7, command="python", started=1, pods=(CgroupPod(POD_UID, CONTAINER),))


@dataclass
class Puppet(Generic[T]):
    """A source that answers by `say`, a function of the time it is asked at; `hold` keeps it from coming back."""

    say: Callable[[float], T]
    asked: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    closed: int = 0
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    def hold(self) -> None:
        """Let the next read hang until `free` is set."""
        self.free.clear()

    def read(self, now: float) -> T:
        self.asked.append(now)
        self.threads.append(threading.get_ident())
        answer = self.say(now)
        assert self.free.wait(LONG)
        return answer

    def close(self) -> None:
        self.threads.append(threading.get_ident())
        self.closed += 1


@dataclass
class PuppetProcfs:
    """Answers by `say`, a function of the pids."""

    say: Callable[[Collection[int]], ProcessTable] = lambda pids: {pid: FACTS for pid in pids if pid == FACTS.pid}

    def read(self, pids: Collection[int]) -> ProcessTable:
        return self.say(pids)


class World:
    """A node of puppets, its clock, and the collector on it."""

    def __init__(self, *, api: bool = True, deadline: float = 3.0, patience: float = LONG) -> None:
        self.now = 100.0
        self._serial = 0
        self.driver: Puppet[DriverReading] = Puppet(reading)
        self.kubelet: Puppet[Allocations] = Puppet(lambda _: self._listed())
        self.pods: Puppet[Pods] = Puppet(lambda _: Pods(items=(POD,), node_labels={}))
        self.procfs = PuppetProcfs()
        sources = Sources(
            driver=self.driver,
            kubelet=self.kubelet,
            pods=self.pods if api else None,
            processes=self.procfs,
        )
        clock = Clock(lambda: self.now, lambda: EPOCH + self.now)
        self.collector = Collector("node-1", sources, clock=clock, deadline=deadline, patience=patience)
        self.tick: Tick | None = None
        self._closed = False

    def _listed(self) -> Allocations:
        self._serial += 1
        return Allocations(serial=self._serial, items=(ALLOCATION,), allocatable=())

    def close(self) -> None:
        """End the collector, once; nobody hangs any longer."""
        for source in (self.driver, self.kubelet, self.pods):
            source.free.set()
        if not self._closed:
            self._closed = True
            self.collector.close()

    def puppet(self, name: str) -> Puppet[Any]:
        """The source of this name on the page."""
        puppets: dict[str, Puppet[Any]] = {
            "nvml": self.driver,
            "podresources": self.kubelet,
            "kubernetes": self.pods,
        }
        return puppets[name]

    def play(self, *steps: float) -> Scrape:
        """Move the clock by each step and tick; return the last page."""
        for step in steps:
            self.now += step
            self.tick = self.collector.run_tick()
        assert self.tick is not None
        return parse(self.tick.rendered.text.decode())

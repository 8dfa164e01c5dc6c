"""A node in this process, with a clock that runs as fast as it is read: real sources on real wires, ticks of a second.

The driver is the fake library under the real pynvml, the kubelet a gRPC server, the API server speaks HTTP, procfs is a
folder; the collector is the program's own. A tick is a second of the node's time and some milliseconds of ours, so that a
minute in which a kubelet is away takes less than a second. What needs the program's own process is in `test_process.py`.
"""

from __future__ import annotations

import time
from dataclasses import replace

from exporter.collect import Collector
from exporter.model import Pod, Pods
from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_watch import Timing
from exporter.sources.nvml import NvmlDriver
from exporter.sources.podresources import PodResources
from exporter.sources.procfs import Procfs
from exporter.witness import Clock, Sources
from tests.e2e import node as e2e
from tests.e2e.mirror import pod_object
from tests.e2e.rig import NODE, Rig
from tests.e2e.scrape import Condition, Scrape, parse
from tests.fake_nvml.state import FakeDriver, FakeMemory, FakeProcess, Fault
from tests.faults.books import Books
from tests.nvml.nodes import H100, MIB, l40s

MIG, WHOLE = e2e.SLICE, e2e.L40S
SHARED = "GPU-1a2b3c4d-0000-4000-8000-0000000050aa"
"""A board in two time slices."""

DEADLINE = 0.15
"""Real seconds that a source has; nothing here takes as long unless a test wants it to."""

_TIMING = Timing(silence=20, request=2, node=0.05, claims=0.05, retry=0.01, longest_retry=0.05)
_SLOTS = "nvidia.com/gpu.shared"


def _tenant(number: int) -> Pod:
    return Pod(
        uid=f"11111111-bbbb-4000-8000-{number:012d}",
        namespace="team",
        name=f"tenant-{number}",
        phase="Running",
        workload_kind="Job",
        workload="tenant",
        containers=frozenset({"main"}),
        container_ids={f"{number:064x}": "main"},
    )


TENANTS = (_tenant(1), _tenant(2))
"""They share SHARED: both get what they were promised."""

_PIDS = (4011, 4012)


def driver(*faults: Fault, init: int = 0) -> FakeDriver:
    """The node's driver in good order, but for these faults."""
    found = e2e.driver(*faults, init=init)
    processes = tuple(
        FakeProcess(pid=pid, memory_bytes=900 * MIB, sm=sm) for pid, sm in zip(_PIDS, (50, 48), strict=True)
    )
    memory = FakeMemory(total=46068 * MIB, used=1800 * MIB, reserved=598 * MIB)
    shared = l40s(uuid=SHARED, minor=2, pci_bus_id="00000000:03:00.0", processes=processes, memory=memory)
    parts = tuple(
        replace(part, memory=FakeMemory(total=9984 * MIB, used=600 * MIB)) for part in found.gpus[0].gpu_instances
    )
    found = found.changed(H100, gpu_instances=parts, sm_clock=1900)
    return replace(found, gpus=(*found.gpus, shared), gpm_window_us=500)


class _Pods:
    """The pod store on real time, by which its watch lives; `passed` are seconds that have passed for it besides."""

    def __init__(self, source: KubernetesPods) -> None:
        self._source = source
        self.passed = 0.0

    def read(self, now: float) -> Pods:
        """Read it."""
        del now
        return self._source.read(time.monotonic() + self.passed)

    def close(self) -> None:
        """Close it."""
        self._source.close()


class Node:
    """The node, its clock and its collector. Enter the rig first; `close` it before the rig ends."""

    def __init__(self, rig: Rig, keep: float = 60.0) -> None:
        self.rig = rig
        self.books = Books()
        self.now, self.jumped = time.monotonic(), 0.0
        self.step = 1.0
        e2e.furnish(rig)
        self.becomes(driver())
        self._share()
        rig.kubelet.start()
        self.pods = _Pods(KubernetesPods(NODE, kubeconfig=str(rig.kubeconfig), timing=_TIMING))
        clock = Clock(lambda: self.now, self.wall)
        sources = Sources(
            driver=NvmlDriver(self.wall),
            kubelet=PodResources(str(rig.kubelet.socket), deadline=2.0),
            pods=self.pods,
            processes=Procfs(str(rig.procfs.root)),
        )
        self.collector = Collector(NODE, sources, clock=clock, deadline=DEADLINE, patience=DEADLINE, departed_keep=keep)

    def becomes(self, state: FakeDriver) -> None:
        """Say what the driver says from its next call on."""
        self.rig.driver_becomes(state)

    def wall(self) -> float:
        """Unix seconds, as somebody has set the clock."""
        return time.time() + self.jumped

    def run(self, ticks: int = 1) -> Scrape:
        """Let so many steps pass, a tick each; return the last page. The books are kept."""
        text = b""
        for _ in range(ticks):
            text = self.advance()
            self.books.read(text, self.step)
        return parse(text.decode())

    def advance(self) -> bytes:
        """Let a step pass; return the page as it is sent. The books do not hear of it."""
        self.now += self.step
        return self.collector.run_tick().rendered.text

    def until(self, condition: Condition, what: str, within: int = 90) -> tuple[Scrape, int]:
        """Tick until a page is as expected; return it and the ticks that it took."""
        page, ticks = self.run(), 1
        while not condition(page) and ticks < within:
            time.sleep(0.002)  # the watch of the pods runs on real time
            page, ticks = self.run(), ticks + 1
        if condition(page):
            return page, ticks
        raise AssertionError(f"not within {within} ticks: {what}\n{page.essence}")

    def close(self) -> None:
        """End the collector."""
        self.collector.close()

    def _share(self) -> None:
        offered = self.rig.kubelet.allocatable
        for slot, (pod, pid) in enumerate(zip(TENANTS, _PIDS, strict=True)):
            device = f"{SHARED}::{slot}"
            self.rig.kubelet.hold(pod.namespace, pod.name, "main", _SLOTS, device)
            offered.devices.add(resource_name=_SLOTS, device_ids=[device])
            self.rig.api.put(pod_object(pod))
            self.rig.procfs.put_in_pod(pid, "python", pod.uid, *pod.container_ids)


def whole(page: Scrape) -> bool:
    """Everything is up; every partition has its owner and its processes."""
    owners = page.rows(e2e.INFO, "device", "pod_uid").keys()
    expected = {(MIG, e2e.TRAINER.uid), (WHOLE, e2e.RANKER.uid), *((SHARED, pod.uid) for pod in TENANTS)}
    counted = page.rows("gpu_partition_processes", "device", "pod")
    return (
        page.down() == set() and owners == expected and len(counted) == len(expected) and set(counted.values()) == {1.0}
    )

"""The node that most tests start from: a slice of an H100 and a whole L40S, a pod on each, one slice free."""

from __future__ import annotations

from dataclasses import replace

from exporter.model import Pod
from tests.e2e.mirror import pod_object
from tests.e2e.rig import Rig
from tests.e2e.scrape import Scrape
from tests.fake_nvml.state import FakeDriver, FakeMemory, FakeProcess, Fault, Faults
from tests.nvml.nodes import H100, L40S, MIB, h100_mig, l40s, mig_uuid, two_slices

SLICE, FREE = mig_uuid(1), mig_uuid(2)

TRAINER = Pod(
    uid="11111111-aaaa-4000-8000-000000000001",
    namespace="research",
    name="trainer-0",
    phase="Running",
    workload_kind="StatefulSet",
    workload="trainer",
    containers=frozenset({"main"}),
    container_ids={"a" * 64: "main"},
)
RANKER = Pod(
    uid="11111111-aaaa-4000-8000-000000000002",
    namespace="checkout",
    name="ranker-x2k9p",
    phase="Running",
    workload_kind="Deployment",
    workload="ranker",
    containers=frozenset({"serve"}),
    container_ids={"b" * 64: "serve"},
)


def driver(*faults: Fault, init: int = 0) -> FakeDriver:
    """The node's driver in good order, but for these faults."""
    parent = two_slices().gpus[0]
    first, second = parent.instances
    busy = replace(first, processes=(FakeProcess(pid=4001, memory_bytes=500 * MIB),))
    card = l40s(
        processes=(FakeProcess(pid=4002, memory_bytes=700 * MIB, sm=40),),
        memory=FakeMemory(total=46068 * MIB, used=700 * MIB, reserved=598 * MIB),
    )
    board = h100_mig(instances=(busy, second), gpu_instances=parent.gpu_instances)
    return FakeDriver(gpus=(board, card), faults=Faults(init=init, calls=faults))


def hanging() -> FakeDriver:
    """The driver with a call that does not come back."""
    return driver(Fault(call="nvmlDeviceGetPowerUsage", hang=True))


def furnish(rig: Rig) -> Rig:
    """Put the node's pods, allocations and processes in place, and its driver in good order."""
    rig.driver_becomes(driver())
    rig.kubelet.hold(TRAINER.namespace, TRAINER.name, "main", "nvidia.com/mig-1g.10gb", SLICE)
    rig.kubelet.hold(RANKER.namespace, RANKER.name, "serve", "nvidia.com/gpu", L40S)
    for pod in (TRAINER, RANKER):
        rig.api.put(pod_object(pod))
    rig.procfs.put_in_pod(4001, "python", TRAINER.uid, "a" * 64)
    rig.procfs.put_in_pod(4002, "tritonserver", RANKER.uid, "b" * 64)
    return rig


INFO = "gpu_partition_info"


def held(page: Scrape) -> set[str]:
    """The devices of all partitions."""
    return {device for (device,) in page.rows(INFO, "device")}


def kept(page: Scrape, device: str) -> float:
    """Seconds for which a device's availability was kept."""
    name = "gpu_partition_guarantee_seconds_total"
    return page.value(name, device=device, guarantee="availability", outcome="kept") or 0.0


def whole(page: Scrape) -> bool:
    """Everything is up and measured, and both partitions are there with their owners and their processes."""
    owners = page.rows(INFO, "device", "pod_uid").keys()
    everyone = page.rows("gpu_partition_processes", "device") == {(SLICE,): 1.0, (L40S,): 1.0}
    return page.down() == set() and owners == {(SLICE, TRAINER.uid), (L40S, RANKER.uid)} and everyone


__all__ = [
    "FREE",
    "H100",
    "INFO",
    "L40S",
    "RANKER",
    "SLICE",
    "TRAINER",
    "driver",
    "furnish",
    "hanging",
    "held",
    "kept",
    "whole",
]

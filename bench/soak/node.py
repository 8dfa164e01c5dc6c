"""The node that churns: pods come and go by the second, MIG is cut anew by the minute.

What is true of the node is kept here and shown to all of its witnesses at once, as a node does: the driver, the kubelet, the
API server and procfs. A pod of the time-sliced GPUs takes a free slot, one of the MIG GPU a free instance; a reshape takes
the instances away under the pods that hold them, which end a little later, as on a real node.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from uuid import UUID

from exporter.model import Pod
from exporter.sources import podresources_pb2 as pb
from tests.e2e.mirror import pod_object
from tests.e2e.rig import Rig
from tests.fake_nvml.state import (
    EVENT_MIG_CONFIG,
    FakeDriver,
    FakeEvent,
    FakeGpu,
    FakeGpuInstance,
    FakeInstance,
    FakeMemory,
    FakeProcess,
    Fault,
    Faults,
)
from tests.nvml.nodes import GPM, H100, H100_PROFILES, MIB, h100_mig, l40s

BOARDS = tuple(f"GPU-50a4c0de-0000-4000-8000-{number:012d}" for number in range(1, 4))
SLOTS = 32
"""Time slices of each of the boards."""

SHARED = "nvidia.com/gpu.shared"
SHAPES = (("1g.10gb",) * 7, ("2g.20gb", "2g.20gb", "2g.20gb", "1g.10gb"), ("3g.40gb", "3g.40gb"))
"""The MIG layouts that take turns."""

_PROFILES = {profile.name: profile for profile in H100_PROFILES}
_KEPT_EVENTS = 16
"""Events that the state file repeats; the driver gives each once."""

SHORTEST, LONGEST = 4.0, 14.0
"""Seconds that a pod lives, evenly spread: some are gone before the kubelet is asked again."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A pod, the one device id that it holds, its process and its end (seconds of the soak)."""

    pod: Pod
    resource: str
    device: str
    pid: int
    until: float


@dataclass
class Churn:
    """The node's truth. `now` is seconds since the soak began; everything random comes from `chance`."""

    rig: Rig
    chance: random.Random
    tenants: dict[str, Tenant] = field(default_factory=dict)  # by device id
    born: int = 0
    shaped: int = 0
    faults: tuple[Fault, ...] = ()
    lost: int = 0
    """What the MIG GPU answers instead of readings; 0 while it is in order."""
    _events: tuple[FakeEvent, ...] = ()
    _instances: tuple[FakeInstance, ...] = ()

    def reshape(self) -> None:
        """Cut the MIG GPU anew: other instances under other UUIDs."""
        shape = SHAPES[self.shaped % len(SHAPES)]
        self.shaped += 1
        self._instances = tuple(
            FakeInstance(
                uuid=f"MIG-50a4c0de-0000-5000-8000-{self.shaped * 100 + place:012d}",
                index=place,
                gpu_instance=place + 1,
                profile=profile,
                sm_count=_PROFILES[profile].sm_count,
                memory_mib=_PROFILES[profile].memory_mib,
                gpu_instance_slices=_PROFILES[profile].slices,
            )
            for place, profile in enumerate(shape)
        )
        event = FakeEvent(sequence=self.shaped, gpu=H100, type=EVENT_MIG_CONFIG)
        self._events = (*self._events, event)[-_KEPT_EVENTS:]

    def births(self, count: int, now: float) -> None:
        """Let pods begin where there is room."""
        free = [place for place in self._places() if place[1] not in self.tenants]
        for resource, device in self.chance.sample(free, min(count, len(free))):
            self.born += 1
            pod = self._pod(self.born)
            until = now + self.chance.uniform(SHORTEST, LONGEST)
            self.tenants[device] = tenant = Tenant(pod, resource, device, 10_000 + self.born, until)
            self.rig.api.put(pod_object(pod))
            self.rig.procfs.put_in_pod(tenant.pid, "python", pod.uid, *pod.container_ids, started=self.born)

    def deaths(self, now: float) -> None:
        """Let those end whose time has come; after the last `now`, all."""
        for device in [device for device, tenant in self.tenants.items() if tenant.until <= now]:
            tenant = self.tenants.pop(device)
            self.rig.api.delete(tenant.pod.uid)
            self.rig.procfs.remove(tenant.pid)

    def show(self) -> None:
        """Tell the driver and the kubelet what is so."""
        self.rig.driver_becomes(self._driver())
        listed = pb.ListPodResourcesResponse()
        for tenant in self.tenants.values():
            entry = listed.pod_resources.add(namespace=tenant.pod.namespace, name=tenant.pod.name)
            entry.containers.add(name="main").devices.add(resource_name=tenant.resource, device_ids=[tenant.device])
        offered = pb.AllocatableResourcesResponse()
        for resource, device in self._places():
            offered.devices.add(resource_name=resource, device_ids=[device])
        self.rig.kubelet.listed, self.rig.kubelet.allocatable = listed, offered

    def _places(self) -> Iterator[tuple[str, str]]:
        for board in BOARDS:
            for slot in range(SLOTS):
                yield SHARED, f"{board}::{slot}"
        for instance in self._instances:
            yield f"nvidia.com/mig-{instance.profile}", instance.uuid

    def _pod(self, number: int) -> Pod:
        uid = str(UUID(int=self.chance.getrandbits(128), version=4))
        container = f"{self.chance.getrandbits(256):064x}"
        return Pod(
            uid=uid,
            namespace=f"team-{number % 7}",
            name=f"job-{number:06d}",
            phase="Running",
            workload_kind="Job",
            workload=f"job-{number % 50}",
            containers=frozenset({"main"}),
            container_ids={container: "main"},
        )

    def _driver(self) -> FakeDriver:
        boards = tuple(self._board(uuid, place + 1) for place, uuid in enumerate(BOARDS))
        return FakeDriver(gpus=(self._mig(), *boards), events=self._events, faults=Faults(calls=self.faults))

    def _board(self, uuid: str, minor: int) -> FakeGpu:
        processes = self._running(uuid)
        used = sum(process.memory_bytes or 0 for process in processes)
        memory = FakeMemory(total=46068 * MIB, used=used, reserved=598 * MIB)
        bus = f"00000000:{minor + 1:02x}:00.0"
        return l40s(uuid=uuid, minor=minor, pci_bus_id=bus, memory=memory, processes=processes, utilisation=90)

    def _mig(self) -> FakeGpu:
        parts = tuple(
            FakeGpuInstance(
                id=instance.gpu_instance,
                profile_id=_PROFILES[instance.profile].profile_id,
                memory=FakeMemory(total=_PROFILES[instance.profile].memory_mib * MIB),
                gpm=GPM,
            )
            for instance in self._instances
        )
        held = tuple(replace(each, processes=self._running(each.uuid)) for each in self._instances)
        return replace(h100_mig(instances=held, gpu_instances=parts), lost=self.lost)

    def _running(self, uuid: str) -> tuple[FakeProcess, ...]:
        here = [tenant for device, tenant in self.tenants.items() if device.partition("::")[0] == uuid]
        share = 0 if not here else max(1, 90 // len(here))
        return tuple(FakeProcess(pid=tenant.pid, memory_bytes=200 * MIB, sm=share) for tenant in here)

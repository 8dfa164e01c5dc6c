"""What the schedulers of the simulated node have on record: HAMi's annotations, KAI's groups, claims, and what hooks have set.

The records are those that the readers of `exporter.vendors` make of real annotations and objects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from exporter.ids import ClaimId, GpuId
from exporter.model import Missing, Reason
from exporter.records import Claim, ClaimResult, Claims, ClaimUse, Grant, HookKey, Limit, Published, Role, Sharing
from exporter.simulator import identity
from exporter.simulator.hardware import Device, SimGpu
from exporter.simulator.node import SimNode
from exporter.simulator.spec import RESERVATIONS, ClaimSpec, ContainerSpec, GpuSharing
from exporter.simulator.tenancy import SimPod, Tenancy

DRIVER = "gpu.nvidia.com"


def grants(node: SimNode, pod: SimPod) -> tuple[Grant, ...]:
    """The records on a pod's own metadata."""
    return tuple(grant for container in pod.spec.containers for grant in _grants(node, pod, container))


def _grants(node: SimNode, pod: SimPod, container: ContainerSpec) -> Iterator[Grant]:
    ask = container.ask
    for name in dict.fromkeys(ref.gpu for ref in container.holds):
        gpu = _gpu(node, name)
        if gpu.spec.sharing is GpuSharing.HAMI:
            yield Grant(
                sharing=Sharing.HAMI,
                container=container.name,
                device=GpuId(gpu.uuid),
                compute=ask.cores / 100 or None,
                memory_bytes=float(ask.memory_bytes),
                unhooked=not ask.hook,
            )
        elif gpu.spec.sharing is GpuSharing.KAI:
            reserving = pod.spec.namespace == RESERVATIONS
            yield Grant(
                sharing=Sharing.KAI,
                container=container.name,
                resource="" if reserving else "gpu-fraction" if ask.fraction else "gpu-memory",
                device=GpuId(gpu.uuid) if reserving else None,
                group=f"group-{gpu.spec.name}",
                compute=ask.fraction or None,
                memory_bytes=None if reserving or ask.fraction else float(ask.memory_bytes),
                role=Role.RESERVATION if reserving else Role.WORKLOAD,
            )


def limits(node: SimNode, asked: Collection[HookKey]) -> Mapping[HookKey, Limit | Missing]:
    """What the hooks of these containers have set; nothing where a container's is not loaded."""
    found: dict[HookKey, Limit | Missing] = {}
    for tenancy in node.population.tenancies:
        key = (tenancy.pod.uid, tenancy.key.container, str(tenancy.device.uuid))
        if key in asked and tenancy.sharing is Sharing.HAMI:
            memory = None if tenancy.promised_memory is None else float(tenancy.promised_memory)
            hooked = tenancy.ask.hook and bool(tenancy.processes)
            found[key] = Limit(tenancy.promised, memory) if hooked else Missing(Reason.NOT_YET)
    return found


# --- dynamic resources ------------------------------------------------------------------------------------------------


def claim_id(node: SimNode, tenancy: Tenancy) -> ClaimId:
    """What the kubelet says of a claim's device."""
    name = _name(tenancy.gpu, tenancy.device)
    return ClaimId(tenancy.key.namespace, tenancy.ask.claim, DRIVER, node.scenario.node, name)


def claim_uses(pod: SimPod) -> tuple[ClaimUse, ...]:
    """Which container uses which claim."""
    asks = ((container.name, container.ask.claim) for container in pod.spec.containers)
    return tuple(ClaimUse(container, claim) for container, claim in asks if claim)


def claims(node: SimNode) -> Claims | Missing:
    """What the API server has of the node's claims and slices."""
    if not node.scenario.claims:
        return Missing(Reason.NOT_CONFIGURED)
    return Claims(
        items=tuple(_claim(node, spec) for spec in node.scenario.claims),
        published=tuple(_published(node)),
    )


def _claim(node: SimNode, spec: ClaimSpec) -> Claim:
    held = [
        tenancy
        for tenancy in node.population.tenancies
        if (tenancy.key.namespace, tenancy.ask.claim) == (spec.namespace, spec.name)
    ]
    names = dict.fromkeys(_name(tenancy.gpu, tenancy.device) for tenancy in held)
    results = tuple(
        ClaimResult(request=f"gpu-{number}", driver=DRIVER, pool=node.scenario.node, device=name, admin=spec.admin)
        for number, name in enumerate(names)
    )
    uid = identity.uuid(node.population.seed, "claim", spec.namespace, spec.name)
    return Claim(uid=uid, namespace=spec.namespace, name=spec.name, results=results)


def _published(node: SimNode) -> Iterator[Published]:
    """Every device of the node; an instance that is made when it is claimed is published without a UUID."""
    dynamic = any(spec.dynamic for spec in node.scenario.claims)
    for gpu in node.gpus:
        for device in gpu.devices:
            uuid = "" if dynamic and device.row is not None else str(device.uuid)
            profile = "" if device.row is None else device.row.profile.name
            name = _name(gpu, device)
            yield Published(driver=DRIVER, pool=node.scenario.node, name=name, uuid=uuid, profile=profile)


def _name(gpu: SimGpu, device: Device) -> str:
    if device.row is None:
        return f"gpu-{gpu.index}"
    profile = device.row.profile
    return f"gpu-{gpu.index}-mig-{profile.name.replace('.', '')}-{profile.profile_id}-{device.start}"


def _gpu(node: SimNode, name: str) -> SimGpu:
    return next(gpu for gpu in node.gpus if gpu.spec.name == name)

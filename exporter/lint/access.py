"""Lint rules about who gets at a GPU without holding it, and about what ResourceClaims promise."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.ids import is_gpu_resource
from exporter.lint.model import Container, Found, Plan, Rule, Severity, Workload
from exporter.lint.slots import HOOK_RESOURCES
from exporter.model import Sharing
from exporter.policy import Policy

_VISIBLE = "NVIDIA_VISIBLE_DEVICES"
_NONE_VISIBLE = frozenset({"", "none", "void"})
_RUNTIME = "nvidia"
_WHOLE_PERCENT = 100


def _on_gpus(workload: Workload, container: Container) -> bool:
    asks = any(is_gpu_resource(name) or name in HOOK_RESOURCES for name in container.asks)
    return asks or _sees(container) or workload.runtime_class == _RUNTIME


def _sees(container: Container) -> bool:
    return container.env.get(_VISIBLE, "").lower() not in _NONE_VISIBLE


def _tenants(plan: Plan, policy: Policy) -> Iterator[tuple[Workload, Container]]:
    """Containers outside of system namespaces: monitoring agents see every GPU by design."""
    return ((w, c) for w, c in plan.containers() if w.namespace not in policy.system_namespaces)


def visible_devices(plan: Plan, policy: Policy) -> Iterator[Found]:
    """A container names GPUs in its environment: the runtime gives them to it, past kubelet and scheduler.

    Source: NVIDIA container toolkit, accept-nvidia-visible-devices-envvar-when-unprivileged, true by default;
    gpu-operator issues 421, 700, 1027.
    """
    for workload, container in _tenants(plan, policy):
        if _sees(container):
            yield Found(
                where=container.where,
                what=f"{workload.title}/{container.name} sets {_VISIBLE}={container.env[_VISIBLE]}",
                why="it gets GPUs that it does not hold, on whoever's share, where the runtime accepts the variable",
                advice="ask for a resource instead; set accept-nvidia-visible-devices-envvar-when-unprivileged=false",
            )


def privileged(plan: Plan, policy: Policy) -> Iterator[Found]:
    """A privileged container that has to do with GPUs: it can open every device of the node.

    Source: kubernetes.io, pod security standards: privileged containers are not held by the device cgroup.
    """
    for workload, container in _tenants(plan, policy):
        if container.privileged and _on_gpus(workload, container):
            yield Found(
                where=container.where,
                what=f"{workload.title}/{container.name} is privileged",
                why="it can open every GPU of the node, whatever it holds",
                advice="drop privileged; CUDA programs do not need it",
            )


def host_pid(plan: Plan, policy: Policy) -> Iterator[Found]:
    """A tenant's pod that shares the host's processes: it sees, and as root can end, those of its neighbours.

    Source: kubernetes.io, pod security standards, host namespaces.
    """
    for workload in plan.workloads:
        concerned = any(_on_gpus(workload, container) for container in workload.containers)
        if workload.host_pid and concerned and workload.namespace not in policy.system_namespaces:
            yield Found(
                where=workload.where,
                what=f"{workload.title} sets hostPID",
                why="it sees the processes of all other tenants, and as root can end them",
                advice="leave hostPID to monitoring agents in system namespaces",
            )


def claim_time_sliced(plan: Plan, _: Policy) -> Iterator[Found]:
    """A claim that is shared by time-slicing: an interval is set, no share.

    Source: kubernetes-sigs/dra-driver-nvidia-gpu api sharing.go: TimeSlicing configures an interval only.
    """
    for claim in plan.claims:
        if claim.strategy is Sharing.TIME_SLICING:
            yield Found(
                where=claim.where,
                what=f"{claim.title}, request {claim.request}, is shared by time-slicing",
                why="the interval of turns is set; share and memory are not",
                advice="a MIG device class, or MPS limits in the claim",
            )


def claim_threads(plan: Plan, _: Policy) -> Iterator[Found]:
    """A claim that gives each MPS client more than all threads. Source: as claim-time-sliced, mpsConfig."""
    for claim in plan.claims:
        if claim.thread_percentage is not None and claim.thread_percentage > _WHOLE_PERCENT:
            yield Found(
                where=claim.where,
                what=f"{claim.title}, request {claim.request}: MPS threads {claim.thread_percentage} %",
                why="there are 100 %",
                advice="at most 100, shared by all clients of the claim",
            )


def claim_mps(plan: Plan, _: Policy) -> Iterator[Found]:
    """A claim that is shared by MPS: its limits hold for each client, and nothing bounds their sum.

    Source: as claim-time-sliced; the driver starts one control daemon a claim with default limits.
    """
    for claim in plan.claims:
        percent = claim.thread_percentage
        if claim.strategy is Sharing.MPS and (percent is None or percent <= _WHOLE_PERCENT):
            limit = "no limit of threads" if percent is None else f"{percent} % of the threads"
            yield Found(
                where=claim.where,
                what=f"{claim.title}, request {claim.request}, is shared by MPS with {limit}",
                why="limits are for each client process; two clients may use twice that",
                advice="one process a container, and 100 % over the number of containers",
            )


def claim_admin(plan: Plan, policy: Policy) -> Iterator[Found]:
    """A tenant's claim with adminAccess: it uses devices that others hold. Source: kubernetes.io, KEP-5018."""
    for claim in plan.claims:
        if claim.admin and claim.title.partition(" ")[2].partition("/")[0] not in policy.system_namespaces:
            yield Found(
                where=claim.where,
                what=f"{claim.title}, request {claim.request}, has adminAccess",
                why="its pods use devices that others were promised",
                advice="leave adminAccess to monitoring agents in system namespaces",
            )


RULES: tuple[Rule[Plan], ...] = (
    Rule("claim-threads", Severity.IMPOSSIBLE, claim_threads),
    Rule("claim-time-sliced", Severity.UNENFORCED, claim_time_sliced),
    Rule("visible-devices", Severity.BYPASSED, visible_devices),
    Rule("privileged", Severity.BYPASSED, privileged),
    Rule("claim-admin", Severity.BYPASSED, claim_admin),
    Rule("claim-mps", Severity.NOTE, claim_mps),
    Rule("host-pid", Severity.NOTE, host_pid),
)

"""Lint rules about slots and whole GPUs: what the device plugin offers against what manifests ask for."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.ids import SHARED_SUFFIX, is_gpu_resource, profile_of_resource
from exporter.lint.model import Container, Found, Plan, Rule, Severity, SharedResource, Workload, counted
from exporter.model import Sharing
from exporter.policy import Policy

WHOLE = "nvidia.com/gpu"
HOOK_RESOURCES = frozenset(
    {
        "nvidia.com/gpumem",
        "nvidia.com/gpumem-percentage",
        "nvidia.com/gpucores",
        "volcano.sh/vgpu-memory",
        "volcano.sh/vgpu-memory-percentage",
        "volcano.sh/vgpu-cores",
    }
)
"""What HAMi and Volcano's vGPU ask for beside the number of GPUs: such a container's GPUs are not the plugin's slots."""

MPS_CLIENTS = 48
"""Clients that one MPS server takes from compute capability 7.5 on (k8s-device-plugin internal/rm/device.go); 16 below."""


def asks(plan: Plan) -> Iterator[tuple[Workload, Container, str, int]]:
    """Containers that ask for slots of the device plugin's, with the resource and how many."""
    for workload, container in plan.containers():
        if HOOK_RESOURCES.isdisjoint(container.asks):
            for resource, count in container.asks.items():
                # A renamed resource may have any name; it is known by the configuration that renames it.
                if count and (is_gpu_resource(resource) or plan.sharing(resource)):
                    yield workload, container, resource, count


def _shared_asks(plan: Plan, strategy: Sharing) -> Iterator[tuple[Workload, Container, int, SharedResource]]:
    for workload, container, resource, count in asks(plan):
        for shared in plan.sharing(resource):
            if shared.strategy is strategy:
                yield workload, container, count, shared


def slots_above_replicas(plan: Plan, _: Policy) -> Iterator[Found]:
    """More slots of a shared GPU are asked for than the node offers, replicas times GPUs.

    Source: k8s-device-plugin README, shared access: a resource is advertised `replicas` times for each device.
    """
    for resource in dict.fromkeys(shared.advertised for shared in plan.shared if shared.resource == WHOLE):
        asked = sum(w.pods * _slots(w, resource) for w in plan.workloads)
        # Several configurations may stand in one ConfigMap, for several nodes: the most generous one is believed.
        best = max(plan.sharing(resource), key=lambda s: s.replicas * _devices(s, plan.gpus))
        offered = best.replicas * _devices(best, plan.gpus)
        if plan.gpus and asked > offered:
            yield Found(
                where=best.where,
                what=f"{asked} slots of {resource} asked for, {counted(best.replicas, 'replica')} on {counted(plan.gpus, 'GPU')}",
                why=f"{offered} are offered: {asked - offered} will find no place",
                advice="ask for fewer pods, or describe the nodes that carry them with more --gpu",
            )


def _devices(shared: SharedResource, gpus: int) -> int:
    return gpus if shared.devices is None else min(gpus, shared.devices)


def _slots(workload: Workload, resource: str) -> int:
    hooked = any(not HOOK_RESOURCES.isdisjoint(c.asks) for c in workload.containers)
    return 0 if hooked else workload.slots(resource)


def gpus_above_node(plan: Plan, _: Policy) -> Iterator[Found]:
    """More whole GPUs are asked for than the node has. Source: addition."""
    if plan.sharing(WHOLE) or not plan.gpus:
        return
    asking = [w for w in plan.workloads if _slots(w, WHOLE)]
    asked = sum(w.pods * _slots(w, WHOLE) for w in asking)
    if asked > plan.gpus:
        yield Found(
            where=asking[0].where,
            what=f"{asked} × {WHOLE} asked for on a node of {plan.gpus}",
            why=f"{asked - plan.gpus} will find no place",
            advice="ask for fewer, or describe the nodes that carry them with more --gpu",
        )


def two_refused(plan: Plan, _: Policy) -> Iterator[Found]:
    """A container asks for more than one slot where the plugin refuses that at admission.

    Source: k8s-device-plugin internal/rm/rm.go, Allocate; failRequestsGreaterThanOne is true for MPS unless set.
    """
    for strategy in (Sharing.TIME_SLICING, Sharing.MPS):
        for workload, container, count, shared in _shared_asks(plan, strategy):
            if count > 1 and shared.refuses_two:
                yield Found(
                    where=container.where,
                    what=f"{workload.title}/{container.name} asks for {count} × {shared.advertised}",
                    why=f"failRequestsGreaterThanOne ({shared.where}): the pod is refused at admission",
                    advice=f"ask for 1; for a larger share use fewer replicas or another {_word(strategy)} resource",
                )


def two_slices_are_one_turn(plan: Plan, _: Policy) -> Iterator[Found]:
    """A container asks for several time slices: it gets no more compute than with one.

    Source: k8s-device-plugin README, time-slicing: asking for more than one replica guarantees no proportional compute.
    """
    for workload, container, count, shared in _shared_asks(plan, Sharing.TIME_SLICING):
        if count > 1 and not shared.refuses_two:
            yield Found(
                where=container.where,
                what=f"{workload.title}/{container.name} asks for {count} × {shared.advertised}",
                why="no extra compute: turns go by process, not by slot",
                advice="ask for 1, and set failRequestsGreaterThanOne so that nobody else is misled",
            )


def time_slice_unenforced(plan: Plan, _: Policy) -> Iterator[Found]:
    """A time slice is asked for: nobody enforces its share, and of memory nothing is promised at all.

    Source: k8s-device-plugin README, time-slicing: no memory or fault isolation between replicas.
    """
    for workload, container, _count, shared in _shared_asks(plan, Sharing.TIME_SLICING):
        yield Found(
            where=container.where,
            what=f"{workload.title}/{container.name} holds a time slice, 1/{shared.replicas} ({shared.advertised})",
            why=f"a neighbour with more processes gets more turns, and all of the memory ({shared.where})",
            advice="MIG keeps a share by hardware, MPS by a cap; or watch this one with an SLO on its compute",
        )


def shared_by_whom(plan: Plan, _: Policy) -> Iterator[Found]:
    """A shared resource is asked for whose configuration was not given: who keeps it cannot be told.

    Source: k8s-device-plugin: renameByDefault appends `.shared` under time-slicing and under MPS alike.
    """
    for workload, container, resource, _count in asks(plan):
        if resource.endswith(SHARED_SUFFIX) and not plan.sharing(resource):
            yield Found(
                where=container.where,
                what=f"{workload.title}/{container.name} asks for {resource}",
                why="under MPS it is capped for each process, under time-slicing by nobody; no configuration says which",
                advice="give the device plugin's ConfigMap with -f as well",
            )


def mps_on_mig(plan: Plan, _: Policy) -> Iterator[Found]:
    """MPS is configured for a MIG resource, which the plugin refuses.

    Source: k8s-device-plugin internal/plugin/mps.go: sharing with MPS is not supported for MIG devices.
    """
    for shared in plan.shared:
        if shared.strategy is Sharing.MPS and profile_of_resource(shared.resource) is not None:
            yield Found(
                where=shared.where,
                what=f"MPS replicas={shared.replicas} of {shared.resource}",
                why="the device plugin does not support MPS on MIG devices",
                advice="share MIG instances by time-slicing, or use a smaller profile",
            )


def mps_too_many_clients(plan: Plan, _: Policy) -> Iterator[Found]:
    """MPS is configured with more replicas than a server takes clients.

    Source: k8s-device-plugin internal/rm/device.go: 48 from compute capability 7.5 on, else 16.
    """
    for shared in plan.shared:
        if shared.strategy is Sharing.MPS and shared.replicas > MPS_CLIENTS:
            yield Found(
                where=shared.where,
                what=f"MPS replicas={shared.replicas} of {shared.resource}",
                why=f"an MPS server takes {MPS_CLIENTS} clients at the most",
                advice=f"at most {MPS_CLIENTS} replicas",
            )


def mps_many_processes(plan: Plan, _: Policy) -> Iterator[Found]:
    """A container under MPS starts several processes, each of which gets the whole cap.

    Source: the daemon sets defaults for each client (k8s-device-plugin cmd/mps-control-daemon/mps/daemon.go).
    """
    for workload, container, count, shared in _shared_asks(plan, Sharing.MPS):
        if container.processes > 1 and shared.replicas:
            percent = 100 // shared.replicas
            got = container.processes * percent
            yield Found(
                where=container.where,
                what=f"MPS replicas={shared.replicas}, {workload.title}/{container.name} starts {container.processes} processes",
                why=f"the limit is per client: {container.processes} × {percent}% = {got}%, {count * percent}% was asked for",
                advice=f"one process ({container.processes_from!r}), or lower limits in its environment",
            )


def mps_caps_processes(plan: Plan, _: Policy) -> Iterator[Found]:
    """MPS is configured: its caps hold for each client process, not for a pod.

    Source: as mps-many-processes; memory is floor(total / replicas) MiB, threads floor(100 / replicas) %.
    """
    for shared in plan.shared:
        if shared.strategy is Sharing.MPS and shared.replicas:
            yield Found(
                where=shared.where,
                what=f"MPS replicas={shared.replicas} of {shared.resource}",
                why=f"{100 // shared.replicas}% and 1/{shared.replicas} of the memory are caps for each process, not for a pod",
                advice="pods of one CUDA process each keep to it; slicewatch sees those that do not",
            )


def _word(strategy: Sharing) -> str:
    return "MPS" if strategy is Sharing.MPS else "time-sliced"


RULES: tuple[Rule[Plan], ...] = (
    Rule("slots-above-replicas", Severity.IMPOSSIBLE, slots_above_replicas),
    Rule("gpus-above-node", Severity.IMPOSSIBLE, gpus_above_node),
    Rule("two-refused", Severity.IMPOSSIBLE, two_refused),
    Rule("mps-on-mig", Severity.IMPOSSIBLE, mps_on_mig),
    Rule("mps-too-many-clients", Severity.IMPOSSIBLE, mps_too_many_clients),
    Rule("time-slice-unenforced", Severity.UNENFORCED, time_slice_unenforced),
    Rule("mps-many-processes", Severity.LEAKING, mps_many_processes),
    Rule("shared-by-whom", Severity.CONDITIONAL, shared_by_whom),
    Rule("two-slices-are-one-turn", Severity.NOTE, two_slices_are_one_turn),
    Rule("mps-caps-processes", Severity.NOTE, mps_caps_processes),
)

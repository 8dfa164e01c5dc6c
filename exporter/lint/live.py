"""Lint rules about a live node: what its exporter sees promised, against what there is and who keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from exporter.explain import MODES, gibibytes, percent
from exporter.lint.model import Found, LiveNode, LivePartition, LivePromise, Rule, Severity, counted
from exporter.model import DeviceState, Enforcer, Relation, Sharing
from exporter.policy import Policy

_NAMED = 2
_GONE = {
    DeviceState.LOST: "it has fallen off the bus or needs a reset",
    DeviceState.MISSING: "the driver does not list it",
    DeviceState.RECONFIGURED: "the MIG layout was changed under it",
}
_ROUNDING = 1e-3
"""Sums of thirds and sevenths, and a driver's rounding of a profile's memory, are no oversubscription."""


def _by_device(node: LiveNode) -> Iterator[tuple[str, tuple[LivePartition, ...]]]:
    ordered = sorted(node.partitions, key=lambda p: (node.order(p.device), p.device, _name(p)))
    for device, found in groupby(ordered, lambda p: p.device):
        yield device, tuple(found)


def _name(partition: LivePartition) -> str:
    return f"{partition.namespace}/{partition.pod}/{partition.container}"


def _names(partitions: Sequence[LivePartition]) -> str:
    """The first of them by name, and how many more there are: a line is to be read."""
    names = ", ".join(_name(partition) for partition in partitions[:_NAMED])
    more = len(partitions) - _NAMED
    return f"{names} and {more} more" if more > 0 else names


def _mode(partition: LivePartition) -> str:
    return MODES[Sharing(partition.sharing)] if partition.sharing in set(Sharing) else partition.sharing


def _amounts(promises: Iterator[LivePromise | None]) -> float:
    return sum(promise.amount for promise in promises if promise is not None and promise.amount is not None)


def holders_above_replicas(node: LiveNode, _: Policy) -> Iterator[Found]:
    """More slots of a device are held than its plugin offers. Source: the node's own count, design.md conformance."""
    for device, partitions in _by_device(node):
        holders, replicas = partitions[0].holders, partitions[0].replicas
        if replicas is not None and holders > replicas:
            yield Found(
                where=node.place(device),
                what=f"{holders} slots held of {replicas:g}: {_names(partitions)}",
                why=f"each was promised 1/{replicas:g}, {holders} share it",
                advice="drain the node after a change of replicas, so that old leases end",
            )


def compute_above_gpu(node: LiveNode, _: Policy) -> Iterator[Found]:
    """The shares of a GPU that are promised add up to more than the GPU. Source: addition."""
    by_gpu = groupby(sorted(node.partitions, key=lambda p: p.gpu), lambda p: p.gpu)
    for gpu, partitions in ((gpu, tuple(found)) for gpu, found in by_gpu):
        total = _amounts(p.compute for p in partitions)
        if total > 1 + _ROUNDING:
            yield Found(
                where=node.place(gpu),
                what=f"compute promised to {counted(len(partitions), 'partition')}",
                why=f"{percent(total)} of the GPU are promised",
                advice="fewer holders, or lower promises in the policy file",
            )


def memory_above_device(node: LiveNode, _: Policy) -> Iterator[Found]:
    """The memory of a device that is promised adds up to more than the device has. Source: addition."""
    memory = {device.uuid: device.memory for device in node.devices}
    for device, partitions in _by_device(node):
        total, has = _amounts(p.memory for p in partitions), memory.get(device)
        if has is not None and total > has * (1 + _ROUNDING):
            yield Found(
                where=node.place(device),
                what=f"memory promised to {counted(len(partitions), 'partition')}",
                why=f"{gibibytes(total)} are promised, {gibibytes(has)} are there",
                advice="fewer holders, or lower promises in the policy file",
            )


def device_gone(node: LiveNode, _: Policy) -> Iterator[Found]:
    """A device that is held is not there. Source: the driver's list against the kubelet's, design.md availability."""
    for partition in node.partitions:
        gone = _GONE.get(DeviceState(partition.state)) if partition.state in set(DeviceState) else None
        if gone is not None:
            yield Found(
                where=node.place(partition.gpu),
                what=f"{_name(partition)} holds {partition.promised_profile or _mode(partition)} {partition.device}",
                why=gone,
                advice="end the pod, so that it is given a device that is there",
            )


def conformance_broken(node: LiveNode, _: Policy) -> Iterator[Found]:
    """A partition's device is less than what was promised. Source: the exporter's verdict on conformance."""
    for partition in node.partitions:
        lost = {cause: part for cause, part in partition.conformance.items() if cause != "oversubscribed"}
        for cause, part in lost.items():
            yield Found(
                where=node.place(partition.device),
                what=f"{_name(partition)} was promised {partition.promised_profile or _mode(partition)}",
                why=f"{cause}: {percent(part)} of it is missing",
                advice=f"slicewatch why {partition.namespace}/{partition.pod}",
            )


def nobody_enforces(node: LiveNode, _: Policy) -> Iterator[Found]:
    """Promises of a device that nobody keeps. Source: the table of design.md section 3."""
    for device, partitions in _by_device(node):
        loose = [p for p in partitions if any(_loose(promise) for promise in (p.compute, p.memory))]
        if loose:
            yield Found(
                where=node.place(device),
                what=f"{_mode(loose[0])} of {counted(len(loose), 'holder')}: {_names(loose)}",
                why=f"{', '.join(_dimensions(loose))}: declared only",
                advice="MIG keeps a share by hardware, MPS by a cap; or watch them with an SLO on compute",
            )


def _loose(promise: LivePromise | None) -> bool:
    return promise is not None and promise.enforcer == Enforcer.NOBODY


def _dimensions(partitions: list[LivePartition]) -> Iterator[str]:
    for name, promises in (("compute", [p.compute for p in partitions]), ("memory", [p.memory for p in partitions])):
        if any(_loose(promise) for promise in promises):
            yield name


def mps_processes(node: LiveNode, _: Policy) -> Iterator[Found]:
    """A pod runs more processes under MPS than it holds slots, and each gets the whole cap of a client.

    Source: the daemon sets defaults for each client (k8s-device-plugin cmd/mps-control-daemon/mps/daemon.go).
    """
    for partition in node.partitions:
        count, compute = partition.processes, partition.compute
        if partition.sharing != Sharing.MPS or count is None or count <= partition.slots:
            continue
        replicas = "?" if partition.replicas is None else f"{partition.replicas:g}"
        cap = None if compute is None or compute.amount is None else compute.amount / partition.slots
        limit = "" if cap is None else f": {count} × {percent(cap)} = {percent(count * cap)}"
        yield Found(
            where=node.place(partition.device),
            what=f"MPS replicas={replicas}, pod {_name(partition)} runs {count} CUDA processes",
            why=f"the limit is per client{limit}",
            advice="one process a slot, or lower limits in the pod's environment",
        )


def hook_alone(node: LiveNode, _: Policy) -> Iterator[Found]:
    """A share that a hook inside of the tenant throttles. Source: HAMi issue 737: off by default while it is alone."""
    for partition in node.partitions:
        if partition.compute is not None and partition.compute.enforcer == Enforcer.HOOK:
            yield Found(
                where=node.place(partition.device),
                what=f"{_mode(partition)} share of {_name(partition)}",
                why="a hook in the tenant throttles it; under the default policy not while the pod is alone",
                advice="GPU_CORE_UTILIZATION_POLICY=force where a benchmark must not depend on neighbours",
            )


def slots_are_one_turn(node: LiveNode, _: Policy) -> Iterator[Found]:
    """A container holds several time slices of one device. Source: k8s-device-plugin README, time-slicing."""
    for partition in node.partitions:
        if partition.sharing == Sharing.TIME_SLICING and partition.slots > 1:
            yield Found(
                where=node.place(partition.device),
                what=f"{_name(partition)} holds {partition.slots} time slices",
                why="no extra compute: turns go by process, not by slot",
                advice="ask for 1, and set failRequestsGreaterThanOne",
            )


def unowned_processes(node: LiveNode, _: Policy) -> Iterator[Found]:
    """A process runs on a device without holding it. Source: the exporter's join of driver, kubelet and procfs."""
    partitions = {partition.device for partition in node.partitions}
    for process in node.processes:
        if process.relation in {Relation.ROGUE, Relation.HOST} and process.device in partitions:
            owner = f"pod {process.namespace}/{process.pod}" if process.pod else "no pod"
            yield Found(
                where=node.place(process.device),
                what=f"process {process.pid} ({process.command}) of {owner}",
                why="it holds nothing on this device, and others do",
                advice="NVIDIA_VISIBLE_DEVICES, privileged or the host itself let it in; lint its manifest",
            )


RULES: tuple[Rule[LiveNode], ...] = (
    Rule("holders-above-replicas", Severity.IMPOSSIBLE, holders_above_replicas),
    Rule("compute-above-gpu", Severity.IMPOSSIBLE, compute_above_gpu),
    Rule("memory-above-device", Severity.IMPOSSIBLE, memory_above_device),
    Rule("device-gone", Severity.IMPOSSIBLE, device_gone),
    Rule("conformance-broken", Severity.IMPOSSIBLE, conformance_broken),
    Rule("nobody-enforces", Severity.UNENFORCED, nobody_enforces),
    Rule("mps-processes", Severity.LEAKING, mps_processes),
    Rule("unowned-processes", Severity.BYPASSED, unowned_processes),
    Rule("hook-alone", Severity.CONDITIONAL, hook_alone),
    Rule("slots-are-one-turn", Severity.NOTE, slots_are_one_turn),
)

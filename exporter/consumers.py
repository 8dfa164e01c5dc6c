"""Whose process is it: every process of a device, with its relation to those who hold the device.

Pure. A pid is placed by its cgroup: the outermost pod on the path that the pod store knows, and in it the container by
its id. Inner names are not believed: a tenant that may write to its cgroup can create a child called after another pod;
a cluster nested in a pod, or around this one, has uids that this node's store does not know. What is not known stays
unknown: a process is not charged to the only holder because he is the only one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.catalogue import PartitionKey
from exporter.leases import Lease
from exporter.model import (
    Consumer,
    Device,
    Missing,
    Pod,
    Pods,
    Process,
    ProcessFacts,
    ProcessTable,
    Reading,
    Reason,
    Relation,
)
from exporter.policy import Policy


@dataclass(frozen=True, slots=True)
class PodIndex:
    """The pod store by what a cgroup path carries: the uid, or a static pod's config hash."""

    by_cgroup: Mapping[str, Pod]
    known: bool  # whether there is a pod store at all


def index_pods(pods: Pods | Missing) -> PodIndex:
    """Index the store; without one no process can be placed."""
    if isinstance(pods, Missing):
        return PodIndex({}, known=False)
    by_cgroup = {pod.uid: pod for pod in pods.items}
    by_cgroup |= {pod.config_hash: pod for pod in pods.items if pod.config_hash}
    return PodIndex(by_cgroup, known=True)


def consumers_of(
    device: Device,
    holders: Sequence[Lease],
    table: ProcessTable | Missing,
    pods: PodIndex,
    policy: Policy,
    guessed: Collection[tuple[str, str]] = (),
) -> tuple[Consumer, ...] | Missing:
    """Place every process of the device; Missing when the driver or procfs does not show them.

    `guessed` are pods (namespace, name) of which the kubelet says that they have a part of the device, whatever their
    records say: a record is the pod's own text, and no tenant makes itself a stranger by what it writes.
    """
    processes = device.use.processes
    if isinstance(processes, Missing):
        return processes
    if isinstance(table, Missing):
        return table if processes else ()
    if processes and not any(process.pid in table for process in processes):
        # Not one of the driver's pids is in procfs: they are numbers of another pid namespace (hostPID is off).
        return Missing(Reason.HOST_PID)
    placed = (_place(process, table.get(process.pid), holders, pods, policy, guessed) for process in processes)
    return tuple(sorted(placed, key=lambda consumer: consumer.process.pid))


def carried(
    before: tuple[Consumer, ...] | Missing,
    processes: tuple[Process, ...] | Missing,
    then: ProcessTable | Missing,
    now: ProcessTable | Missing,
) -> tuple[Consumer, ...] | None:
    """Return the consumers of before with their processes as they read now; None where somebody is to be placed anew.

    Holders, pods and policy must be those of before. Then what a process is hangs on who it is alone.
    """
    if isinstance(before, Missing) or isinstance(processes, Missing) or len(before) != len(processes):
        return None
    if isinstance(then, Missing) or isinstance(now, Missing):
        return None
    same = True
    for consumer, process in zip(before, processes, strict=True):
        pid = process.pid
        if pid != consumer.process.pid or then.get(pid) is not now.get(pid):
            return None
        same = same and consumer.process is process
    return before if same else tuple(_as_read(c, process) for c, process in zip(before, processes, strict=True))


def _as_read(consumer: Consumer, process: Process) -> Consumer:
    if consumer.process is process:
        return consumer
    return Consumer(
        process=process,
        command=consumer.command,
        relation=consumer.relation,
        holder=consumer.holder,
        namespace=consumer.namespace,
        pod=consumer.pod,
        settled=consumer.settled,
    )


def _place(
    process: Process,
    facts: ProcessFacts | None,
    holders: Sequence[Lease],
    pods: PodIndex,
    policy: Policy,
    guessed: Collection[tuple[str, str]],
) -> Consumer:
    if facts is None:
        return Consumer(process=process, command="", relation=Relation.UNKNOWN)
    if not facts.pods:
        allowed = policy.allows(facts.command, None)
        return Consumer(process=process, command=facts.command, relation=Relation.ALLOWED if allowed else Relation.HOST)
    for candidate in reversed(facts.pods):
        pod = pods.by_cgroup.get(candidate.pod_uid)
        if pod is not None:
            container = pod.container_ids.get(candidate.container_id or "", "")
            found = _of_pod(process, facts.command, pod, container, holders, policy)
            excused = found.relation is Relation.ROGUE and (pod.namespace, pod.name) in guessed
            return replace(found, relation=Relation.POD) if excused else found
    return Consumer(process=process, command=facts.command, relation=Relation.UNKNOWN)


def _of_pod(
    process: Process, command: str, pod: Pod, container: str, holders: Sequence[Lease], policy: Policy
) -> Consumer:
    relation, holder = _relation(pod, container, holders)
    if relation is Relation.ROGUE and policy.allows(command, pod.namespace):
        relation = Relation.ALLOWED
    return Consumer(
        process=process, command=command, relation=relation, holder=holder, namespace=pod.namespace, pod=pod.name
    )


def _relation(pod: Pod, container: str, holders: Sequence[Lease]) -> tuple[Relation, PartitionKey | None]:
    own = [lease.key for lease in holders if (lease.key.namespace, lease.key.pod) == (pod.namespace, pod.name)]
    if not own:
        return Relation.ROGUE, None
    exact = [key for key in own if key.container == container]
    if exact:
        return Relation.OWNER, exact[0]
    # Another container of the pod: an init or debug container works for the one holder there is; with several, whose
    # it is cannot be told, and it is the pod's.
    return Relation.POD, own[0] if len(own) == 1 else None


def total(values: Sequence[Reading]) -> Reading:
    """Add readings up; one that is missing makes the sum missing, for its reason."""
    result = 0.0
    for value in values:
        if isinstance(value, Missing):
            return value
        result += value
    return result

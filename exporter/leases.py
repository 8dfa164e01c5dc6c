"""Who holds what, over time: the kubelet's answers and the pod store, folded into leases.

Pure. One answer of the kubelet proves little: an old kubelet lists pods that have ended, a new pod is listed before the
API server's watch tells of it, an answer is up to a poll old. So a lease begins when its pod is known (or nobody can
know pods here), ends when two fresh answers or the pod's deletion say so, and never changes its device: an id that
resolves to another device later is the same lease on a device that is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.catalogue import PartitionKey
from exporter.claims import Claimed, index
from exporter.holdings import Held, Name, holdings
from exporter.ids import ClaimId, DeviceId, MigPathId, MinorId, SplitId, UnknownId
from exporter.model import Allocation, Allocations, DeviceUuid, Missing, Owner, Pod, Pods, PromiseSource
from exporter.promised_profile import promised_profile
from exporter.records import Grant, Prepared, Role, Sharing
from exporter.resolve import Found, World

_FRESH_MISSES = 2
"""A lease ends when this many fresh answers in a row do not list it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A partition's standing facts. `ids` are the kubelet's ids that make its slots."""

    key: PartitionKey
    owner: Owner
    resource: str
    ids: frozenset[DeviceId]
    promised_profile: str
    profile_source: PromiseSource
    grant: Grant | None = None
    misses: int = 0

    @property
    def slots(self) -> int:
        """How many slots of the device the container holds."""
        return len(self.ids)

    @property
    def shared(self) -> bool:
        """Whether the ids are replicas of a device rather than the device, or the record is of a part of it."""
        if self.grant is not None:
            return self.grant.shared
        return any(id_.replica is not None for id_ in self.ids)


@dataclass(frozen=True, slots=True)
class Leases:
    """All leases, the bindings of ids whose spelling does not carry the device, and pods that wait for a fresh answer."""

    by_key: Mapping[PartitionKey, Lease] = field(default_factory=dict)
    bound: Mapping[tuple[str, str, str, DeviceId], Found] = field(default_factory=dict)
    reborn: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (namespace, pod) → serial that is too old
    serial: int = 0  # of the answer that was folded in last


@dataclass(frozen=True, slots=True)
class Holding:
    """The result: leases, and what could not be placed, by kind and identity (so that it can be held for two joins)."""

    leases: Leases
    oddities: frozenset[tuple[str, str]]
    complete: bool = False  # the answer lists every lease


def hold(
    leases: Leases,
    allocations: Allocations | Missing,
    pods: Pods | Missing,
    world: World,
    labels: Mapping[str, str],
    prepared: Iterable[Prepared] = (),
) -> Holding:
    """Fold one answer of the kubelet and one state of the pod store into the leases."""
    known = {} if isinstance(pods, Missing) else {(pod.namespace, pod.name): pod for pod in pods.items}
    if isinstance(allocations, Missing):
        return Holding(_without_deleted(leases, pods, known, serial=0), frozenset())
    current = _without_deleted(leases, pods, known, serial=allocations.serial)
    oddities: set[tuple[str, str]] = set()
    bound: dict[tuple[str, str, str, DeviceId], Found] = {}
    grouped: dict[PartitionKey, list[Held]] = defaultdict(list)
    claimed = Claimed() if isinstance(pods, Missing) else index(pods.claims, prepared)
    store = None if isinstance(pods, Missing) else known
    held = holdings(allocations.items, known, _remembered(current, known), claimed, oddities)
    split = _split(allocations)
    for each, found in _placed(held, allocations.serial, store, world, current, oddities):
        item = each.item
        key = PartitionKey(found.gpu, found.uuid, item.namespace, item.pod, item.container)
        if _by_pod(each) and key not in current.by_key and not (split is None or found.gpu in split):
            oddities.add(("unresolved_device_id", f"{item.resource} {item.device}"))
            continue
        bound[(item.namespace, item.pod, item.container, item.device)] = found
        grouped[key].append(each)
    for key in _conflicting(grouped, current, oddities):
        del grouped[key]
    by_key = {key: _lease(key, items, current.by_key.get(key), known, world, labels) for key, items in grouped.items()}
    for key, lease in current.by_key.items():
        if key not in by_key and (kept := _missed(lease, fresh=allocations.serial != leases.serial)) is not None:
            by_key[key] = kept
    kept_bound = {k: f for k, f in current.bound.items() if _key(k, f) in by_key} | bound
    reborn = {name: serial for name, serial in current.reborn.items() if serial >= allocations.serial}
    folded = Leases(dict(sorted(by_key.items())), kept_bound, reborn, allocations.serial)
    return Holding(folded, frozenset(oddities), complete=grouped.keys() == by_key.keys())


def _split(allocations: Allocations) -> frozenset[str] | None:
    """GPUs that HAMi's plugin gives out in parts, as the kubelet tells them; None where it does not tell what is offered."""
    if isinstance(allocations.allocatable, Missing):
        return None
    told = [device for _, device in allocations.allocatable] + [item.device for item in allocations.items]
    return frozenset(device.uuid for device in told if isinstance(device, SplitId))


def _by_pod(held: Held) -> bool:
    """Whether nobody but the pod itself says which device it is: HAMi's record, which whoever may annotate pods may write."""
    return held.grant is not None and held.grant.sharing in {Sharing.HAMI, Sharing.MIG} and not held.grant.claim


def _remembered(leases: Leases, known: Mapping[tuple[str, str], Pod]) -> dict[Name, list[Grant]]:
    """The records of leases that there are: written on a pod by its scheduler, and read once."""
    found: dict[Name, list[Grant]] = defaultdict(list)
    for key, lease in leases.by_key.items():
        pod = known.get((key.namespace, key.pod))
        same = pod is None or lease.owner.pod_uid in {"", pod.uid}
        if lease.grant is not None and lease.grant.sharing is not Sharing.DRA and same:
            found[(key.namespace, key.pod, key.container)].append(lease.grant)
    return found


def _key(identity: tuple[str, str, str, DeviceId], found: Found) -> PartitionKey:
    namespace, pod, container, _ = identity
    return PartitionKey(found.gpu, found.uuid, namespace, pod, container)


def _without_deleted(
    leases: Leases, pods: Pods | Missing, known: Mapping[tuple[str, str], Pod], *, serial: int
) -> Leases:
    """Drop the leases of pods that the store saw end, be deleted, or be replaced by a pod of the same name."""
    if isinstance(pods, Missing):
        return leases
    kept: dict[PartitionKey, Lease] = {}
    reborn = dict(leases.reborn)
    for key, lease in leases.by_key.items():
        uid = lease.owner.pod_uid
        pod = known.get((key.namespace, key.pod))
        if pod is not None and uid and pod.uid != uid:
            # The kubelet's answer may still mean the old pod: wait for one that was asked after the change.
            reborn[(key.namespace, key.pod)] = serial
        elif not _ended(pod, key.container) and (not uid or uid not in pods.deleted):
            kept[key] = lease
    return replace(leases, by_key=kept, reborn=reborn)


def _ended(pod: Pod | None, container: str) -> bool:
    """Up to Kubernetes 1.33 the kubelet's List still names ended pods (kubernetes/kubernetes#132028)."""
    return pod is not None and (pod.terminal or container in pod.ended_containers)


def _placed(
    held: Iterable[Held],
    serial: int,
    known: Mapping[tuple[str, str], Pod] | None,
    world: World,
    leases: Leases,
    oddities: set[tuple[str, str]],
) -> Iterator[tuple[Held, Found]]:
    for each in held:
        item = each.item
        name = (item.namespace, item.pod)
        if known is not None:
            pod = known.get(name)
            if pod is None:
                oddities.add(("unknown_pod", "/".join(name)))
                continue
            if _ended(pod, item.container):
                oddities.add(("terminal_pod", "/".join((*name, item.container))))
                continue
            if leases.reborn.get(name, -1) >= serial:
                continue
        found = _found(item, world, leases)
        if found is None:
            oddities.add(("unresolved_device_id", f"{item.resource} {item.device}"))
            continue
        yield each, found


def _found(item: Allocation, world: World, leases: Leases) -> Found | None:
    """Resolve an id once per lease: instance and minor numbers are reused, so a later look-up could name another device."""
    if isinstance(item.device, MigPathId | MinorId | ClaimId):
        bound = leases.bound.get((item.namespace, item.pod, item.container, item.device))
        if bound is not None:
            return bound
    return world.resolve(item.device)


def _conflicting(
    grouped: Mapping[PartitionKey, Sequence[Held]], before: Leases, oddities: set[tuple[str, str]]
) -> list[PartitionKey]:
    """Two pods that both claim a device for themselves: nobody can tell whose it is, so it is neither's.

    Containers of one claim have it together, and an administrator's access takes nothing. What only the pod itself says
    takes no device from whom the kubelet or a claim gave it to, nor from who has it already.
    """
    exclusive: dict[tuple[str, str], dict[PartitionKey, object]] = defaultdict(dict)
    for key, items in grouped.items():
        if not any(_part(each) for each in items):
            claims = {each.grant.claim for each in items if each.grant is not None and each.grant.claim}
            exclusive[(key.gpu, key.device)][key] = claims.pop() if claims else (key.namespace, key.pod)
    conflicting: list[PartitionKey] = []
    for (_, device), claimants in exclusive.items():
        if len(set(claimants.values())) > 1:
            oddities.add(("conflict", device))
            vouched = [key for key in claimants if not any(_by_pod(each) for each in grouped[key])]
            first = vouched or [key for key in claimants if key in before.by_key]
            sure = len({claimants[key] for key in first}) == 1
            conflicting.extend(key for key in claimants if not sure or key not in first)
    return conflicting


def _part(held: Held) -> bool:
    """Whether others may hold the device beside this."""
    if held.grant is not None:
        return held.grant.shared or held.grant.role is not Role.WORKLOAD
    return isinstance(held.item.device, UnknownId) or held.item.device.replica is not None


def _lease(
    key: PartitionKey,
    held: list[Held],
    before: Lease | None,
    known: Mapping[tuple[str, str], Pod],
    world: World,
    labels: Mapping[str, str],
) -> Lease:
    resource = min(each.item.resource for each in held)
    grant = next((each.grant for each in held if each.grant is not None), None)
    if before is not None and before.promised_profile and (grant is None or before.grant == grant):
        profile, source = before.promised_profile, before.profile_source
    else:
        attached = world.known.get(DeviceUuid(key.device))
        profile, source = promised_profile(resource, labels, "" if attached is None else attached.profile, grant)
    owner = _owner(key, known.get((key.namespace, key.pod)), before)
    lease = Lease(
        key=key if before is None else before.key,
        owner=owner if grant is None else replace(owner, role=grant.role),
        resource=resource,
        ids=frozenset(each.item.device for each in held),
        promised_profile=profile,
        profile_source=source,
        grant=grant,
    )
    # The same object for the same lease: what was made of it need not be made again.
    return before if lease == before else lease


def _owner(key: PartitionKey, pod: Pod | None, before: Lease | None) -> Owner:
    if pod is not None:
        return Owner(
            namespace=key.namespace,
            pod=key.pod,
            container=key.container,
            pod_uid=pod.uid,
            workload_kind=pod.workload_kind,
            workload=pod.workload,
        )
    if before is not None:
        return before.owner
    return Owner(namespace=key.namespace, pod=key.pod, container=key.container)


def _missed(lease: Lease, *, fresh: bool) -> Lease | None:
    """Count a fresh answer that does not list the lease; the second ends it."""
    if not fresh:
        return lease
    misses = lease.misses + 1
    return None if misses >= _FRESH_MISSES else replace(lease, misses=misses)

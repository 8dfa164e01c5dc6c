"""What stands from tick to tick: the leases and all that follows from them. Pure.

The kubelet answers every few seconds and pods change seldom, while a tick is a second. So leases are folded, and slots,
offers and claims counted, when something that they are made of is another object than before, and not on every tick. A
source hands over the same object for as long as it has nothing new to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from exporter.catalogue import PartitionKey
from exporter.consumers import PodIndex, index_pods
from exporter.leases import Lease, Leases, hold
from exporter.model import Allocations, DeviceState, DeviceUuid, GpuUuid, Missing, Pods, Reading, Reason
from exporter.records import Prepared, Sharing
from exporter.resolve import Index, World
from exporter.sharing import replicas_of, sharing_told
from exporter.tallies import guesses, holders_of, offers, replicas_offered, sharers, slots_held
from exporter.usage import crowded_instances

_NO_PODS = PodIndex({}, known=False)

DEVICE = "missing_device"
AGAINST_DEVICE = frozenset({DeviceState.MISSING, DeviceState.RECONFIGURED})


@dataclass(frozen=True, slots=True, eq=False)
class Grounds:
    """What leases are made of, besides the leases before."""

    allocations: Allocations | Missing
    pods: Pods | Missing
    prepared: tuple[Prepared, ...]
    labels: Mapping[str, str]
    index: Index
    answered: bool
    known: AbstractSet[DeviceUuid]

    def same(self, other: Grounds) -> bool:
        """Whether another tick's grounds say nothing else, whatever the number of the answer.

        What is long is compared by identity alone.
        """
        return (
            _same_answer(self.allocations, other.allocations)
            and _same(self.pods, other.pods)
            and self.index is other.index
            and self.answered == other.answered
            and self.prepared == other.prepared
            and self.labels == other.labels
            and self.known == other.known
        )


def _same_answer(one: Allocations | Missing, other: Allocations | Missing) -> bool:
    if isinstance(one, Missing) or isinstance(other, Missing):
        return one == other
    return one.items is other.items and _same(one.allocatable, other.allocatable)


def _same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, Missing) and one == other)


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be said of a lease without a reading."""

    state: DeviceState
    sharing: Sharing | None  # None: only the driver's list of processes tells it
    replicas: Reading
    holders: int  # slots of the device that all hold together
    together: tuple[PartitionKey, ...]  # who has the device by the lease's claim
    joint: int
    illegible: Reason | None  # why the record of what was promised cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Leases, what does not fit among them by kind and identity, and what they and the offers add up to."""

    grounds: Grounds | None = None
    settled: bool = False  # folding the same grounds in again would change nothing
    numberless: bool = False  # nor would folding them in as another answer
    leases: Leases = field(default_factory=Leases)
    oddities: frozenset[tuple[str, str]] = frozenset()
    pods: PodIndex = _NO_PODS
    holders: Mapping[tuple[GpuUuid, DeviceUuid], Sequence[Lease]] = field(default_factory=dict)
    facts: Mapping[PartitionKey, Facts] = field(default_factory=dict)
    held: Counter[DeviceUuid] = field(default_factory=Counter)
    offers: frozenset[DeviceUuid] = frozenset()
    crowded: frozenset[tuple[GpuUuid, int]] = frozenset()
    guessed: Mapping[str, Collection[tuple[str, str]]] = field(default_factory=dict)


def stand(
    before: Standing,
    allocations: Allocations | Missing,
    pods: Pods | Missing,
    prepared: tuple[Prepared, ...],
    here: World,
    labels: Mapping[str, str],
) -> Standing:
    """Return what stands now: what stood before, where nothing can have changed."""
    grounds = Grounds(allocations, pods, prepared, labels, here.index, here.answered, here.known.keys())
    if before.settled and before.grounds is not None and grounds.same(before.grounds):
        serial = before.leases.serial if isinstance(allocations, Missing) else allocations.serial
        if serial == before.leases.serial:
            return before
        if before.numberless:
            return replace(before, leases=replace(before.leases, serial=serial))
    holding = hold(before.leases, allocations, pods, here, labels, prepared)
    leases = holding.leases
    held, holders = slots_held(leases), holders_of(leases)
    joint, offered, offered_devices = sharers(leases), replicas_offered(allocations, here), offers(allocations, here)
    facts = {
        key: Facts(
            state=here.state(GpuUuid(key.gpu), DeviceUuid(key.device)),
            sharing=sharing_told(lease, labels, here.known.get(DeviceUuid(key.device))),
            replicas=replicas_of(lease, labels, offered),
            holders=held[DeviceUuid(key.device)],
            together=_together(lease, holders),
            joint=1 if lease.grant is None else max(1, joint[DeviceUuid(key.device), lease.grant.claim]),
            illegible=_illegible(lease, pods),
        )
        for key, lease in leases.by_key.items()
    }
    return Standing(
        grounds=grounds,
        # An answer's number counts only where a lease is not listed in it, and that changes the lease.
        settled=replace(leases, serial=before.leases.serial) == before.leases,
        # Pods that wait for another answer, and leases that are missing from this one, count answers.
        numberless=holding.complete and not leases.reborn,
        leases=leases,
        oddities=holding.oddities | _gone(facts) | _stale(offered_devices, here),
        pods=index_pods(pods),
        holders=holders,
        facts=facts,
        held=held,
        offers=offered_devices,
        crowded=crowded_instances(here, held),
        guessed=guesses(allocations),
    )


def _gone(facts: Mapping[PartitionKey, Facts]) -> frozenset[tuple[str, str]]:
    return frozenset((DEVICE, key.device) for key, fact in facts.items() if fact.state in AGAINST_DEVICE)


def _stale(found: frozenset[DeviceUuid], here: World) -> frozenset[tuple[str, str]]:
    """Where what the device plugin offers is not what the driver has: it does not look again by itself.

    A GPU whose plugin offers it whole in spite of its instances (strategy `none`) is offered.
    """
    if not here.answered or not found:
        return frozenset()
    there = [device for device in here.present.values() if not device.lost and not here.is_mig_parent(device)]
    unoffered = [device.uuid for device in there if not found & {device.uuid, DeviceUuid(device.gpu)}]
    return frozenset(
        [("unoffered_device", uuid) for uuid in unoffered]
        + [("stale_offer", uuid) for uuid in found - here.present.keys()]
    )


def _together(lease: Lease, holders: Mapping[tuple[GpuUuid, DeviceUuid], Sequence[Lease]]) -> tuple[PartitionKey, ...]:
    """Who has the device by the lease's claim."""
    claim = "" if lease.grant is None else lease.grant.claim
    if not claim:
        return ()
    held = holders.get((GpuUuid(lease.key.gpu), DeviceUuid(lease.key.device)), ())
    return tuple(each.key for each in held if each.grant is not None and each.grant.claim == claim)


def _illegible(lease: Lease, pods: Pods | Missing) -> Reason | None:
    """Why the record of what the lease was promised cannot be read."""
    if lease.grant is None or lease.grant.legible:
        return None
    if lease.grant.sharing is not Sharing.DRA:
        return Reason.ERROR
    claims = pods if isinstance(pods, Missing) else pods.claims
    return claims.reason if isinstance(claims, Missing) else Reason.NOT_YET

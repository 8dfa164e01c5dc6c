"""What containers hold, by the records that say it better than the kubelet's ids: vendors yield records, this applies them.

Pure. A record never gives what the kubelet knows nothing of: HAMi's needs an id of that container, KAI's a reservation pod
that holds the GPU, a claim's the kubelet's word that it is prepared. Records on a pod are read once, when its lease begins:
what a tenant writes there later changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.claims import Claimed, given
from exporter.ids import ClaimId, DeviceId, SplitId
from exporter.model import Allocation, Pod
from exporter.records import Grant, Role, Sharing

Name = tuple[str, str, str]
"""Namespace, pod, container."""

_CARVED = frozenset({Sharing.HAMI, Sharing.MIG})


@dataclass(frozen=True, slots=True)
class Held:
    """One device that a container holds, with the record that says so, where there is one."""

    item: Allocation
    grant: Grant | None = None


def holdings(
    items: Iterable[Allocation],
    known: Mapping[tuple[str, str], Pod],
    remembered: Mapping[Name, Sequence[Grant]],
    claimed: Claimed,
    oddities: set[tuple[str, str]],
) -> list[Held]:
    """Apply every record to one answer of the kubelet. `remembered` are the records of leases that there are already."""
    by_container: dict[Name, list[Allocation]] = defaultdict(list)
    for item in items:
        by_container[(item.namespace, item.pod, item.container)].append(item)
    groups: dict[str, DeviceId] = {}
    held: list[Held] = []
    for name, found in by_container.items():
        pod = known.get(name[:2])
        records = remembered.get(name) or [g for g in _of(pod) if g.container == name[2]]
        reserving = next((grant for grant in records if grant.role is Role.RESERVATION), None)
        if reserving is not None:
            groups[reserving.group] = found[0].device
            held.extend(Held(item, reserving) for item in found)
            if reserving.device not in {None, *(item.device for item in found)}:
                oddities.add(("overruled_device_id", "/".join(name)))
            continue
        held.extend(_carved(name, found, records, oddities))
        held.extend(_plain(found, pod, claimed, oddities))
    return held + list(_fractions(known, remembered, groups, oddities))


def _of(pod: Pod | None) -> Sequence[Grant]:
    return () if pod is None else pod.grants


def _carved(
    name: Name, items: Sequence[Allocation], records: Iterable[Grant], oddities: set[tuple[str, str]]
) -> Iterator[Held]:
    """HAMi and Volcano: the record says which device it is, the kubelet's ids say how many."""
    slots = [item for item in items if isinstance(item.device, SplitId)]
    if not slots:
        return
    by_device: dict[DeviceId, Grant] = {}
    for grant in [grant for grant in records if grant.sharing in _CARVED][: len(slots)]:
        if grant.device is not None:
            before = by_device.get(grant.device)
            by_device[grant.device] = grant if before is None else _together(before, grant)
    if not by_device:
        for item in slots:
            yield Held(item)  # a guess without a record: the device stays unresolved
        return
    guessed = {item.device.uuid for item in slots if isinstance(item.device, SplitId)}
    if any(grant.sharing is Sharing.HAMI and getattr(d, "uuid", "") not in guessed for d, grant in by_device.items()):
        oddities.add(("overruled_device_id", "/".join(name)))
    for device, grant in by_device.items():
        yield Held(replace(slots[0], device=device, resource=grant.resource or slots[0].resource), grant)


def _together(one: Grant, other: Grant) -> Grant:
    """Two parts of one device in one container are one part."""
    return replace(
        one,
        compute=None if one.compute is None or other.compute is None else one.compute + other.compute,
        memory_bytes=None
        if one.memory_bytes is None or other.memory_bytes is None
        else one.memory_bytes + other.memory_bytes,
        legible=one.legible and other.legible,
    )


def _plain(
    items: Iterable[Allocation], pod: Pod | None, claimed: Claimed, oddities: set[tuple[str, str]]
) -> Iterator[Held]:
    for item in items:
        if isinstance(item.device, ClaimId):
            found = given(item, item.device, pod, claimed)
            if found is None:
                continue
            if found.odd is not None:
                oddities.add((found.odd, f"{item.device.namespace}/{item.device.claim} {item.device.device}"))
            yield Held(replace(item, device=found.device), found.grant)
        elif not isinstance(item.device, SplitId):
            yield Held(item)


def _fractions(
    known: Mapping[tuple[str, str], Pod],
    remembered: Mapping[Name, Sequence[Grant]],
    groups: Mapping[str, DeviceId],
    oddities: set[tuple[str, str]],
) -> Iterator[Held]:
    """KAI: a group leads to the device that its reservation pod holds."""
    for (namespace, name), pod in known.items():
        for grant in pod.grants:
            if grant.sharing is not Sharing.KAI or grant.role is not Role.WORKLOAD:
                continue
            if pod.terminal or grant.container in pod.ended_containers:
                continue
            device = groups.get(grant.group)
            if device is None:
                oddities.add(("unresolved_device_id", f"GPU group {grant.group} of {namespace}/{name}"))
                continue
            before = remembered.get((namespace, name, grant.container), ())
            record = next((each for each in before if each.group == grant.group), grant)
            yield Held(Allocation(namespace, name, record.container, record.resource, device), record)

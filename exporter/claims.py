"""What a claim gives a container (DRA): the device that its names mean, and the promise of its sharing configuration.

Pure. A device is found by what the driver has prepared, else by what it has published, else by the name that it gives it
(`exporter.resolve`). Sources: k8s.io/api resource/v1 types.go; k8s-dra-driver-gpu cmd/gpu-kubelet-plugin/device_state.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from exporter.ids import ClaimId, DeviceId, GpuId, MigId, parse
from exporter.model import Allocation, Missing, Pod
from exporter.records import Claim, ClaimResult, Claims, Grant, Prepared, Published, Role, Sharing

_Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What is known of the node's claims, indexed."""

    known: bool = False
    claims: Mapping[tuple[str, str], Claim] = field(default_factory=dict)
    published: Mapping[_Name, Published] = field(default_factory=dict)
    prepared: Mapping[tuple[str, _Name], Prepared] = field(default_factory=dict)


def index(claims: Claims | Missing, prepared: Iterable[Prepared]) -> Claimed:
    """Index what the API server and the driver's checkpoint say; either may be silent."""
    found = Claims() if isinstance(claims, Missing) else claims
    return Claimed(
        known=not isinstance(claims, Missing),
        claims={(claim.namespace, claim.name): claim for claim in found.items},
        published={(device.driver, device.pool, device.name): device for device in found.published},
        prepared={(each.claim, (each.driver, each.pool, each.device)): each for each in prepared},
    )


@dataclass(frozen=True, slots=True)
class Given:
    """One device of a claim as a container holds it, and what does not fit, as kind of orphan; None where all does."""

    device: DeviceId
    grant: Grant
    odd: str | None = None


def given(item: Allocation, device: ClaimId, pod: Pod | None, here: Claimed) -> Given | None:
    """What a container has of a claim's device; None where it uses another request of that claim.

    The kubelet shows a container that uses one request of a claim every device of it (it filters by the claim's name), so
    the pod's own specification decides.
    """
    name = (device.driver, device.pool, device.device)
    claim = here.claims.get((device.namespace, device.claim))
    published = here.published.get(name)
    profile = "" if published is None else published.profile
    if claim is None:
        unknown = f"{device.namespace}/{device.claim}"
        grant = Grant(
            sharing=Sharing.DRA, container=item.container, resource=device.driver, claim=unknown, legible=False
        )
        return Given(_published(published) or device, grant, "unknown_claim" if here.known else None)
    same = [r for r in claim.results if (r.driver, r.pool, r.device, r.share) == (*name, device.share)]
    # One device may answer several requests of a claim: an administrator's look at it, and the use of it.
    used = sorted((r for r in same if _uses(pod, item.container, claim.name, r.request)), key=lambda r: r.admin)
    if same and not used:
        return None
    result = used[0] if used else None
    prepared = here.prepared.get((claim.uid, name))
    actual = None if prepared is None or not prepared.ready else _physical(prepared.uuid)
    expected = _published(published)
    if result is None:
        odd: str | None = "unclaimed_device"  # the kubelet hands out what the claim was not allocated
    elif prepared is not None and not prepared.ready:
        odd = "unprepared_claim"
    else:
        odd = "misprepared_claim" if actual and expected and actual != expected else None
    grant = Grant(
        sharing=Sharing.DRA,
        container=item.container,
        resource=device.driver,
        profile=profile,
        claim=claim.uid,
        legible=False,
        odd=odd or "",
    )
    found = actual or expected or device
    return Given(found, grant if result is None else _grant(grant, result, found), odd)


def _published(device: Published | None) -> DeviceId | None:
    return None if device is None else _physical(device.uuid)


def _physical(uuid: str) -> DeviceId | None:
    device = parse(uuid)
    return device if isinstance(device, GpuId | MigId) and device.replica is None else None


def _uses(pod: Pod | None, container: str, claim: str, request: str) -> bool:
    uses = [] if pod is None else [u for u in pod.claim_uses if (u.container, u.claim) == (container, claim)]
    return not uses or any(u.request in {"", request} for u in uses)


def _grant(base: Grant, result: ClaimResult, device: DeviceId) -> Grant:
    known = replace(base, legible=True)
    if result.admin:
        return replace(known, role=Role.ADMIN)  # it may look at the device and takes nothing of it (device_state.go)
    if result.strategy == "MPS":
        uuid = device.uuid if isinstance(device, GpuId | MigId) else ""
        pinned = result.pinned.get(uuid, result.pinned.get(""))
        return replace(known, underlying=Sharing.MPS, compute=result.threads, memory_bytes=pinned)
    if result.share:
        # Kubernetes does the arithmetic of consumed capacity, and nobody else anything.
        return replace(known, underlying=Sharing.TIME_SLICING, memory_bytes=result.capacity.get("memory"))
    return known

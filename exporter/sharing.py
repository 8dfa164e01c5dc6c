"""How a lease's device is shared, and into how many slots: read from the id, the node's labels and the driver.

A replica id (`GPU-…::2`) looks the same under time-slicing and under MPS; the node's label tells, and without labels
the driver's list of MPS clients does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.ids import MigId, MigPathId
from exporter.leases import Lease
from exporter.model import Device, DeviceUuid, Missing, ProcessKind, Reading, Reason, Sharing
from exporter.promised_profile import plain_resource

_GKE_STRATEGY = "cloud.google.com/gke-gpu-sharing-strategy"
_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_GKE_CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"


def sharing_told(lease: Lease, labels: Mapping[str, str], device: Device | None) -> Sharing | None:
    """Return the sharing mode of a lease (docs/sharing.md says what each lets us judge).

    None where record, id, label and kind of device do not tell it, and only the device's processes do.
    """
    if lease.grant is not None:
        return lease.grant.sharing
    if lease.shared:
        strategy = labels.get(f"{plain_resource(lease.resource)}.sharing-strategy") or labels.get(_GKE_STRATEGY)
        if strategy is None:
            return None
        return Sharing.MPS if strategy == "mps" else Sharing.TIME_SLICING
    if device is not None and device.kind == "xcp":
        return Sharing.XCP
    on_mig = any(isinstance(id_, MigId | MigPathId) for id_ in lease.ids)
    if on_mig or (device is not None and device.kind == "mig"):
        return Sharing.MIG
    return Sharing.EXCLUSIVE


def sharing_seen(device: Device | None) -> Sharing:
    """Return the mode of a device with replicas of which nothing is told: MPS where the driver lists clients of it."""
    return Sharing.MPS if _has_mps_clients(device) else Sharing.TIME_SLICING


def underlying_of(sharing: Sharing, lease: Lease, device: Device | None) -> Sharing:
    """How the device is divided among its holders: the mode itself, but for a claim's device, which is any of them."""
    if sharing is not Sharing.DRA or lease.grant is None:
        return sharing
    if lease.grant.underlying is not None:
        return lease.grant.underlying
    kind = "gpu" if device is None else device.kind
    return {"mig": Sharing.MIG, "xcp": Sharing.XCP}.get(kind, Sharing.EXCLUSIVE)


def _has_mps_clients(device: Device | None) -> bool:
    if device is None or isinstance(device.use.processes, Missing):
        return False
    return any(process.kind is ProcessKind.MPS for process in device.use.processes)


def replicas_of(lease: Lease, labels: Mapping[str, str], offered: Mapping[DeviceUuid, int]) -> Reading:
    """How many slots the device is cut into: as allocatable, else by label; 1 for a device that is held whole.

    A record says what it gives and not into how many parts the device is cut.
    """
    if lease.grant is not None:
        return Missing(Reason.UNSUPPORTED)
    if not lease.shared:
        return 1.0
    count = offered.get(DeviceUuid(lease.key.device))
    if count:
        return float(count)
    for label in (f"{plain_resource(lease.resource)}.replicas", _GKE_CLIENTS):
        text = labels.get(label, "")
        if _COUNT.fullmatch(text):
            return float(text)
    return Missing(Reason.NOT_YET)

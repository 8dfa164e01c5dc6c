"""Availability: is the device there and in order. Demanded always.

Pure. Causes by precedence: lost, missing, reconfigured, xid, ecc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import DeviceState, DeviceUuid, Missing, Partition, Snapshot, Xid
from exporter.policy import Policy
from exporter.verdict import KEPT, Cause, Verdict, broken


@dataclass(frozen=True, slots=True)
class Faults:
    """Until when a device is out of order for an XID or an uncorrectable error, and the last ECC counts (monotonic s)."""

    xid_until: Mapping[DeviceUuid, float] = field(default_factory=dict)
    ecc_until: Mapping[DeviceUuid, float] = field(default_factory=dict)
    ecc_seen: Mapping[DeviceUuid, float] = field(default_factory=dict)


_GONE = {
    DeviceState.LOST: Cause.DEVICE_LOST,
    DeviceState.MISSING: Cause.DEVICE_MISSING,
    DeviceState.RECONFIGURED: Cause.MIG_RECONFIGURED,
}


def availability(partition: Partition, now: float, faults: Faults) -> Verdict:
    """Answer for one partition whose state is known."""
    gone = _GONE.get(partition.state)
    if gone is not None:
        return broken(gone)
    if not faults.xid_until and not faults.ecc_until:
        return KEPT
    ids = (DeviceUuid(partition.key.device), DeviceUuid(partition.key.gpu))
    if any(faults.xid_until.get(uuid, now) > now for uuid in ids):
        return broken(Cause.XID)
    if any(faults.ecc_until.get(uuid, now) > now for uuid in ids):
        return broken(Cause.ECC)
    return KEPT


def remember(snapshot: Snapshot, policy: Policy, faults: Faults) -> Faults:
    """Fold this instant's events and ECC counts into what is remembered.

    A lost device answers again only after a reset, which ends what the fault before it began.
    """
    now = snapshot.at
    lost = {device.uuid for device in snapshot.devices if device.lost}
    xid_until = {uuid: until for uuid, until in faults.xid_until.items() if until > now and uuid not in lost}
    for event in snapshot.events:
        if event.xid in policy.fatal_xids:
            xid_until[device_of_event(event, snapshot)] = now + policy.xid_seconds
    ecc_until = {uuid: until for uuid, until in faults.ecc_until.items() if until > now and uuid not in lost}
    ecc_seen = dict(faults.ecc_seen)
    for device in snapshot.devices:
        count = device.use.ecc_uncorrected
        if isinstance(count, Missing) or count < 0:
            continue
        if count > ecc_seen.get(device.uuid, count):
            ecc_until[device.uuid] = now + policy.xid_seconds
        ecc_seen[device.uuid] = count
    listed = {device.uuid for device in snapshot.devices}
    return Faults(xid_until, ecc_until, {uuid: count for uuid, count in ecc_seen.items() if uuid in listed})


def device_of_event(event: Xid, snapshot: Snapshot) -> DeviceUuid:
    """The instance that an XID names, else the whole GPU."""
    if event.gpu_instance is not None:
        for device in snapshot.devices:
            same_instance = device.gpu == event.gpu and device.gpu_instance == event.gpu_instance
            if same_instance and event.compute_instance in {None, device.compute_instance}:
                return device.uuid
    return DeviceUuid(event.gpu)

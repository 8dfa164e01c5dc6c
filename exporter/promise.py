"""What each partition was promised, and by whom it is kept.

Pure. The precedence is allocation record, node configuration, resource name; what the enforcer has actually set is
compared with the promise and never becomes it. One function a sharing mode; the table is docs/design.md section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.model import (
    UNREAD,
    DeviceUuid,
    Enforcer,
    Missing,
    Partition,
    Profile,
    Promise,
    PromiseClass,
    Promised,
    PromiseSource,
    Reading,
    Reason,
    Sharing,
    Snapshot,
)
from exporter.policy import Policy, overridden
from exporter.recorded_promise import recorded

_MIB = 1024 * 1024
_NOT_READ = Missing(Reason.NOT_YET)


def attach(snapshot: Snapshot, policy: Policy) -> Snapshot:
    """Return the snapshot with every partition's promise in it; those that were read before are there already."""
    if not any(partition.promise is UNREAD for partition in snapshot.partitions):
        return snapshot
    return replace(
        snapshot,
        partitions=tuple(
            replace(p, promise=overridden(promise_of(p, policy), p, policy)) if p.promise is UNREAD else p
            for p in snapshot.partitions
        ),
    )


def promise_of(partition: Partition, policy: Policy) -> Promise:
    """Return what one partition was promised; see the module's table."""
    match partition.sharing:
        case Sharing.EXCLUSIVE:
            return _whole(partition)
        case Sharing.MIG | Sharing.XCP:
            return _mig(partition)
        case Sharing.TIME_SLICING:
            return _time_slice(partition, policy)
        case Sharing.MPS:
            return _mps(partition)
        case Sharing.HAMI | Sharing.KAI | Sharing.DRA:
            if partition.grant is None:
                return Promise()  # the join makes no such partition
            device = _mig(partition) if partition.mode in {Sharing.MIG, Sharing.XCP} else _whole(partition)
            return recorded(partition, partition.grant, device)


@dataclass(frozen=True, slots=True)
class _Kept:
    """How firmly a mode's promises are kept, by whom, and where they are read."""

    klass: PromiseClass
    enforcer: Enforcer
    source: PromiseSource

    def promised(self, amount: Reading) -> Promised:
        return Promised(amount=amount, klass=self.klass, enforcer=self.enforcer, source=self.source)


def _whole(partition: Partition) -> Promise:
    kept = _Kept(PromiseClass.ISOLATED, Enforcer.SCHEDULER, PromiseSource.RESOURCE_NAME)
    return Promise(
        compute=kept.promised(1.0),
        memory=kept.promised(_device_memory(partition)),
    )


def _device_memory(partition: Partition) -> Reading:
    return _NOT_READ if partition.device is None else partition.device.attached_memory_bytes


def _mig(partition: Partition) -> Promise:
    kept = _Kept(PromiseClass.ISOLATED, Enforcer.HARDWARE, partition.profile_source)
    profile = named_profile(partition)
    if profile is not None and not profile.memory_is_own:
        return Promise(compute=kept.promised(_share(profile, partition)))
    return Promise(
        compute=kept.promised(_share(profile, partition)),
        memory=kept.promised(_NOT_READ if profile is None else float(profile.memory_bytes)),
    )


def named_profile(partition: Partition) -> Profile | None:
    """The promised profile's row in the GPU's catalogue, None when the driver does not list that name."""
    gpu, name = partition.gpu, partition.promised_profile
    if gpu is not None and name:
        for profile in gpu.profiles:
            if profile.name == name:
                return profile
    return None


def profile_share(partition: Partition) -> Reading:
    """SMs of the promised profile over those of the full-board profile, both from the driver's catalogue."""
    return _share(named_profile(partition), partition)


def _share(profile: Profile | None, partition: Partition) -> Reading:
    if profile is None or partition.gpu is None:
        return Missing(Reason.UNSUPPORTED)
    of_gpu = partition.gpu.sm_count
    if isinstance(of_gpu, Missing):
        return of_gpu
    return profile.sm_count / of_gpu if of_gpu > 0 else Missing(Reason.CONTRADICTION)


def _time_slice(partition: Partition, policy: Policy) -> Promise:
    """One turn in `replicas`, once per container whatever its slots: two slots do not give twice the compute.

    Slices of a MIG instance divide the instance's share.
    """
    kept = _Kept(PromiseClass.DECLARED, Enforcer.NOBODY, PromiseSource.PLUGIN_CONFIG)
    whole = _slice_base(partition)
    memory = None
    if policy.time_slicing_memory_fair:
        by_policy = replace(kept, source=PromiseSource.POLICY)
        memory = by_policy.promised(_divided(_device_memory(partition), partition.replicas))
    return Promise(compute=kept.promised(_divided(whole, partition.replicas)), memory=memory)


def _slice_base(partition: Partition) -> Reading:
    on_gpu = DeviceUuid(partition.key.gpu) == partition.key.device
    return 1.0 if on_gpu else profile_share(partition)


def _divided(amount: Reading, parts: Reading) -> Reading:
    if isinstance(amount, Missing):
        return amount
    return parts if isinstance(parts, Missing) else amount / parts


def _mps(partition: Partition) -> Promise:
    """Slots times what the device plugin tells the control daemon: floor(100 / replicas) %, floor(total / replicas) MiB.

    Source: NVIDIA/k8s-device-plugin cmd/mps-control-daemon/mps/daemon.go. Both caps hold for each client process.
    """
    kept = _Kept(PromiseClass.HARD_CAP, Enforcer.MPS, PromiseSource.PLUGIN_CONFIG)
    replicas, total = partition.replicas, _device_memory(partition)
    compute: Reading
    memory: Reading
    if isinstance(replicas, Missing):
        compute = memory = replicas
    else:
        compute = partition.slots * (100 // int(replicas)) / 100
        memory = (
            total if isinstance(total, Missing) else float(partition.slots * (int(total / replicas) // _MIB) * _MIB)
        )
    return Promise(compute=kept.promised(compute), memory=kept.promised(memory))

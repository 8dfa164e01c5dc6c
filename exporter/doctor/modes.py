"""Which modes were found, and what each lets us judge; the devices; what has no place; what the driver refuses. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exporter import explain
from exporter.doctor.report import Row, Table
from exporter.model import Missing, Reason, Sharing, Snapshot


@dataclass(frozen=True, slots=True)
class Mode:
    """What is judged in a mode, and what is blind in it and why; empty for nothing by nature."""

    judged: str
    blind: str = ""


MODES: Mapping[Sharing, Mode] = {
    Sharing.EXCLUSIVE: Mode("all five guarantees"),
    Sharing.MIG: Mode(
        "all five guarantees",
        "compute before Hopper without dcgm-exporter: the driver tells no activity inside of instances",
    ),
    Sharing.TIME_SLICING: Mode(
        "availability, conformance, compute, isolation; memory where a policy promises it",
        "compute while what a tenant wanted cannot be told from shares: let it declare that",
    ),
    Sharing.MPS: Mode(
        "availability, memory, isolation; conformance where the daemon can be asked",
        "compute: kernels of clients run side by side, and no reading divides the SM time",
    ),
    Sharing.HAMI: Mode(
        "all five guarantees; conformance where the hook's region can be read",
        "compute as on time slices, and where no cores were asked for",
    ),
    Sharing.KAI: Mode(
        "availability, memory, compute, isolation", "compute as on time slices; nothing is set that could be compared"
    ),
    Sharing.DRA: Mode("as the device that the claim names", "what a claim promises while it cannot be read"),
    Sharing.XCP: Mode("availability, conformance, compute, isolation; memory where it is the partition's own"),
}


def modes(snapshot: Snapshot) -> Table:
    """Every mode of the node, the device's own behind a claim's, and how many partitions it has."""
    found = Counter((each.sharing, each.mode) for each in snapshot.partitions)
    rows = [
        Row(_name(sharing, mode), f"{count} ×", _words(sharing, mode))
        for (sharing, mode), count in sorted(found.items())
    ]
    after = [] if found else ["held by nobody that is seen here"]
    odd = {kind: count for kind, count in sorted(snapshot.orphans.items()) if count}
    if odd:
        after.append(f"orphans   {', '.join(f'{count} {kind}' for kind, count in odd.items())}")
    return Table(("MODE", "HELD", "JUDGED / BLIND"), tuple(rows), tuple(after))


def _name(sharing: Sharing, mode: Sharing) -> str:
    return explain.MODES[sharing] if mode is sharing else f"{explain.MODES[sharing]} ({explain.MODES[mode]})"


def _words(sharing: Sharing, mode: Sharing) -> str:
    words = MODES[mode]
    blind = "; ".join(part for part in (words.blind, MODES[sharing].blind if mode is not sharing else "") if part)
    return f"{words.judged}. Blind: {blind}" if blind else words.judged


def devices(snapshot: Snapshot) -> Iterator[str]:
    """Say which devices there are, and which of them wait for a reset."""
    if not snapshot.gpus:
        return
    models = Counter(state.gpu.model for state in snapshot.gpus)
    yield f"driver    {snapshot.driver}, NVML {snapshot.nvml}"
    yield f"devices   {', '.join(f'{count} × {model}' for model, count in sorted(models.items()))}"
    instances = Counter(device.profile for device in snapshot.devices if device.kind == "mig")
    if instances:
        yield f"MIG       {', '.join(f'{count} × {profile}' for profile, count in sorted(instances.items()))}"


_FIELDS = {
    "memory_used_bytes": "memory",
    "engine_active": "engine activity",
    "sm_active": "SM activity",
    "processes": "processes",
    "ecc_uncorrected": "ECC counts",
}


def refusals(snapshot: Snapshot) -> Iterator[str]:
    """What the driver refuses, by reading and reason, with how many devices it is refused for."""
    refused: Counter[tuple[str, Reason]] = Counter()
    for device in snapshot.devices:
        for name, words in _FIELDS.items():
            value = getattr(device.use, name)
            if isinstance(value, Missing):
                refused[words, value.reason] += 1
    unread = Counter(found.reason for found in snapshot.consumers.values() if isinstance(found, Missing))
    if Reason.HOST_PID in unread:
        refused["owners of processes", Reason.HOST_PID] = unread[Reason.HOST_PID]
    for (words, reason), count in sorted(refused.items()):
        yield f"missing   {words} of {count} of {len(snapshot.devices)} devices: {reason}{_ADVICE.get(reason, '')}"


_ADVICE = {
    Reason.PERMISSION: " (run as root, with NVIDIA_MIG_MONITOR_DEVICES=all)",
    Reason.HOST_PID: " (run with hostPID: true)",
}

"""A verdict in a sentence: what was promised, what is the matter, and what it was read from.

Pure text, for terminal screens. The words name the reading that decided, so that a reader can check it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from exporter.model import Missing, Partition, PromiseClass, Promised, Reason, Sharing
from exporter.verdict import Cause, Guarantee, Outcome, Verdict

_GIB = 1024**3
_Taker = TypeVar("_Taker")


def promise_words(partition: Partition) -> str:
    """What is promised, how firmly and by whom: `45 % SM, 39.5 GiB (isolated, hardware)`."""
    keeper = partition.promise.compute or partition.promise.memory
    if keeper is None:
        return "nothing"
    return f"{', '.join(promise_sizes(partition)) or '?'} ({keeper_words(keeper)})"


def promise_sizes(partition: Partition) -> list[str]:
    """The sizes that are promised and known."""
    compute, memory = partition.promise.compute, partition.promise.memory
    sizes = []
    if compute is not None and not isinstance(compute.amount, Missing):
        sizes.append(f"{percent(compute.amount)} SM")
    if memory is not None and not isinstance(memory.amount, Missing):
        sizes.append(gibibytes(memory.amount))
    return sizes


def keeper_words(promised: Promised) -> str:
    """How firmly it is promised and who keeps it."""
    if promised.klass is PromiseClass.DECLARED:
        return "declared, enforced by nobody"
    return f"{promised.klass.replace('_', ' ')}, {promised.enforcer}"


def percent(share: float) -> str:
    """A share as whole or tenth per cent."""
    return f"{share:.0%}" if abs(share * 100 - round(share * 100)) < 0.05 else f"{share:.1%}"  # noqa: PLR2004  # rounds to a whole


def gibibytes(size: float) -> str:
    """Bytes as GiB."""
    return f"{size / _GIB:.1f} GiB"


def verdict_words(partition: Partition, guarantee: Guarantee, verdict: Verdict) -> str:
    """One guarantee's answer in a sentence."""
    match verdict.outcome:
        case Outcome.KEPT:
            return f"{guarantee} is kept."
        case Outcome.IDLE:
            return f"{guarantee} was not demanded."
        case Outcome.BLIND:
            return f"{guarantee} cannot be told: {_REASONS.get(verdict.reason or Reason.ERROR, 'the source failed')}."
        case Outcome.BROKEN:
            return " ".join(_broken(partition, cause, verdict) for cause in largest_first(verdict.loss))


def largest_first(losses: Mapping[_Taker, float]) -> list[_Taker]:
    """What took something, the one that took the most first; those that took the same as they come."""
    return sorted(losses, key=lambda taker: -losses[taker])


def _broken(partition: Partition, cause: Cause, verdict: Verdict) -> str:
    return _CAUSES[cause].format(
        device=partition.key.device,
        promised=partition.promised_profile or "device",
        attached="?" if partition.device is None else partition.device.profile,
        lost=percent(verdict.loss[cause]),
        **_takers(verdict),
        held=partition.holders,
        offered=_count(partition),
    )


def _takers(verdict: Verdict) -> Mapping[str, str]:
    """Words for the neighbours that took something: one by its name, of several the first few with what each took."""
    named = largest_first(verdict.neighbours)
    if len(named) == 1:
        return {"takers": "/".join(named[0]), "their": "its", "promises": "promise"}
    told = [f"{'/'.join(pod)} {percent(verdict.neighbours[pod])}" for pod in named[:_NAMED]]
    if len(named) > _NAMED:
        told.append("…")
    who = f"Neighbours ({', '.join(told)})" if told else "Neighbours"
    return {"takers": who, "their": "their", "promises": "promises"}


_NAMED = 3

_CAUSES: Mapping[Cause, str] = {
    Cause.DEVICE_LOST: "{device} has fallen off the bus or needs a reset: the driver answers GPU_IS_LOST.",
    Cause.DEVICE_MISSING: "The kubelet gave out {device}; the driver does not list it.",
    Cause.MIG_RECONFIGURED: (
        "The MIG layout was changed under the pod: its {promised} {device} is no longer there, "
        "while the kubelet still says that the pod holds it."
    ),
    Cause.XID: "A fatal XID was reported for the device in the last minute.",
    Cause.ECC: "An uncorrectable memory error was counted in the last minute.",
    Cause.WRONG_PROFILE: "{promised} was promised and {attached} is attached: {lost} is missing.",
    Cause.OVERSUBSCRIBED: "{held} slots of {device} are held, {offered} are offered.",
    Cause.UNENFORCED: "The limit that was promised is not set.",
    Cause.NEIGHBOUR: "{takers} took {lost} of what it is due, beyond {their} own {promises}.",
    Cause.HOST_PROCESS: "A process of the host, of no pod, is on the device: {lost} is lost.",
    Cause.ROGUE_POD: "A pod that holds no part of the device runs on it.",
    Cause.NEIGHBOUR_OVERRUN: "A neighbour holds more memory than it was promised.",
    Cause.RESERVED: "The driver keeps {lost} of what was promised for itself.",
    Cause.POWER_CAP: "The board's power limit holds the clocks down: {lost} is lost.",
    Cause.THERMAL: "The GPU is too hot and slows its clocks: {lost} is lost.",
    Cause.HW_SLOWDOWN: "The hardware slows the clocks: {lost} is lost.",
    Cause.SWITCHING: "Nobody used {lost} of what it is due: switching between processes, and gaps.",
    Cause.UNKNOWN: "{lost} is missing and no reading says why.",
}


def _count(partition: Partition) -> str:
    return "?" if isinstance(partition.replicas, Missing) else f"{partition.replicas:.0f}"


_REASONS = {
    Reason.UNSUPPORTED: "this mode or driver does not show it",
    Reason.PERMISSION: "this process may not read it",
    Reason.TIMEOUT: "the driver does not answer",
    Reason.STALE: "the tick came too late to say",
    Reason.SOURCE_STALE: "the kubelet has not answered for too long",
    Reason.NOT_YET: "the first answers are awaited",
    Reason.AMBIGUOUS: "two sources differ, and it may be a race",
    Reason.DEVICE_LOST: "the device is not there",
    Reason.HOST_PID: "processes are of another pid namespace",
    Reason.CONTRADICTION: "readings contradict each other",
    Reason.DEMAND_UNKNOWN: "whether it wanted more is not known",
    Reason.MODEL_NOT_APPLICABLE: "in this mode nobody can tell a tenant's share of SM time",
    Reason.NOT_CONFIGURED: "the source that would tell is switched off",
}

MODES = {
    Sharing.EXCLUSIVE: "whole GPU",
    Sharing.MIG: "MIG",
    Sharing.TIME_SLICING: "time slice",
    Sharing.MPS: "MPS",
    Sharing.HAMI: "HAMi",
    Sharing.KAI: "KAI",
    Sharing.DRA: "DRA",
    Sharing.XCP: "XCP",
}
"""Sharing modes as people say them."""

"""A verdict in a sentence: what was promised, what is the matter, and what it was read from.

Pure text, for terminal screens. The words name the reading that decided, so that a reader can check it.
"""

from __future__ import annotations

from exporter.guarantees import Cause, Guarantee, Outcome, Verdict
from exporter.model import Missing, Partition, PromiseClass, Promised, Reason, Sharing

_GIB = 1024**3


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
            return " ".join(_broken(partition, cause, lost) for cause, lost in verdict.loss.items())


def _broken(partition: Partition, cause: Cause, lost: float) -> str:
    device = partition.key.device
    match cause:
        case Cause.DEVICE_LOST:
            return f"{device} has fallen off the bus or needs a reset: the driver answers GPU_IS_LOST."
        case Cause.DEVICE_MISSING:
            return f"The kubelet gave out {device}; the driver does not list it."
        case Cause.MIG_RECONFIGURED:
            return (
                f"The MIG layout was changed under the pod: its {partition.promised_profile or 'device'} {device} "
                "is no longer there, while the kubelet still says that the pod holds it."
            )
        case Cause.XID:
            return "A fatal XID was reported for the device in the last minute."
        case Cause.ECC:
            return "An uncorrectable memory error was counted in the last minute."
        case Cause.WRONG_PROFILE:
            attached = partition.device.profile if partition.device is not None else "?"
            return f"{partition.promised_profile} was promised and {attached} is attached: {percent(lost)} is missing."
        case Cause.OVERSUBSCRIBED:
            return f"{partition.holders} slots of {device} are held, {_count(partition)} are offered."
        case Cause.UNENFORCED:
            return "The limit that was promised is not set."


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
    Reason.NOT_JUDGED: "this version does not judge it yet",
}

MODES = {
    Sharing.EXCLUSIVE: "whole GPU",
    Sharing.MIG: "MIG",
    Sharing.TIME_SLICING: "time slice",
    Sharing.MPS: "MPS",
    Sharing.HAMI: "HAMi",
    Sharing.KAI: "KAI",
    Sharing.DRA: "DRA",
}
"""Sharing modes as people say them."""

"""Shared devices to judge: holders with a promise, and what their processes were seen to use second by second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporter.catalogue import PartitionKey
from exporter.demand import Assessment, DemandPolicy, Holder, Intruder, ProcessShare, Sample
from exporter.model import Missing, Reading
from exporter.shared_compute import DeviceMemory, assess

POLICY = DemandPolicy()


def key(name: str) -> PartitionKey:
    return PartitionKey("GPU-1", "GPU-1", "team", name, "main")


A, B, C, D = (key(name) for name in "abcd")

Use = Mapping[Holder, Sequence[Reading]]
"""What each holder's processes used in one second, one share a process."""


@dataclass(frozen=True)
class Seen:
    answers: Mapping[PartitionKey, Assessment]
    memory: DeviceMemory
    at: float


def sample(at: float, use: Use, promises: Mapping[PartitionKey, float], **more: object) -> Sample:
    order = [*promises, *Intruder]
    processes = tuple(
        ProcessShare(pid=100 * order.index(holder) + i, holder=holder, share=share)
        for holder, shares in use.items()
        for i, share in enumerate(shares)
    )
    return Sample(at=at, processes=processes, promises=promises, **more)  # type: ignore[arg-type]


def watch(
    use: Use | Callable[[int], Use],
    promises: Mapping[PartitionKey, float],
    seconds: int = 25,
    before: Seen | None = None,
    declared: Mapping[PartitionKey, bool] | None = None,
) -> Seen:
    """Judge that many seconds of the same use, or of the use of each second."""
    start = 0.0 if before is None else before.at
    memory = DeviceMemory() if before is None else before.memory
    answers: Mapping[PartitionKey, Assessment] = {}
    for second in range(1, seconds + 1):
        now = use(second) if callable(use) else use
        answers, memory = assess(memory, sample(start + second, now, promises, declared=declared or {}), POLICY)
    return Seen(answers, memory, start + seconds)


def silence(before: Seen, seconds: int, promises: Mapping[PartitionKey, float], reason: Missing) -> Seen:
    """Let the driver say nothing for that long."""
    memory, answers = before.memory, before.answers
    for second in range(1, seconds + 1):
        silent = Sample(at=before.at + second, processes=reason, promises=promises)
        answers, memory = assess(memory, silent, POLICY)
    return Seen(answers, memory, before.at + seconds)

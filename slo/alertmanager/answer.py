"""What an alert says beyond its name: what was promised, what was got, what took the rest, and how well it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from slo.verdicts import Firing


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that is not known, and why in a few words: `no sample of it in the last hour`."""

    why: str


@dataclass(frozen=True, slots=True)
class Amount:
    """A share of the GPU's compute (0 to 1), or bytes of its memory."""

    value: float
    unit: str  # "share" or "bytes"


@dataclass(frozen=True, slots=True)
class Taker:
    """A neighbour that took some of what was promised to somebody else."""

    name: str  # NAMESPACE/POD
    took: Amount | Missing
    part: float  # of all that was lost, 0 to 1


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of most of the loss, and its part of it (0 to 1)."""

    name: str
    part: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Seconds that the answer rests on: promise broken, wanted (broken or kept), and not judged; and what told demand."""

    broken: float
    wanted: float
    blind: float
    demand: str = ""  # declared, appetite, queueing, busy; empty when it is not told
    blind_reason: str = ""  # of most of the blind seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known of a firing alert, over the last `window` seconds. What it is about depends on the alert.

    For a partition's alert the parts are the partition's. For one on a GPU, a node or a tenant, cause, taker and evidence are
    sums over the partitions that it is about, `worst` names the one that lost most, and `partitions` how many lost anything.
    """

    window: int
    promised: Amount | Missing
    got: Amount | Missing
    cause: Cause | Missing
    taker: Taker | Missing
    evidence: Evidence | Missing
    partitions: int = 0
    worst: str = ""  # NAMESPACE/POD


class Answers(Protocol):
    """Answers for alerts, in their order. Raises UnreachableError when nobody could be asked."""

    def __call__(self, firings: Sequence[Firing], now: float, /) -> Sequence[Answer]:
        """Return one answer for each alert, as of `now` (Unix seconds)."""


def unknown(why: str) -> Answer:
    """Return an answer that knows nothing."""
    missing = Missing(why)
    return Answer(window=0, promised=missing, got=missing, cause=missing, taker=missing, evidence=missing)

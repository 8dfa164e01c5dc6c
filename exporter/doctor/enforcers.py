"""Who can be asked what is set: HAMi's hook, MPS's daemons, the DRA driver's checkpoint; how each is here. Pure.

Each is asked only while a partition needs it, so that the partitions decide whether it matters here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from exporter.doctor.report import Row, State, Table
from exporter.doctor.standing import Standing
from exporter.metrics import SourceHealth
from exporter.model import Missing, Partition, Sharing


@dataclass(frozen=True, slots=True)
class Enforcer:
    """One of them. `of` are the partitions that need it; `limits`: it is read for each of them."""

    title: str
    flag: str
    gives: str
    without: str
    of: Callable[[Partition], bool]
    limits: bool = True


ENFORCERS: Mapping[str, Enforcer] = {
    "hami": Enforcer(
        "HAMi's hook",
        "path.hami",
        "the limits that the hook has set",
        "conformance is blind, but for an opt-out in the pod itself",
        lambda partition: partition.sharing is Sharing.HAMI,
    ),
    "mps": Enforcer(
        "MPS daemons",
        "path.mps",
        "the limits that the daemons have set",
        "conformance is blind, but for slots that are held twice",
        lambda partition: partition.mode is Sharing.MPS,
    ),
    "dra": Enforcer(
        "DRA checkpoint",
        "path.dra-checkpoint",
        "what was prepared for which claim",
        "an instance that was made when it was claimed is found by its placement, and a claim that is not prepared is not seen",
        lambda partition: partition.sharing is Sharing.DRA,
        limits=False,
    ),
}
"""By the names of their sources (`slicewatch_source_up`)."""


def enforcers(partitions: Iterable[Partition], health: Iterable[SourceHealth], standing: Standing) -> Table:
    """Say how each enforcer is."""
    listed, told = tuple(partitions), {each.name: each for each in health}
    rows = [
        _row(name, each, [p for p in listed if each.of(p)], told.get(name), standing)
        for name, each in ENFORCERS.items()
    ]
    if not listed and not up("podresources", told):
        rows = [replace(row, state=State.UNTOLD, words=UNTOLD) if row.state == State.UNUSED else row for row in rows]
    return Table(("ENFORCER", "STATE", "SAYS / WHY NOT"), tuple(rows))


UNTOLD = "who holds what is not told"


def up(name: str, told: Mapping[str, SourceHealth]) -> bool:
    """Whether a source is there and answers."""
    return name in told and told[name].up


def _row(
    name: str, enforcer: Enforcer, needing: list[Partition], health: SourceHealth | None, standing: Standing
) -> Row:
    without = f"without it {enforcer.without}"
    path = standing.paths.get(name)
    there = name in standing.found
    if path is None:
        words = f"--{enforcer.flag} ''"
        return Row(enforcer.title, State.OFF, f"{words}; {without}" if needing else f"{words}; nobody here needs it")
    if not needing:
        seen = "" if standing.uid is None else f"; {path} is {'there' if there else 'not there'}"
        return Row(enforcer.title, State.UNUSED, f"nobody here is held by it{seen}")
    if health is None:
        return Row(enforcer.title, State.MISSING, f"{_unasked(name, standing)}; {without}")
    if not health.up:
        return Row(enforcer.title, State.DOWN, f"{health.detail}; {without}")
    if enforcer.limits:
        return _limits(enforcer, needing)
    if standing.uid is not None and not there:
        return Row(enforcer.title, State.MISSING, f"{path} is not there: is it mounted here? {without}")
    return Row(enforcer.title, State.OK, enforcer.gives)


def _unasked(name: str, standing: Standing) -> str:
    if name == "mps" and standing.mps_program is False:
        return "its program nvidia-cuda-mps-control is not here (NVIDIA_DRIVER_CAPABILITIES=utility,compute)"
    return "it cannot be asked here"


def _limits(enforcer: Enforcer, needing: list[Partition]) -> Row:
    """How many of those who need a limit read have one, and why the others have not."""
    why = Counter(str(partition.limit.reason) for partition in needing if isinstance(partition.limit, Missing))
    read = len(needing) - sum(why.values())
    words = f"{enforcer.gives}: read for {read} of {len(needing)}"
    if not why:
        return Row(enforcer.title, State.OK, words)
    unread = ", ".join(f"{count} {reason}" for reason, count in sorted(why.items()))
    return Row(
        enforcer.title, State.PARTLY if read else State.MISSING, f"{words} ({unread}); unread, {enforcer.without}"
    )

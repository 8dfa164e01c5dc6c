"""Which sources answer: what each gives, and what is lost without it. A new source is a row of `SOURCES`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.doctor.report import Row, State, Table
from exporter.metrics import SourceHealth


@dataclass(frozen=True, slots=True)
class Source:
    """`off` says why a source that has no health has none."""

    gives: str
    without: str
    off: str = "switched off"


SOURCES: Mapping[str, Source] = {
    "nvml": Source("devices, memory, processes, clocks, power, errors", "nothing can be judged"),
    "gpm": Source(
        "activity of MIG instances and of whole GPUs",
        "activity inside MIG is not seen",
        "no GPU here offers it (Hopper and newer do); before Hopper, dcgm-exporter sees it (--dcgm.url)",
    ),
    "dcgm": Source(
        "activity that the driver does not tell: MIG instances before Hopper, SMs of whole GPUs",
        "MIG instances before Hopper have no activity, and their compute is blind",
        "--dcgm.url names no page of a dcgm-exporter on this node",
    ),
    "podresources": Source("which container holds which device", "no partition has an owner: nothing can be judged"),
    "kubernetes": Source(
        "pod uids, workloads, ended pods, node labels",
        "owners have no uid and no workload; processes cannot be placed; on Kubernetes before 1.34 ended pods look alive",
        "not in a cluster, or --kubernetes off",
    ),
    "cgroup": Source("which pod a process belongs to", "processes cannot be placed: shared devices are blind"),
}
"""By the names of `slicewatch_source_up`, in the order of the screen. Enforcers have a table of their own."""


def sources(health: Iterable[SourceHealth]) -> Table:
    """Say how each source does."""
    return Table(("SOURCE", "STATE", "GIVES / WHY NOT"), tuple(_rows({each.name: each for each in health})))


def _rows(told: Mapping[str, SourceHealth]) -> Iterator[Row]:
    for name, source in SOURCES.items():
        found = told.get(name)
        if found is None:
            yield Row(name, State.OFF, f"{source.off}; without it {source.without}")
        elif found.up:
            yield Row(name, State.OK, source.gives)
        else:
            yield Row(name, State.DOWN, f"{found.detail}; without it {source.without}")

"""Every fault that was tried, as data: what is still served, what is blind and why, what is never lost, what proves it.

`docs/reliability.md` is made of this table (its rows are in `rows_….py`); so are the tests of its live rows, in `test_live.py`. A row whose proof lies
elsewhere names the tests; that they exist is a test too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Part(StrEnum):
    """What fails."""

    DRIVER = "driver"
    KUBELET = "kubelet"
    API_SERVER = "API server"
    PROCFS = "procfs"
    DCGM = "dcgm-exporter"
    HAMI = "HAMi's regions"
    MPS = "MPS control daemon"
    DEMAND = "declared demand"
    SCRAPERS = "scrapers"
    CLOCK = "clock"
    PROCESS = "exporter process"
    CHURN = "tenants that churn"
    PROMETHEUS = "Prometheus, for `slo run`"
    EXPORTERS = "exporters, for `slo run`"
    ALERTMANAGER = "Alertmanager"
    DISK = "disk of `slo run`"
    EVALUATOR = "`slo run` process"


class Group(StrEnum):
    """Families of a page that stand or fall together."""

    HOLDERS = "who holds what"
    PROMISES = "what was promised"
    INVENTORY = "the inventory"
    READINGS = "the driver's readings"
    USE = "memory used by partitions"
    PROCESSES = "processes of partitions"


FAMILIES: Mapping[Group, tuple[str, ...]] = {
    Group.HOLDERS: ("gpu_partition_info",),
    Group.PROMISES: ("gpu_partition_promise_info", "gpu_partition_promised_compute_ratio"),
    Group.INVENTORY: ("gpu_device_info",),
    Group.READINGS: ("gpu_device_memory_used_bytes", "gpu_device_power_watts"),
    Group.USE: ("gpu_partition_used_memory_bytes",),
    Group.PROCESSES: ("gpu_partition_processes",),
}

ALL = ("availability", "compute", "conformance", "isolation", "memory")
EVERYWHERE = ("mig", "whole", "shared")
"""The node's three kinds of partition; of the shared ones no memory is promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """Guarantees that cannot be told while the fault lasts, the reason, and the kinds of partition that it concerns."""

    reason: str
    guarantees: tuple[str, ...] = ALL
    kinds: tuple[str, ...] = EVERYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A row that is played on the node in this process; all of it is checked on every page.

    While the fault lasts `down` are the sources that are down, `gone` the groups of families that are not complete,
    `blind` what cannot be told, `broken` the guarantees that are rightly called broken. `after` are the seconds that the
    fault lasts before this holds, `recovers` the seconds in which all is as before.
    """

    down: frozenset[str] = frozenset()
    gone: frozenset[Group] = frozenset()
    blind: tuple[Blind, ...] = ()
    broken: tuple[Blind, ...] = ()
    after: int = 10
    recovers: int = 8


class Proof(NamedTuple):
    """A test elsewhere: its file below `tests/`, without `.py`, and its name; all of a file when the name is empty."""

    file: str
    test: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault. Texts are for people; what a live row checks is in `live`, and its texts are made of that."""

    part: Part
    fault: str
    live: Live | None = None
    served: str = ""
    blind: str = ""
    kept: str = ""  # what is never lost
    proof: tuple[Proof, ...] = ()  # beside its own, where it is live

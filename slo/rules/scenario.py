"""Partitions that do not exist, as input series of promtool: what an SLO's rules are tried on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.catalogue import OUTCOMES
from slo.entity import IDENTITY, NO_CLASS
from slo.rules.promql import quoted
from slo.rules.slices import COUNTER, INFO, PROMISE
from slo.spec import Objective, PartitionSLO, Subject

DEVICES = "gpu_device_info"
OLD = 1000
"""Seconds that a partition has lived when a scenario begins."""

Series = dict[str, str]
"""One input series: `series` and `values`, as promtool has them."""


@dataclass(frozen=True, slots=True)
class Fake:
    """A partition with every label that rules look at, `class` among them."""

    labels: dict[str, str]

    def only(self, names: Iterable[str]) -> dict[str, str]:
        """Return some of its labels."""
        return {name: self.labels[name] for name in names}


def fake(spec: PartitionSLO, objective: Objective, number: int, gpu: int = 0) -> Fake | None:
    """Return a partition that an SLO selects and an objective is for; None when no simple one can be thought of."""
    wanted = {
        **dict.fromkeys(spec.group_by, "test"),
        "gpu": f"GPU-{gpu}",
        "device": f"MIG-{gpu}-{number}",
        "namespace": "team-a",
        "pod": f"train-{gpu}-{number}",
        "container": "main",
        "node": "node-1",
        "sharing": "time-slicing",
        "resource": "nvidia.com/gpu.shared",
        "profile": "",
        "workload_kind": "Job",
        "workload": "train",
        "class": objective.classes[0] if objective.classes else _other(spec),
    }
    found = {}
    for name, usual in wanted.items():
        matchers = [matcher for matcher in spec.select if matcher.label == name]
        tried = [usual, *(part for matcher in matchers for part in (matcher.value, *matcher.value.split("|")))]
        fit = [text for text in tried if all(matcher.holds(text) for matcher in matchers)]
        if not fit:
            return None
        found[name] = fit[0]
    return Fake(found) if spec.objective(found["class"]) == objective else None


def alive(spec: PartitionSLO, partition: Fake, minutes: int, trouble: float, then: str = "") -> list[Series]:
    """Return a partition's series over some minutes, the part `trouble` of each of them broken (for coverage: blind).

    `then` is put behind the values, such as ` stale`.
    """
    lost, whole = ("blind", "kept") if spec.sli.subject is Subject.COVERAGE else ("broken", "kept")
    grown = {lost: round(60 * trouble, 6), whole: round(60 - 60 * trouble, 6)}
    identity = partition.only((*spec.group_by, *IDENTITY))
    found = []
    for outcome in OUTCOMES:
        labels = identity | {"guarantee": spec.sli.guarantee, "outcome": outcome}
        start = OLD if outcome == whole else 0
        found.append(_series(COUNTER, labels, f"{start}+{grown.get(outcome, 0):g}x{minutes}{then}"))
    return [*found, *described(spec, partition, f"1+0x{minutes}{then}")]


def described(spec: PartitionSLO, partition: Fake, values: str) -> list[Series]:
    """Return the series that say what a partition is and what it was promised."""
    identity = partition.only((*spec.group_by, *IDENTITY))
    facts = partition.only(("node", "sharing", "resource", "profile", "workload_kind", "workload"))
    info = _series(INFO, identity | facts, values)
    if partition.labels["class"] == NO_CLASS:
        return [info]
    promise = {"dimension": spec.sli.dimension, "class": partition.labels["class"]}
    return [info, _series(PROMISE, identity | promise, values)]


def device(site: Sequence[str], node: str, values: str) -> Series:
    """Return the series of a GPU of a node."""
    return _series(DEVICES, {**dict.fromkeys(site, "test"), "node": node, "gpu": "GPU-0", "device": "GPU-0"}, values)


def _series(metric: str, labels: dict[str, str], values: str) -> Series:
    inside = ",".join(f"{name}={quoted(value)}" for name, value in labels.items())
    return {"series": f"{metric}{{{inside}}}", "values": values}


def _other(spec: PartitionSLO) -> str:
    """Return a class that no objective names: `none` where that is possible."""
    named = {klass for objective in spec.objectives for klass in objective.classes}
    return NO_CLASS if NO_CLASS not in named else next(text for text in ("other", "another") if text not in named)

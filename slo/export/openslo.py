"""Objectives as OpenSLO v1: an SLO document for each objective, of the method Timeslices, whose indicator is a ratio of seconds.

https://github.com/OpenSLO/OpenSLO, kind SLO: a slice is good when good over total is at least `timeSliceTarget`. That is our
own slice, for the sum of all partitions; what is not ours stands in comments at the top (`slo.export.losses`).
"""

from __future__ import annotations

import re
from typing import Any

from slo.burnrate import exact
from slo.export.losses import of_openslo
from slo.export.queries import Seconds, last_minute
from slo.rules.document import comment, dump
from slo.rules.promql import duration
from slo.spec import SLICE, Objective, PartitionSLO

API_VERSION = "openslo/v1"
SERVICE = "gpu-partitions"
_LONGEST = 63
_MOST_DESCRIPTION = 1050


def document(spec: PartitionSLO) -> str:
    """Write one SLO's documents as YAML, with what is lost in front."""
    lost = "\n".join(f"- {one}" for one in of_openslo(spec))
    head = comment(f"{spec.name} as OpenSLO v1. Lost:\n{lost}")
    return head + "".join(f"---\n{dump(_slo(spec, one))}" for one in spec.objectives)


def _slo(spec: PartitionSLO, objective: Objective) -> dict[str, Any]:
    name = _name(f"{spec.name}-{objective.name}")
    said: dict[str, Any] = {"name": name, "displayName": f"{spec.display_name or spec.name}: {objective.name}"}
    if spec.labels:
        said["labels"] = dict(spec.labels)
    return {
        "apiVersion": API_VERSION,
        "kind": "SLO",
        "metadata": said,
        "spec": {
            "description": (spec.description or f"{spec.sli.guarantee} of GPU partitions")[:_MOST_DESCRIPTION],
            "service": SERVICE,
            "indicator": _indicator(spec, objective, name),
            "timeWindow": [{"duration": _days(spec.period), "isRolling": True}],
            "budgetingMethod": "Timeslices",
            "objectives": [
                {
                    "displayName": objective.name,
                    "target": objective.target,
                    "timeSliceTarget": exact(1 - spec.sli.allow),
                    "timeSliceWindow": duration(SLICE),
                }
            ],
        },
    }


def _indicator(spec: PartitionSLO, objective: Objective, name: str) -> dict[str, Any]:
    def source(which: Seconds) -> dict[str, Any]:
        query = last_minute(spec, objective, which)
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    ratio = {"counter": False, "good": source(Seconds.GOOD), "total": source(Seconds.WHOLE)}
    return {"metadata": {"name": name}, "spec": {"ratioMetric": ratio}}


def _name(text: str) -> str:
    """A name as OpenSLO wants it: a DNS label of at most 63 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST].strip("-")


def _days(seconds: int) -> str:
    return f"{seconds // 86400}d"

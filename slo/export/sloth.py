"""Objectives in Sloth's own format (`version: prometheus/v1`): an SLO with an events indicator for each objective.

https://pkg.go.dev/github.com/slok/sloth/pkg/prometheus/api/v1: `{{.window}}` stands in the queries for each window. Its page
alert is of the fast burns and its ticket alert of the slow ones, as ours are.
"""

from __future__ import annotations

import re
from typing import Any

from slo.burnrate import exact
from slo.export.losses import of_sloth
from slo.export.queries import Seconds, grown
from slo.rules.document import comment, dump
from slo.spec import Objective, PartitionSLO, Severity
from slo.verdicts import AlertName

VERSION = "prometheus/v1"
SERVICE = "gpu-partitions"
WINDOW = "{{.window}}"


def document(spec: PartitionSLO) -> str:
    """Write one SLO as a Sloth file, with what is lost in front."""
    lost = "\n".join(f"- {one}" for one in of_sloth(spec))
    found = {"version": VERSION, "service": SERVICE, "slos": [_slo(spec, one) for one in spec.objectives]}
    return comment(f"{spec.name} in Sloth's format. Lost:\n{lost}") + "---\n" + dump(found)


def _slo(spec: PartitionSLO, objective: Objective) -> dict[str, Any]:
    alerting: dict[str, Any] = {"name": str(AlertName.PARTITION)}
    if spec.alerting.labels:
        alerting["labels"] = dict(spec.alerting.labels)
    if spec.alerting.runbook_url:
        alerting["annotations"] = {"runbook_url": spec.alerting.runbook_url}
    return {
        "name": re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{spec.name}-{objective.name}").strip("-"),
        "objective": exact(objective.target * 100),
        "description": spec.description or f"{spec.sli.guarantee} of GPU partitions",
        **({"labels": dict(spec.labels)} if spec.labels else {}),
        "sli": {
            "events": {
                "error_query": grown(spec, objective, Seconds.LOST, WINDOW),
                "total_query": grown(spec, objective, Seconds.WHOLE, WINDOW),
            }
        },
        "alerting": alerting | {"page_alert": _alert(objective.fast), "ticket_alert": _alert(objective.slow)},
    }


def _alert(severity: Severity) -> dict[str, Any]:
    return {"disable": True} if severity is Severity.NONE else {"labels": {"severity": str(severity)}}

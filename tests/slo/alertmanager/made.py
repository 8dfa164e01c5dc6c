"""Things that the tests of alerting are about: an SLO, alerts that fire, answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slo.alertmanager.answer import Amount, Answer, Cause, Evidence, Taker
from slo.entity import Entity
from slo.spec import Alerting, Objective, PartitionSLO, Severity, Sli, Subject
from slo.verdicts import Alert, AlertName, Firing

T0 = 1_700_000_000
"""2023-11-14 22:13:20 UTC."""

GPU = "GPU-11111111-2222-3333-4444-555555555555"


def spec(name: str = "compute", guarantee: str = "compute", subject: Subject = Subject.GUARANTEE) -> PartitionSLO:
    """An SLO on a guarantee."""
    return PartitionSLO(
        name=name,
        sli=Sli(subject=subject, guarantee=guarantee, dimension="compute", allow=0.05),
        group_by=("cluster",),
        objectives=(Objective(name="all", target=0.99, fast=Severity.PAGE, slow=Severity.TICKET),),
        alerting=Alerting(runbook_url="https://wiki/gpu", dashboard_url="https://grafana/d/gpu"),
    )


def firing(
    pod: str = "train-7", *, since: int = T0, bad: int = 9, severity: Severity = Severity.PAGE, **more: str
) -> Firing:
    """A partition's alert that fires."""
    entity = Entity(("c1",), GPU, GPU, "ml", pod, "main")
    labels = {
        "alertname": str(AlertName.PARTITION),
        "severity": str(severity),
        "slo": "compute",
        "burn": "fast",
        "objective": "all",
        "guarantee": "compute",
        "class": "guaranteed",
        "cluster": "c1",
        "gpu": GPU,
        "device": GPU,
        "namespace": "ml",
        "pod": pod,
        "container": "main",
        "node": "n03",
        "sharing": "time-slicing",
    }
    return Firing(Alert(AlertName.PARTITION, severity, "compute", labels | more, entity), since, bad)


def other(
    name: AlertName, *, bad: int = 20, since: int = T0, severity: Severity = Severity.PAGE, **labels: str
) -> Firing:
    """An alert that is not one partition's."""
    whole = {
        "alertname": str(name),
        "severity": str(severity),
        "slo": "compute",
        "guarantee": "compute",
        "cluster": "c1",
    }
    return Firing(Alert(name, severity, "compute", whole | labels), since, bad)


ANSWER = Answer(
    window=900,
    promised=Amount(0.25, "share"),
    got=Amount(0.11, "share"),
    cause=Cause("neighbour", 0.93),
    taker=Taker("batch/hog", Amount(0.13, "share"), 0.93),
    evidence=Evidence(broken=540.0, wanted=840.0, blind=0.0, demand="queueing"),
    partitions=1,
    worst="ml/train-7",
)


def answers(firings: Sequence[Firing], now: float) -> list[Answer]:
    """The same answer for everybody."""
    return [ANSWER for _ in firings]


def told(alerts: Sequence[dict[str, Any]], **labels: str) -> list[dict[str, Any]]:
    """Those of Alertmanager's alerts that have these labels."""
    return [alert for alert in alerts if labels.items() <= alert["labels"].items()]

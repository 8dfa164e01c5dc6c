"""The answer of a check as JSON, for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from slo.check.judgement import Judgement, Worst
from slo.check.screen import Blames
from slo.entity import labels
from slo.verdicts import Budget


def document(judged: Judgement, failures: tuple[str, ...], worst: Sequence[Worst], blames: Blames) -> str:
    """Return one JSON object with its line end; numbers that are not known are null."""
    found = {
        "kept": not failures,
        "failures": list(failures),
        "source": judged.source,
        "start": judged.start,
        "end": judged.end,
        "known_from": judged.known_from,
        "partitions": judged.partitions,
        "objectives": [
            {"slo": one.spec.name, "objective": objective.name, **_budget(one.objectives[objective.name])}
            for one in judged.evaluations
            for objective in one.spec.objectives
        ],
        "namespaces": [
            {"slo": one.spec.name, "namespace": tenant.namespace, "class": tenant.klass, **_budget(left)}
            for one in judged.evaluations
            for tenant, left in sorted(one.tenants.items())
        ],
        "worst": [
            {
                "slo": one.spec.name,
                **labels(one.who, one.spec.group_by),
                **_budget(one.left),
                "lost_to": None if (blame := blames.get((one.spec.name, one.who))) is None else asdict(blame),
            }
            for one in worst
        ],
        "firing": [
            {"name": one.alert.name.value, "since": one.since, "labels": dict(one.alert.labels)}
            for evaluation in judged.evaluations
            for one in evaluation.firing
        ],
    }
    return json.dumps(found, indent=1) + "\n"


def _budget(found: Budget) -> dict[str, float | None]:
    return {
        "target": found.target,
        "compliance": found.compliance,
        "budget_remaining": found.remaining,
        "good": found.good,
        "bad": found.bad,
        "idle": found.idle,
        "unknown": found.unknown,
    }

"""The answer of a check as JSON, for programs."""

from __future__ import annotations

import json

from slo.check.judgement import Judgement
from slo.verdicts import Budget


def document(judged: Judgement, failures: tuple[str, ...]) -> str:
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

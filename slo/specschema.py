"""The shape of a PartitionSLO file as a JSON schema, for editors: completion, and a red line before anything runs.

It says what a schema can say. `slo.specfile` reads strictly and says the rest: overlapping classes, matchers, label names.
Whatever it takes, the schema takes too, but for a name that YAML reads as a number: quote it.
"""

from __future__ import annotations

import json
from typing import Any

from exporter.catalogue import GUARANTEES
from slo import specfields, specfile
from slo.spec import Alerting, Severity
from toolkit.values import DURATION

Schema = dict[str, Any]

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"
_DURATION = {"anyOf": [{"type": "string", "pattern": f"^({DURATION.pattern})$", "minLength": 2}, {"enum": ["0", 0]}]}
_TEXT = {"type": ["string", "number", "boolean"]}  # YAML's plain scalars are text to the reader


def schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of one document."""
    found = _mapping(
        {
            "apiVersion": {"const": specfile.API_VERSION},
            "kind": {"const": specfile.KIND},
            "metadata": _metadata(),
            "spec": _spec(),
        },
        required=("apiVersion", "kind", "metadata", "spec"),
    )
    return {"$schema": SCHEMA_ID, "title": "PartitionSLO", "description": "An objective of slicewatch.", **found}


def document() -> str:
    """Return the schema as JSON text with its line end."""
    return json.dumps(schema(), indent=1) + "\n"


def _metadata() -> Schema:
    return _mapping(
        {
            "name": _text("Its name in rules, alerts and reports.", pattern=specfile.NAME.pattern),
            "displayName": _text("A name for people."),
            "labels": _labels("Labels of the objective itself."),
        },
        required=("name",),
    )


def _spec() -> Schema:
    found = _mapping(
        {
            "description": _text("What is promised, in a sentence that an alert can quote."),
            "guarantee": _choice(GUARANTEES, "The guarantee whose time is judged. This, or coverage."),
            "coverage": _choice(GUARANTEES, "Judge how much of the time this guarantee could be told at all."),
            "dimension": _choice(specfile.DIMENSIONS, "Whose promise class chooses the objective."),
            "allow": {
                "type": "number",
                "minimum": 0,
                "maximum": 0.99,
                "description": "The part of a minute that may be broken before the minute is bad.",
            },
            "wanted": _said(_DURATION, "The least wanted time for a minute to count: 1ms to 1m."),
            "select": _text('Label matchers as PromQL writes them, such as sharing=~"mig|mps".'),
            "groupBy": {
                "type": "array",
                "items": _text("", pattern=specfields.LABEL.pattern),
                "description": "Labels that your Prometheus adds, such as cluster.",
            },
            "timeWindow": _time_window(),
            "budgetingMethod": {"const": "Timeslices", "description": "Slices of one minute."},
            "objectives": {
                "type": "array",
                "minItems": 1,
                "maxItems": specfile.MOST_OBJECTIVES,
                "items": _objective(),
            },
            "alerting": _alerting(),
        },
        required=("timeWindow", "budgetingMethod", "objectives"),
    )
    return {**found, "oneOf": [{"required": ["guarantee"]}, {"required": ["coverage"]}]}


def _time_window() -> Schema:
    window = _mapping(
        {
            "duration": _said(_DURATION, "Whole days, 1d to 90d."),
            "isRolling": {"type": ["boolean", "string"], "enum": [True, "true", "yes", "on"]},
        },
        required=("duration",),
    )
    return {"type": "array", "minItems": 1, "maxItems": 1, "items": window, "description": "The budget's window."}


def _objective() -> Schema:
    severity = _choice([one.value for one in Severity], "page: come now; ticket: this week; none: for reports.")
    found = _mapping(
        {
            "displayName": _text("Its name.", pattern=specfile.OBJECTIVE_NAME.pattern),
            "match": _mapping(
                {"class": {"type": "array", "items": _choice(specfile.CLASSES, "A promise class.")}},
                required=("class",),
                said="The promise classes that it is for; without it, all that no other objective names.",
            ),
            "target": {
                "type": "number",
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 1,
                "description": "The part of the wanted minutes that must be good, such as 0.99.",
            },
            "targetPercent": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
            "severity": _mapping(
                {"fast": severity, "slow": severity}, said="What fast and slow burns ask of a person."
            ),
        },
        required=("displayName",),
    )
    return {**found, "oneOf": [{"required": ["target"]}, {"required": ["targetPercent"]}]}


def _alerting() -> Schema:
    default = Alerting()
    return _mapping(
        {
            "minBadSlices": {
                "type": "integer",
                "minimum": 1,
                "maximum": 60,
                "default": default.min_bad_slices,
                "description": "No alert for fewer bad minutes than this.",
            },
            "keepFiringFor": _said(_DURATION, "How long an alert stays when its cause is gone: 0 to 1d."),
            "runbookUrl": _text("", pattern=specfields.URL.pattern),
            "dashboardUrl": _text("", pattern=specfields.URL.pattern),
            "labels": _labels("Labels that its alerts are to carry."),
        }
    )


def _mapping(keys: dict[str, Schema], *, required: tuple[str, ...] = (), said: str = "") -> Schema:
    found: Schema = {"type": "object", "additionalProperties": False, "properties": keys}
    if required:
        found["required"] = list(required)
    return _said(found, said)


def _labels(said: str) -> Schema:
    names = {"pattern": f"^({specfields.LABEL.pattern})$"}
    return {"type": "object", "propertyNames": names, "additionalProperties": _TEXT, "description": said}


def _text(said: str, *, pattern: str = "") -> Schema:
    return _said({"type": "string", "pattern": f"^({pattern})$"} if pattern else dict(_TEXT), said)


def _choice(words: tuple[str, ...] | list[str], said: str) -> Schema:
    return _said({"enum": list(words)}, said)


def _said(found: Schema, said: str) -> Schema:
    return {**found, "description": said} if said else found

"""Exports: other formats' words in their places, what is lost is said, and the queries say on a real Prometheus what we say."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from exporter.catalogue import OUTCOMES
from slo import sli, specfile, validate
from slo.export import openslo, sloth
from slo.grid import counters, facts
from slo.slices import slices
from slo.spec import Alerting, Objective, PartitionSLO, Severity, Sli, Subject
from tests.slo.parity.histories import COUNTER, INFO, PROMISE, START, Series, identity, openmetrics, samples
from tests.slo.servers import Prometheus, prometheus

Document = dict[str, Any]

MINUTES = 120
END = START + MINUTES * 60


def closed(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Document:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


TEXT: Document = {"type": "string", "minLength": 1}
LABELS: Document = {"type": "object", "additionalProperties": TEXT}
NAME: Document = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
SOURCE = closed({"metricSource": closed({"type": {"const": "Prometheus"}, "spec": closed({"query": TEXT})})})
OPENSLO = Draft202012Validator(  # from the README of OpenSLO v1, the kind SLO with one inline indicator
    closed(
        {
            "apiVersion": {"const": "openslo/v1"},
            "kind": {"const": "SLO"},
            "metadata": closed({"name": NAME}, {"displayName": TEXT, "labels": LABELS}),
            "spec": closed(
                {
                    "description": {**TEXT, "maxLength": 1050},
                    "service": NAME,
                    "indicator": closed(
                        {
                            "metadata": closed({"name": NAME}),
                            "spec": closed(
                                {
                                    "ratioMetric": closed(
                                        {"counter": {"type": "boolean"}, "good": SOURCE, "total": SOURCE}
                                    )
                                }
                            ),
                        }
                    ),
                    "timeWindow": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": closed({"duration": {"pattern": "^[0-9]+[mhdwMQY]$"}, "isRolling": {"const": True}}),
                    },
                    "budgetingMethod": {"const": "Timeslices"},
                    "objectives": {
                        "type": "array",
                        "minItems": 1,
                        "items": closed(
                            {
                                "target": {"type": "number", "exclusiveMaximum": 1},
                                "timeSliceTarget": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                                "timeSliceWindow": {"pattern": "^[0-9]+[mhd]$"},
                            },
                            {"displayName": TEXT},
                        ),
                    },
                }
            ),
        }
    )
)
ALERT = closed({}, {"disable": {"const": True}, "labels": LABELS, "annotations": LABELS})
SLOTH = Draft202012Validator(  # from the Go types of its package api/v1
    closed(
        {
            "version": {"const": "prometheus/v1"},
            "service": NAME,
            "slos": {
                "type": "array",
                "minItems": 1,
                "items": closed(
                    {
                        "name": {"pattern": r"^[A-Za-z0-9][-_.A-Za-z0-9]*$"},
                        "objective": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                        "description": TEXT,
                        "sli": closed(
                            {
                                "events": closed(
                                    {
                                        key: {"type": "string", "pattern": r"\[\{\{\.window\}\}\]"}
                                        for key in (
                                            "error_query",
                                            "total_query",
                                        )
                                    }
                                )
                            }
                        ),
                        "alerting": closed(
                            {"name": TEXT, "page_alert": ALERT, "ticket_alert": ALERT},
                            {"labels": LABELS, "annotations": LABELS},
                        ),
                    },
                    {"labels": LABELS},
                ),
            },
        }
    )
)


def spec(subject: Subject = Subject.GUARANTEE, allow: float = 0.25) -> PartitionSLO:
    return PartitionSLO(
        name="compute",
        labels={"team": "gpu"},
        sli=Sli(subject=subject, guarantee="compute", dimension="compute", allow=allow, wanted=0.0),
        objectives=(
            Objective(name="hard", classes=("isolated",), target=0.99, fast=Severity.PAGE, slow=Severity.NONE),
            Objective(name="the rest", target=0.95, fast=Severity.TICKET, slow=Severity.TICKET),
        ),
        alerting=Alerting(runbook_url="https://runbooks.example.org/gpu", labels={"team": "gpu"}),
    )


@pytest.mark.parametrize("one", [*specfile.shipped(), spec()], ids=lambda one: one.name)
def test_every_export_is_in_the_other_format_and_says_what_is_lost(one: PartitionSLO):
    written = openslo.document(one)
    documents = list(yaml.safe_load_all(written))
    assert len(documents) == len(one.objectives)
    for document in documents:
        OPENSLO.validate(document)
    assert "# - burn alerts" in written
    assert "each partition's own budget" in written
    other = sloth.document(one)
    SLOTH.validate(yaml.safe_load(other))
    assert "# - slices" in other


def test_what_is_said_and_what_is_silent():
    (found,) = yaml.safe_load_all(sloth.document(spec()))
    hard, rest = found["slos"]
    assert (hard["name"], hard["objective"], rest["name"], rest["objective"]) == (
        "compute-hard",
        99.0,
        "compute-the-rest",
        95.0,
    )
    assert hard["alerting"]["page_alert"] == {"labels": {"severity": "page"}}
    assert hard["alerting"]["ticket_alert"] == {"disable": True}
    assert rest["alerting"]["page_alert"] == {"labels": {"severity": "ticket"}}
    assert hard["alerting"]["annotations"] == {"runbook_url": "https://runbooks.example.org/gpu"}
    assert "a burn without severity" in sloth.document(spec())
    quiet = replace(spec(), alerting=Alerting(keep_firing_for=0, min_bad_slices=1), objectives=spec().objectives[1:])
    for gone in ("a burn without severity", "keepFiringFor", "minBadSlices", "wanted ("):
        assert gone not in sloth.document(quiet)


def test_the_command_writes_every_objective(tmp_path: Path):
    out = io.StringIO()
    assert validate.main(["--export=openslo"], {}, out, io.StringIO()) == 0
    names = [document["metadata"]["name"] for document in yaml.safe_load_all(out.getvalue())]
    assert names == [f"{one.name}-{each.name}" for one in specfile.shipped() for each in one.objectives]


def world(number: int, klass: str, seed: int) -> list[Series]:
    """A partition whose outcomes are mixed anew every 15 s, scraped by two jobs."""
    rng = random.Random(seed)  # noqa: S311  # a test's history
    mine = identity(number)
    found = {
        outcome: Series({"__name__": COUNTER, **mine, "guarantee": "compute", "outcome": outcome, "job": "a"})
        for outcome in OUTCOMES
    }
    info = Series({"__name__": INFO, **mine, "node": "n", "sharing": "mig", "resource": "r", "job": "a"})
    promise = Series({"__name__": PROMISE, **mine, "dimension": "compute", "class": klass, "job": "a"})
    spent = dict.fromkeys(OUTCOMES, 0.0)
    for at in range(START, END + 1, 15):
        parts = [rng.random() ** 3 for _ in OUTCOMES]
        for outcome, part in zip(OUTCOMES, parts, strict=True):
            spent[outcome] += 15 * part / sum(parts)
            found[outcome].points.append((at, round(spent[outcome], 6)))
        for one in (info, promise):
            one.points.append((at, 1.0))
    every = [*found.values(), info, promise]
    return [*every, *(Series({**one.labels, "job": "b"}, one.points) for one in every)]


def vector(server: Prometheus, query: str) -> dict[int, float]:
    (row,) = server.query_range(query, START + 120, END)
    return {int(at): float(value) for at, value in row["values"]}


@pytest.fixture(scope="module")
def history() -> list[Series]:
    return [*world(0, "isolated", 1), *world(1, "soft_cap", 2)]


@pytest.fixture(scope="module")
def server(history: list[Series], tmp_path_factory: pytest.TempPathFactory):
    with prometheus(tmp_path_factory.mktemp("export"), openmetrics=openmetrics(history)) as found:
        yield found


@pytest.mark.real
@pytest.mark.parametrize("subject", list(Subject))
def test_openslos_slices_are_ours(server: Prometheus, history: list[Series], subject: Subject):
    one = spec(subject, allow=0.4)
    known = facts(samples(history, INFO), samples(history, PROMISE), ())
    ours = slices(one, counters(samples(history, COUNTER), "compute", (), START + 60, END), known)
    bads = 0
    for number, document in enumerate(yaml.safe_load_all(openslo.document(one))):
        indicator = document["spec"]["indicator"]["spec"]["ratioMetric"]
        good, total = (vector(server, indicator[key]["metricSource"]["spec"]["query"]) for key in ("good", "total"))
        least = document["spec"]["objectives"][0]["timeSliceTarget"]
        (row,) = [row for row, who in enumerate(ours.entities) if who.pod == f"pod-{number}"]
        for column in range(1, ours.minutes):
            at = ours.first + column * 60
            bad = good[at] / total[at] < least
            assert bad == (ours.states[row, column] == sli.BAD), at
            bads += bad
    assert 20 < bads < 2 * MINUTES - 20


@pytest.mark.real
def test_sloths_ratio_is_that_of_the_seconds(server: Prometheus, history: list[Series]):
    (found,) = yaml.safe_load_all(sloth.document(spec()))
    for number, one in enumerate(found["slos"]):
        error, total = (
            float(server.query(one["sli"]["events"][key].replace("{{.window}}", "1h"), END)[0]["value"][1])
            for key in ("error_query", "total_query")
        )
        grown = {
            outcome: series.points[-1][1] - series.points[-241][1]
            for outcome in OUTCOMES
            for series in history
            if series.labels["pod"] == f"pod-{number}" and series.labels.get("outcome") == outcome
        }
        assert total == pytest.approx(grown["kept"] + grown["broken"], rel=0.02)
        assert error / total == pytest.approx(grown["broken"] / (grown["kept"] + grown["broken"]), rel=0.02)

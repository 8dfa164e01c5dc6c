"""The schema for editors against the strict reader: what the reader takes, the schema takes; what a schema can refuse, both do."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exporter.catalogue import GUARANTEES
from slo import specfile, specschema, validate
from slo.specfile import CLASSES
from tests.slo.spec.test_specfile import GOOD
from toolkit.errors import ConfigError

Document = dict[str, Any]

SCHEMA = Draft202012Validator(specschema.schema())
FULL: Document = yaml.safe_load(GOOD)


def taken(document: object) -> bool:
    try:
        specfile.parse(yaml.safe_dump(document))
    except ConfigError:
        return False
    return True


def test_the_schema_is_one():
    Draft202012Validator.check_schema(specschema.schema())


@pytest.mark.parametrize("path", [one.name for one in (files("slo") / "specs").iterdir() if one.name.endswith(".yaml")])
def test_shipped_objectives_fit(path: str):
    SCHEMA.validate(yaml.safe_load((files("slo") / "specs" / path).read_text()))


def test_every_key_of_a_full_document_fits():
    SCHEMA.validate(FULL)


durations = st.sampled_from(
    ["1d", "30d", "4w", "90d", "91d", "12h", "0", "1m", "5s", "1ms", "61s", "d", "", "1d2h", "7"]
)
numbers = st.sampled_from([0, 0.5, 0.99, 0.999, 1, 1.5, 99.5, 100, -1, "0.9"])
severities = st.fixed_dictionaries(
    {}, optional={"fast": st.sampled_from(["page", "ticket", "none", "Page"]), "slow": st.sampled_from(["none", ""])}
)
objectives = st.fixed_dictionaries(
    {"displayName": st.sampled_from(["all", "a b", "", "é", "x" * 64])},
    optional={
        "target": numbers,
        "targetPercent": numbers,
        "match": st.fixed_dictionaries({}, optional={"class": st.lists(st.sampled_from([*CLASSES, "x"]), max_size=2)}),
        "severity": severities,
    },
)
specs = st.fixed_dictionaries(
    {
        "timeWindow": st.lists(
            st.fixed_dictionaries(
                {"duration": durations}, optional={"isRolling": st.sampled_from([True, False, "yes"])}
            ),
            min_size=1,
            max_size=2,
        ),
        "budgetingMethod": st.sampled_from(["Timeslices", "Occurrences"]),
        "objectives": st.lists(objectives, min_size=1, max_size=2),
    },
    optional={
        "guarantee": st.sampled_from([*GUARANTEES, "speed"]),
        "coverage": st.sampled_from(GUARANTEES),
        "dimension": st.sampled_from(["compute", "memory", "power"]),
        "allow": numbers,
        "wanted": durations,
        "groupBy": st.lists(st.sampled_from(["cluster", "1x", "a-b"]), max_size=2),
        "alerting": st.fixed_dictionaries(
            {},
            optional={
                "minBadSlices": st.sampled_from([0, 1, 60, 61, 1.5]),
                "keepFiringFor": durations,
                "runbookUrl": st.sampled_from(["https://a.example/b", "ftp://a", ""]),
            },
        ),
        "surprise": st.just(1),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(specs)
def test_what_the_reader_takes_the_schema_takes(spec: Document):
    document = {"apiVersion": specfile.API_VERSION, "kind": specfile.KIND, "metadata": {"name": "x"}, "spec": spec}
    if taken(document):
        SCHEMA.validate(document)


def spoilt(change: Callable[[Document], object]) -> Document:
    document = copy.deepcopy(FULL)
    change(document)
    return document


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(kind="SLO"),
        lambda d: d.pop("metadata"),
        lambda d: d["metadata"].update(name="Upper"),
        lambda d: d["metadata"].update(colour="red"),
        lambda d: d["spec"].pop("guarantee"),
        lambda d: d["spec"].update(coverage="compute"),
        lambda d: d["spec"].update(guarantee="speed"),
        lambda d: d["spec"].update(allow=1),
        lambda d: d["spec"].update(wanted="soon"),
        lambda d: d["spec"].update(timeWindow=[]),
        lambda d: d["spec"]["timeWindow"][0].update(isRolling=False),
        lambda d: d["spec"].update(budgetingMethod="Occurrences"),
        lambda d: d["spec"].update(objectives=[]),
        lambda d: d["spec"]["objectives"][0].update(target=99),
        lambda d: d["spec"]["objectives"][0].pop("target"),
        lambda d: d["spec"]["objectives"][0].update(targetPercent=99),
        lambda d: d["spec"]["objectives"][0]["match"].update({"class": ["gold"]}),
        lambda d: d["spec"]["objectives"][0]["severity"].update(fast="sms"),
        lambda d: d["spec"]["alerting"].update(minBadSlices=0),
        lambda d: d["spec"]["alerting"].update(runbookUrl="see the wiki"),
        lambda d: d["spec"]["alerting"].update(runbook="x"),
    ],
)
def test_what_a_schema_can_tell_both_refuse(change: Callable[[Document], object]):
    document = spoilt(change)
    assert not taken(document)
    assert not SCHEMA.is_valid(document)


def test_the_command_prints_it():
    out = io.StringIO()
    assert validate.main(["--schema"], {}, out, io.StringIO()) == 0
    assert json.loads(out.getvalue()) == specschema.schema()

"""The dashboards: fresh, importable, without faults of layout or words, and every query of them run on a real Prometheus."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dashboards import promql
from dashboards.files import files
from dashboards.promql import by, combined, series
from dashboards.vocabulary import record
from exporter.catalogue import DEVICE_POWER, GUARANTEE_SECONDS, METRICS, PARTITION_INFO
from slo import specfile
from slo.rules import document
from slo.rules.model import Record
from tests.dashboards.reading import BUILT_IN, ROOT, boards, everything, filled, panels, targets, texts, variables
from tests.dashboards.scene import BEGIN, END
from tests.slo.servers import Prometheus

BOARDS = boards()
UNITS = {"none", "percentunit", "bytes", "s", "hertz", "watt", "celsius"}
GRID = 24


def closed(**keys: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(keys), "properties": keys}


SOURCE = closed(type={"const": "prometheus"}, uid={"const": "${datasource}"})
TARGET = closed(refId={"pattern": "^[A-Z]$"}, expr={"type": "string", "minLength": 1}, datasource=SOURCE)
PANEL = {
    **closed(
        id={"type": "integer", "minimum": 1},
        type={"enum": ["row", "stat", "table", "timeseries", "state-timeline", "bargauge", "text"]},
        title={"type": "string", "minLength": 1},
        gridPos=closed(x={"type": "integer"}, y={"type": "integer"}, w={"type": "integer"}, h={"type": "integer"}),
    ),
    "properties": {"targets": {"type": "array", "items": TARGET}},
}
BOARD = Draft202012Validator(  # of the classic model, which Grafana 10 to 12 import: and no newer
    closed(
        title={"pattern": "^slicewatch / "},
        uid={"pattern": "^slicewatch-[a-z]+$"},
        schemaVersion={"const": 39},
        tags={"const": ["slicewatch"]},
        time=closed(**{"from": {"pattern": "^now-"}, "to": {"const": "now"}}),
        templating=closed(list={"type": "array", "minItems": 5}),
        annotations=closed(list={"type": "array", "minItems": 2}),
        links={"type": "array", "minItems": 1},
        panels={"type": "array", "minItems": 8, "items": PANEL},
    )
)


def test_what_is_committed_is_what_the_code_says():
    assert set(files()) == {f"dashboards/json/{name}.json" for name in BOARDS}
    for path, text in files().items():
        assert (ROOT / path).read_text() == text, f"{path}: run `make gen`"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_one_and_depends_on_no_server(name: str):
    BOARD.validate(BOARDS[name])
    assert "id" not in BOARDS[name] or BOARDS[name]["id"] is None
    assert not any(re.search(r"https?://", text) for text in texts(BOARDS[name]))


@pytest.mark.parametrize("name", BOARDS)
def test_ids_are_unique_and_panels_do_not_overlap(name: str):
    every = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: dict[tuple[int, int], str] = {}
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= GRID
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_shows_and_in_what(name: str):
    for panel in panels(BOARDS[name]):
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] != "text":
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
            assert panel["targets"], panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_variables_are_defined_and_used_and_links_lead_somewhere(name: str):
    board = BOARDS[name]
    defined = {each["name"] for each in board["templating"]["list"]}
    assert {"datasource", "cluster", "node", "namespace", "pod"} <= defined
    used = {found for text in texts(board) for found in variables(text)} - set(BUILT_IN) - {"__field"}
    assert used <= defined
    assert defined - used <= {"pod", "namespace", "node"}  # these are carried from page to page
    uids = {each["uid"] for each in BOARDS.values()}
    for text in texts(board):
        for uid, query in re.findall(r"/d/([\w-]+)\?(\S*)", text):
            assert uid in uids
            assert "${__url_time_range}" in query
            assert "${datasource:queryparam}" in query
    assert any(link["includeVars"] and link["keepTime"] for link in board["links"])


def known() -> set[str]:
    """Every metric of the contract, every record of the rules, and what a Prometheus has of itself."""
    recorded = {
        rule.name for group in document.rules(specfile.shipped()) for rule in group.rules if isinstance(rule, Record)
    }
    return {metric.name for metric in METRICS} | recorded | {"ALERTS", "up"}


@pytest.mark.parametrize("name", BOARDS)
def test_every_metric_is_of_the_catalogue_or_the_rules(name: str):
    queries = [target["expr"] for _, target in targets(BOARDS[name])]
    queries += [each["expr"] for each in BOARDS[name]["annotations"]["list"] if "expr" in each]
    found = {
        word for query in queries for word in re.findall(r"[a-zA-Z_:][\w:]*(?=\{)", re.sub(r'"[^"]*"', '""', query))
    }
    assert found
    assert found <= known()


@pytest.mark.parametrize("wrong", ['namespace="x"', "gpu", 'gpu=="x"'])
def test_a_label_that_a_metric_does_not_have_is_refused(wrong: str):
    with pytest.raises(ValueError, match="cannot be matched"):
        series(DEVICE_POWER, wrong)


def test_an_aggregation_or_a_join_on_a_label_that_is_not_there_is_refused():
    power, info = series(DEVICE_POWER), series(PARTITION_INFO)
    with pytest.raises(ValueError, match="pod is no label"):
        by("sum", power, "pod")
    with pytest.raises(ValueError, match="pod is no label"):
        combined(power, "*", info, on=("gpu", "pod"))
    with pytest.raises(ValueError, match="reason is no label"):
        combined(power, "*", info, on=("gpu",), take=("reason",))
    with pytest.raises(ValueError, match="outcome is no label"):
        by("sum", by("max", promql.rate(series(GUARANTEE_SECONDS)), "pod"), "outcome")
    with pytest.raises(KeyError):
        record("partition:of_somebody_else")


EXPECTED = {
    "fleet": {
        "Who is short-changed": 5,
        "Compute: what partitions got": 4,
        "Where the GPUs' time goes": 6,
        "Worst partitions": 4,
    },
    "node": {
        "Compute, partition by partition": 10,
        "SM clock": 8,
        "Partitions of these GPUs": 49,
        "Taken by neighbours": 1,
    },
    "tenant": {"Pod by pod": 10, "Who took it": 2, "Lost, by cause": 3, "Compute: promised, entitled, delivered": 28},
    "slo": {"Firing": 5, "Budget left, by namespace": 8, "What burns it": 3, "Burning partitions": 4},
}
"""How many series a panel has in that evening, where it is known from the scenario; every other one has at least one."""


@pytest.mark.real
@pytest.mark.parametrize("name", BOARDS)
def test_every_query_finds_its_series(name: str, evening: Prometheus):
    board, found = BOARDS[name], dict[str, int]()
    chosen = everything(board)
    for panel, target in targets(board):
        query = filled(target["expr"], chosen)
        asked = evening.query(query, END) if target.get("instant") else evening.query_range(query, BEGIN, END)
        found[panel["title"]] = found.get(panel["title"], 0) + len(asked)
    assert [title for title, count in found.items() if not count] == []
    assert {title: found[title] for title in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.real
@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_and_annotation_finds_something(name: str, evening: Prometheus):
    board = BOARDS[name]
    chosen = everything(board)
    for each in board["templating"]["list"]:
        if each["type"] == "query":
            query, label = values_of(each["query"])
            rows = evening.query(filled(query, chosen), END)
            assert each["name"] == "cluster" or any(label in row["metric"] for row in rows), each["name"]
    marks = {
        each["name"]: sum(len(row["values"]) for row in evening.query_range(filled(each["expr"], chosen), BEGIN, END))
        for each in board["annotations"]["list"]
        if "expr" in each
    }
    assert marks["MIG reconfigurations"] == 1
    assert marks["Alerts"] == 9


@cache
def values_of(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", text)
    assert found is not None, text
    return found[1], found[2]


@pytest.mark.real
def test_a_chosen_pod_is_all_that_a_tenant_sees(evening: Prometheus):
    board = BOARDS["tenant"]
    chosen = everything(board) | {"namespace": "checkout", "pod": "product-ranker-.*"}
    for panel, target in targets(board):
        if panel["title"] in {"Pod by pod", "What was promised"}:
            rows = evening.query_range(filled(target["expr"], chosen), BEGIN, END)
            assert {row["metric"]["namespace"] for row in rows} <= {"checkout"}, panel["title"]


@pytest.mark.real
def test_the_evening_has_what_it_is_about(evening: Prometheus):
    at = {
        name: evening.query(query, END)
        for name, query in {
            "taken": "sum by (neighbour_pod) (rate(gpu_partition_lost_to_neighbour_seconds_total[5m])) > 0.1",
            "hot": 'sum(rate(gpu_device_throttled_seconds_total{reason="hw_thermal"}[5m])) > 0.5',
            "page": 'ALERTS{alertname="GPUPartitionPromiseBurn",slo="compute"}',
        }.items()
    }
    assert all(at.values()), {name: len(rows) for name, rows in at.items()}

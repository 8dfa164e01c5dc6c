"""Alertmanager's configuration: amtool takes it, alerts go where they should, and one that is explained is inhibited."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from slo.rules import document, routing
from slo.rules.model import Alert
from slo.rules.routing import Receivers
from tests.slo.rules.made import COMPUTE, SPECS, asked
from tests.slo.servers import Alertmanager, alertmanager, until

WHOM = Receivers(tenants={"team-a": "team-a-inbox", 'we"ird\\': "other"})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("am") / "alertmanager.yml"
    path.write_text(routing.document(SPECS, WHOM, "Made by a test"))
    return path


@pytest.mark.real
def test_amtool_takes_it(file: Path):
    said = asked("amtool", "check-config", str(file))
    assert "SUCCESS" in said
    assert "6 inhibit rules" in said
    assert file.read_text().startswith("# Made by a test\n")


@pytest.mark.real
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "GPUPartitionPromiseBurn", "severity": "page", "namespace": "team-a"}, "gpu-slo-page"),
        ({"alertname": "GPUWidePromiseBurn", "severity": "page"}, "gpu-slo-page"),
        ({"alertname": "GPUFleetPromiseBurn", "severity": "page"}, "gpu-slo-page"),
        ({"alertname": "GPUPartitionPromiseBurn", "severity": "ticket", "namespace": "team-a"}, "team-a-inbox"),
        ({"alertname": "GPUPartitionPromiseBurn", "severity": "ticket", "namespace": "team-b"}, "gpu-slo-ticket"),
        ({"alertname": "GPUTenantBudgetExhausted", "severity": "ticket", "namespace": "team-a"}, "team-a-inbox"),
        ({"alertname": "GPUPartitionTelemetryMissing", "severity": "ticket"}, "gpu-slo-ticket"),
        ({"alertname": "GPUSLOAlertsNotShown", "severity": "page", "slo": "not-shown"}, "gpu-slo-page"),
        ({"alertname": "GPUSLOAlertsNotShown", "severity": "ticket", "slo": "not-shown"}, "gpu-slo-ticket"),
        ({"alertname": "GPUSLOWatchdog", "severity": "none"}, "gpu-slo-watchdog"),
        ({"alertname": "SomethingElse", "severity": "page"}, "default"),
    ],
)
def test_an_alert_goes_to(labels: Mapping[str, str], receiver: str, file: Path):
    words = [f"{key}={value}" for key, value in labels.items()]
    test = ["config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receiver}", *words]
    asked("amtool", *test)


@pytest.mark.real
def test_every_generated_alert_has_a_receiver_of_its_own(file: Path):
    found = {
        (str(rule.name), rule.labels["severity"])
        for group in document.rules(SPECS)
        for rule in group.rules
        if isinstance(rule, Alert)
    }
    for name, severity in sorted(found):
        words = [f"alertname={name}", f"severity={severity}"]
        said = asked("amtool", "config", "routes", "test", f"--config.file={file}", *words)
        assert said.splitlines()[0] in {"gpu-slo-page", "gpu-slo-ticket", "gpu-slo-watchdog"}, (name, said)


SITE = {"cluster": "c1", "slo": "compute"}
NODE = SITE | {"node": "n1"}
GPU = NODE | {"gpu": "g1"}
PARTITION = GPU | {"device": "d1", "namespace": "a", "pod": "p1", "container": "m"}
BURN, UNMET = "GPUPartitionPromiseBurn", "GPUPartitionPromiseUnmetWhenUsed"
GPU_WIDE, NODE_WIDE, FLEET = "GPUWidePromiseBurn", "GPUNodeWidePromiseBurn", "GPUFleetPromiseBurn"
TELEMETRY, TENANT = "GPUPartitionTelemetryMissing", "GPUTenantBudgetExhausted"


def named(name: str, severity: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {"alertname": name, "severity": severity, **labels}


PAGE = named(BURN, "page", PARTITION)
TICKET = named(BURN, "ticket", PARTITION)
OTHER_POD = named(BURN, "page", PARTITION | {"pod": "p2"})
OTHER_GPU = named(BURN, "page", PARTITION | {"gpu": "g2"})
OTHER_NODE = named(BURN, "page", PARTITION | {"node": "n2"})
OTHER_SLO = named(BURN, "page", PARTITION | {"slo": "memory"})
OTHER_CLUSTER = named(BURN, "page", PARTITION | {"cluster": "c2"})
ELSEWHERE = named(FLEET, "page", SITE | {"slo": "isolation"})
ONE_CLUSTER = {key: value for key, value in PAGE.items() if key != "cluster"}


CONTROL = (PAGE | {"cluster": "control"}, named(GPU_WIDE, "page", GPU | {"cluster": "control"}))
"""Posted last: once the one inhibits the other, Alertmanager has looked at all that came before."""


def post(server: Alertmanager, alerts: Sequence[Mapping[str, str]]) -> None:
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/api/v2/alerts", data=body, headers=headers)  # noqa: S310  # our own
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


@pytest.mark.real
@pytest.mark.parametrize(
    ("source", "inhibited", "told"),
    [
        pytest.param(PAGE, [TICKET, named(UNMET, "ticket", PARTITION)], [OTHER_POD], id="a page, its tickets"),
        pytest.param(
            PAGE,
            [],
            [named(UNMET, "ticket", PARTITION | {"slo": "memory"}), TICKET | {"pod": "p2"}],
            id="a page, not others' tickets",
        ),
        pytest.param(TICKET, [], [named(UNMET, "ticket", PARTITION), OTHER_POD], id="a ticket nothing"),
        pytest.param(
            named(GPU_WIDE, "page", GPU),
            [PAGE, OTHER_POD, TICKET, named(UNMET, "ticket", PARTITION)],
            [OTHER_GPU, OTHER_NODE, OTHER_SLO, OTHER_CLUSTER, ONE_CLUSTER],
            id="a GPU its partitions",
        ),
        pytest.param(
            named(NODE_WIDE, "page", NODE),
            [PAGE, OTHER_GPU, named(GPU_WIDE, "page", GPU)],
            [OTHER_NODE, OTHER_SLO, OTHER_CLUSTER, named(TENANT, "ticket", SITE | {"namespace": "a"})],
            id="a node its GPUs",
        ),
        pytest.param(
            named(FLEET, "page", SITE),
            [PAGE, OTHER_NODE, named(GPU_WIDE, "page", GPU), named(NODE_WIDE, "page", NODE)],
            [OTHER_SLO, OTHER_CLUSTER],
            id="the fleet all of its SLO",
        ),
        pytest.param(
            named(TELEMETRY, "ticket", {"cluster": "c1", "node": "n1", "slo": "telemetry"}),
            [PAGE, OTHER_SLO, named(GPU_WIDE, "page", GPU)],
            [OTHER_NODE, ELSEWHERE],
            id="an exporter that is gone its node",
        ),
        pytest.param(
            {"alertname": "KubeNodeNotReady", "cluster": "c1", "node": "n1", "severity": "page"},
            [PAGE, OTHER_SLO, named(TELEMETRY, "ticket", {"cluster": "c1", "node": "n1", "slo": "telemetry"})],
            [OTHER_NODE, OTHER_CLUSTER, ELSEWHERE],
            id="a node that is down its node",
        ),
        pytest.param(
            {"alertname": "NodeDown", "severity": "page"},
            [],
            [
                PAGE,
                ELSEWHERE,
                {key: value for key, value in PAGE.items() if key not in {"node", "cluster"}},
            ],
            id="a node without a name nothing",
        ),
        pytest.param(
            {"alertname": "GPUSLOWatchdog", "severity": "none", "slo": "watchdog"},
            [],
            [PAGE, TICKET | {"pod": "p9"}],
            id="the watchdog nothing",
        ),
    ],
)
def test_inhibits(
    source: Mapping[str, str],
    inhibited: Sequence[Mapping[str, str]],
    told: Sequence[Mapping[str, str]],
    tmp_path: Path,
):
    with alertmanager(tmp_path, routing.config([COMPUTE])) as server:
        post(server, [source, *inhibited, *told, *CONTROL])
        expected = {frozenset(labels.items()): "suppressed" for labels in (*inhibited, CONTROL[0])}
        expected |= {frozenset(labels.items()): "active" for labels in (source, *told, CONTROL[1])}

        def states() -> dict[frozenset[tuple[str, str]], str]:
            return {frozenset(one["labels"].items()): one["status"]["state"] for one in server.alerts()}

        until(lambda: states() == expected, f"{expected}", patience=15)


def test_a_webhook_is_configured_where_its_address_is_known():
    config = routing.config([COMPUTE], Receivers(webhooks={"gpu-slo-page": "http://127.0.0.1:1/"}))
    hooks = {one["name"]: one.get("webhook_configs") for one in config["receivers"]}
    assert hooks["gpu-slo-page"] == [{"url": "http://127.0.0.1:1/", "send_resolved": True, "max_alerts": 50}]
    assert hooks["gpu-slo-ticket"] is None
    assert yaml.safe_load(routing.document([COMPUTE], Receivers())) == routing.config([COMPUTE])

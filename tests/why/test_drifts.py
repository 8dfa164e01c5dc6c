"""Drifts in `why` and `status`: whom each touches, in which words, and that nothing is said where nothing is told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from exporter import driftwords
from exporter.catalogue import PartitionKey
from exporter.drift import Drift, Severity
from exporter.model import Missing, Reason
from exporter.pipeline import Result, State
from exporter.snapshot_json import snapshot_json
from exporter.status import cli as status
from exporter.why import cli as why
from exporter.why.from_snapshot import cases
from tests.scenarios.stage import played
from tests.why.fake_prometheus import FakePrometheus
from tests.why.story import Told, as_judged, tell

MINE = PartitionKey("GPU-1", "MIG-1", "team", "mine", "main")
OTHER = PartitionKey("GPU-1", "MIG-1", "team", "other", "main")
W = Severity.WARNING


@pytest.mark.parametrize(
    ("drift", "touched"),
    [
        (Drift(15, "several_slots", W, "MIG-1", MINE), True),
        (Drift(15, "several_slots", W, "MIG-1", OTHER), False),
        (Drift(13, "unenforced", W, "MIG-1", OTHER), True),
        (Drift(13, "unenforced", W, "MIG-2", OTHER._replace(device="MIG-2")), False),
        (Drift(8, "rogue_process", W, "MIG-1", who=("x/y",)), True),
        (Drift(4, "mig_mode_pending", W, "GPU-1"), True),
        (Drift(4, "mig_mode_pending", W, "GPU-2"), False),
        (Drift(3, "mig_reconfiguring", W), True),
        (Drift(12, "overruled_id", W, who=("team/mine/main",)), True),
        (Drift(12, "overruled_id", W, who=("team/mine-2/main", "team/other/main")), False),
        (Drift(5, "stale_plugin", W, who=("MIG-1",)), True),
        (Drift(5, "stale_plugin", W, who=("GPU-2",)), False),
    ],
)  # fmt: skip
def test_whom_a_drift_touches(drift: Drift, *, touched: bool) -> None:
    assert driftwords.touches(drift, MINE) is touched


@pytest.mark.parametrize("name", sorted(driftwords.NAMES))
def test_every_drift_has_a_sentence_and_a_command_that_only_looks(name: str) -> None:
    hostile = PartitionKey("GPU-1", "MIG-1", "team", "a;rm -rf", "main")
    drift = Drift(1, name, W, "MIG-1", hostile)
    assert driftwords.sentence(drift).endswith(".")
    step = driftwords.step(drift, "n1", "GPU-1")
    assert step.split()[0] in {"kubectl", "nvidia-smi", "journalctl"}
    assert not {"delete", "edit", "patch", "apply"} & set(step.split())
    assert ";rm" not in step.replace("'a;rm -rf'", "")


def test_a_drift_of_a_newer_exporter_is_told_by_its_name() -> None:
    drift = Drift(17, "from_the_future", W)
    assert driftwords.sentence(drift) == "A drift that this version has no words for."
    assert driftwords.step(drift, "n1", "") == "kubectl get pod -A -o wide --field-selector spec.nodeName=n1"


def snapshot(**changes: Any) -> bytes:
    tick = played("hami-hook-off", 20)
    document = json.loads(snapshot_json(tick.result, tick.health, 0.0))
    return json.dumps({key: value for key, value in {**document, **changes}.items() if value is not None}).encode()


def test_an_exporter_that_tells_none_yet_is_not_one_without_any() -> None:
    assert {case.drifts for case in cases(snapshot(drifts=None), "u")} == {Missing(Reason.NOT_CONFIGURED)}
    assert {case.drifts for case in cases(snapshot(drifts=[]), "u")} == {()}
    assert all(case.touched for case in cases(snapshot(), "u"))


def story() -> Told:
    return tell("hami-hook-off", 20.0, as_judged)


def documents(*argv: str, asked: Any) -> tuple[Any, Any]:
    found = []
    for command, words in ((why, ["vision/defect-detector-0"]), (status, [])):
        out = io.StringIO()
        command.main([*words, "--json", *argv], {}, out, asked)
        found.append(json.loads(out.getvalue()))
    return found[0], found[1]


def test_the_documents_carry_them_and_say_when_they_are_not_told() -> None:
    told = story()
    one, all_ = documents(asked=lambda _site, _path, _form=None: told.snapshot)
    (drift,) = one["cases"][0]["case"]["drifts"]
    assert (drift["number"], drift["name"], drift["severity"], drift["neighbour"]) == (13, "unenforced", "breach", True)
    assert drift["whose"] == "research/ablation-grid-7wqk2 (train)"
    assert drift["next"] in one["cases"][0]["verdict"]["next"]
    assert [row["drifts"] for row in all_["partitions"]] == [["unenforced"]] * 3
    argv = ("--prometheus", "http://prometheus:9090", "--at", str(told.at))
    one, all_ = documents(*argv, asked=FakePrometheus(told.pages))
    assert one["cases"][0]["case"]["drifts"] == {"missing": "not_configured"}
    assert [row["drifts"] for row in all_["partitions"]] == [{"missing": "not_configured"}] * 3


def test_a_name_in_a_drift_reaches_no_terminal_as_it_is() -> None:
    tick = played("rogue-process", 40)
    drifts = tuple(replace(drift, who=("\x1b[2Jx/[red]y",)) for drift in tick.result.drifts)
    result = Result(tick.result.snapshot, tick.result.verdicts, State(ledger=tick.result.state.ledger), drifts)
    body, out = snapshot_json(result, tick.health, 0.0), io.StringIO()
    why.main(["recommendations/session-model-train-c7m4x"], {}, out, lambda _site, _path, _form=None: body)
    assert "\x1b" not in out.getvalue()
    assert "[red]y" in out.getvalue()

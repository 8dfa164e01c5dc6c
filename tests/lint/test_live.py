"""Lint on a live node: simulated nodes through the real snapshot, and nodes made up to break one rule each."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from exporter.errors import SourceError
from exporter.lint import snapshot as live_node
from exporter.lint.model import LiveDevice, LiveNode, LivePartition, LiveProcess, LivePromise
from exporter.lint.rules import NODE_RULES, lint
from exporter.snapshot_json import snapshot_json
from tests.scenarios.stage import played

GIB = 2.0**30


@cache
def snapshot(scenario: str, until: float) -> bytes:
    tick = played(scenario, until)
    return snapshot_json(tick.result, tick.health, 1.0)


@pytest.mark.parametrize(
    ("scenario", "until", "expected"),
    [
        ("mig-mixed", 30, []),
        ("mig-single-a100", 30, []),
        ("oversubscribed", 120, ["holders-above-replicas", "compute-above-gpu", "nobody-enforces"]),
        ("mig-reshaped", 120, ["device-gone"]),
        ("gpu-lost", 120, ["device-gone"]),
        ("mps-memory-hog", 120, ["mps-processes"]),
        ("rogue-process", 120, ["unowned-processes", "unowned-processes"]),
        ("idle-tenant", 30, ["nobody-enforces"]),
    ],
)
def test_a_simulated_node_is_found_to_be_what_its_story_tells(scenario: str, until: float, expected: list[str]):
    assert [finding.rule for finding in lint(live_node.parse(snapshot(scenario, until)))] == expected


def test_the_leak_of_mps_is_told_in_its_numbers():
    (finding,) = lint(live_node.parse(snapshot("mps-memory-hog", 120)))
    assert finding.found.where == "node-1 gpu0"
    assert finding.found.what.startswith("MPS replicas=4, pod summaries/doc-summarizer")
    assert finding.found.what.endswith("runs 3 CUDA processes")
    assert finding.found.why == "the limit is per client: 3 × 25% = 75%"


def test_devices_are_told_in_their_order_on_the_node():
    found = lint(live_node.parse(snapshot("time-slicing-hog", 120)))
    assert [finding.found.where for finding in found] == ["node-1 gpu0", "node-1 gpu1"]


# --- nodes made up ---


def promise(amount: float | None, enforcer: str = "scheduler") -> LivePromise:
    return LivePromise(amount=amount, klass="any", enforcer=enforcer)


def partition(pod: str = "a", **changes: Any) -> LivePartition:
    standing: dict[str, Any] = {
        "gpu": "GPU-0",
        "device": "GPU-0",
        "namespace": "ml",
        "pod": pod,
        "container": "main",
        "sharing": "exclusive",
        "slots": 1,
        "state": "present",
        "promised_profile": "",
        "replicas": None,
        "holders": 1,
        "processes": 1,
        "compute": promise(0.5),
        "memory": promise(20 * GIB),
        "conformance": {},
    }
    return LivePartition(**{**standing, **changes})


def node(*partitions: LivePartition, processes: tuple[LiveProcess, ...] = ()) -> LiveNode:
    device = LiveDevice(uuid="GPU-0", gpu="GPU-0", index="0", model="L40S", memory=45 * GIB)
    return LiveNode(name="n03", devices=(device,), partitions=partitions, processes=processes)


def process(relation: str, pod: str = "x") -> LiveProcess:
    return LiveProcess(device="GPU-0", pid=7, command="python", relation=relation, namespace="ml", pod=pod)


TS: dict[str, Any] = {"sharing": "time-slicing", "memory": None, "compute": promise(0.5, "nobody")}
MPS: dict[str, Any] = {"sharing": "mps", "compute": promise(0.5, "mps"), "slots": 2, "replicas": 4.0, "holders": 2}


@pytest.mark.parametrize(
    ("subject", "rule", "words"),
    [
        (node(partition(replicas=2.0, holders=3)), "holders-above-replicas", "3 slots held of 2: ml/a/main"),
        (node(partition(), partition("b"), partition("c", memory=None)), "compute-above-gpu", "150% of the GPU"),
        (node(partition(), partition("b", memory=promise(26 * GIB))), "memory-above-device", "46.0 GiB are promised, 45.0 GiB are there"),
        (node(partition(state="lost")), "device-gone", "fallen off"),
        (node(partition(conformance={"wrong_profile": 0.5}, promised_profile="2g.20gb")), "conformance-broken", "promised 2g.20gb|wrong_profile: 50%"),
        (node(partition(**TS)), "nobody-enforces", "time slice of 1 holder: ml/a/main|compute: declared only"),
        (node(partition(**{**TS, "memory": promise(1.0, "nobody")})), "nobody-enforces", "compute, memory: declared only"),
        (node(partition(**MPS, processes=3)), "mps-processes", "3 × 25% = 75%"),
        (node(partition(**{**MPS, "compute": None, "replicas": None}, processes=3)), "mps-processes", "replicas=?|the limit is per client"),
        (node(partition(), processes=(process("rogue"),)), "unowned-processes", "process 7 (python) of pod ml/x"),
        (node(partition(), processes=(process("host", ""),)), "unowned-processes", "of no pod"),
        (node(partition(compute=promise(0.3, "hook"), sharing="hami")), "hook-alone", "HAMi share of ml/a/main"),
        (node(partition(**{**TS, "compute": None, "slots": 2})), "slots-are-one-turn", "2 time slices"),
    ],
)  # fmt: skip
def test_a_rule_finds_its_fault_and_nothing_else_is_found(subject: LiveNode, rule: str, words: str):
    found = lint(subject)
    assert [finding.rule for finding in found] == [rule]
    line = f"{found[0].found.what}   {found[0].found.why}"
    assert [word for word in words.split("|") if word not in line] == [], line


def test_every_rule_about_nodes_is_shown_at_work_above():
    cases = test_a_rule_finds_its_fault_and_nothing_else_is_found.pytestmark[0].args[1]
    assert {rule for _, rule, _ in cases} == {rule.name for rule in NODE_RULES}


@pytest.mark.parametrize(
    "subject",
    [
        node(),
        node(partition(), partition("b")),
        node(*(partition(p, compute=promise(0.3334), memory=promise(15.002 * GIB)) for p in "abc")),
        node(partition(replicas=4.0, holders=4)),
        node(partition(**MPS, processes=2)),
        node(partition(**MPS, processes=None)),
        node(partition(compute=promise(None), memory=promise(None))),
        node(partition(), processes=(process("owner"), process("pod"), process("allowed"), process("unknown"))),
        node(partition(conformance={"oversubscribed": 0.5})),
        replace(node(processes=(process("rogue"),)), partitions=()),
    ],
)
def test_what_is_kept_or_unknown_is_not_complained_about(subject: LiveNode):
    assert lint(subject) == ()


def test_a_device_that_the_driver_does_not_list_is_named_by_its_id():
    found = lint(replace(node(partition(**TS)), devices=()))
    assert found[0].found.where == "n03 GPU-0"


def test_long_lists_of_holders_are_cut():
    found = lint(node(*(partition(p, **{**TS, "compute": promise(0.1, "nobody")}) for p in "abcd")))
    assert found[0].found.what == "time slice of 4 holders: ml/a/main, ml/b/main and 2 more"


# --- what is no snapshot ---


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(snapshot("mig-mixed", 30)), **changes}).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no snapshot"),
        (b"<html>", "no snapshot"),
        (b"[]", "no snapshot"),
        (b"{}", "no snapshot"),
        (b'{"doubt": null, "node": "n", "devices": 3, "partitions": [], "processes": {}}', "no snapshot"),
        (b'{"doubt": null, "node": "n", "devices": [], "partitions": [{}], "processes": {}}', "no snapshot"),
        (b'{"doubt": null, "node": "n", "devices": [], "partitions": [], "processes": []}', "no snapshot"),
        (b"[" * 100_000, "no snapshot"),
    ],
)
def test_what_is_no_snapshot_is_an_unreachable_node_and_not_a_clean_one(data: bytes, said: str):
    with pytest.raises(SourceError, match=said):
        live_node.parse(data)


def test_a_node_whose_driver_tells_nothing_is_not_a_clean_one():
    with pytest.raises(SourceError, match="sees nothing now: timeout"):
        live_node.parse(_changed(doubt="timeout"))

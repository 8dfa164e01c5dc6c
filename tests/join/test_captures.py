"""The join on recorded nodes whose right answer is known."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import Missing, Partition, Promised
from tests.fakes import captures
from tests.join.worlds import evidence, from_capture, think

MODES = {
    "whole",
    "mig-mixed",
    "mig-single",
    "time-slicing",
    "mps",
    "gke-time-sharing",
    "numa-duplicates",
    "terminal-pod",
}
"""The sharing modes that this version reads; hami, kai and dra are read later."""


def cases() -> list[Any]:
    found = [case for case in captures.cases() if case.id in MODES or case.id == "absent"]
    if captures.names():
        assert {case.id for case in found} == MODES
    return found


def promised(dimension: Promised | None, size: str) -> dict[str, Any] | None:
    if dimension is None:
        return None
    amount = dimension.amount
    assert not isinstance(amount, Missing), amount
    words = {"class": dimension.klass.value, "enforcer": dimension.enforcer.value, "source": dimension.source.value}
    return {size: pytest.approx(amount, rel=1e-9), **words}


def answer(partition: Partition) -> dict[str, Any]:
    return {
        "gpu": partition.key.gpu,
        "device": partition.key.device,
        "namespace": partition.key.namespace,
        "pod": partition.key.pod,
        "container": partition.key.container,
        "pod_uid": partition.owner.pod_uid,
        "resource": partition.resource,
        "sharing": partition.sharing.value,
        "slots": partition.slots,
        "role": partition.owner.role.value,
        "promise": {
            "compute": promised(partition.promise.compute, "share"),
            "memory": promised(partition.promise.memory, "bytes"),
        },
    }


@pytest.mark.parametrize("name", cases())
def test_every_partition_of_a_recorded_node_has_its_owner_and_its_promise(name: str) -> None:
    node = captures.load(name)
    instant = evidence(from_capture(node.driver), node.allocations, node.pods)
    result = think(instant, instant)
    found = sorted((answer(p) for p in result.snapshot.partitions), key=str)
    ours = ("profile", "granularity")
    wanted = [{k: v for k, v in p.items() if k not in ours} for p in node.expect["partitions"]]
    assert found == sorted(wanted, key=str)
    profiles = {p["device"]: p["profile"] for p in node.expect["partitions"] if "profile" in p}
    assert {p.key.device: p.promised_profile for p in result.snapshot.partitions if p.promised_profile} == profiles


@pytest.mark.parametrize("name", cases())
def test_what_a_recorded_node_leaves_over_is_counted(name: str) -> None:
    node = captures.load(name)
    instant = evidence(from_capture(node.driver), node.allocations, node.pods)
    orphans = think(instant, instant).snapshot.orphans
    unowned = [o for o in node.expect["orphans"] if o["kind"] == "unowned_device"]
    assert orphans["unowned_device"] == len(unowned)
    ignored = [entry["reason"] for entry in node.expect["ignored"]]
    assert orphans["terminal_pod"] == ignored.count("terminal")
    assert orphans["unknown_pod"] == ignored.count("unknown_pod")
    assert orphans["unresolved_device_id"] == 0
    assert orphans["conflict"] == 0

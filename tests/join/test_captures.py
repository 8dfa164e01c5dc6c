"""The join on recorded nodes whose right answer is known."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import Missing, Partition, Promised, Sharing
from tests.fakes import captures
from tests.join.worlds import evidence, from_capture, think


def cases() -> list[Any]:
    return captures.cases()


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
    ours = ("profile", "granularity", "underlying", "claim_uid", "joint", "memory_tolerance_bytes")
    wanted = [{k: v for k, v in p.items() if k not in ours} for p in node.expect["partitions"]]
    assert len(found) == len(wanted)
    assert found == sorted(wanted, key=str)
    profiles = {p["device"]: p["profile"] for p in node.expect["partitions"] if "profile" in p}
    assert {p.key.device: p.promised_profile for p in result.snapshot.partitions if p.promised_profile} == profiles


@pytest.mark.parametrize("name", cases())
def test_what_a_claim_gave_is_one_promise_on_the_device_underneath(name: str) -> None:
    node = captures.load(name)
    instant = evidence(from_capture(node.driver), node.allocations, node.pods)
    found = {
        (p.key.device, p.key.pod, p.key.container): (p.mode, "" if p.grant is None else p.grant.claim, p.joint > 1)
        for p in think(instant, instant).snapshot.partitions
        if p.sharing is Sharing.DRA
    }
    wanted = {
        (p["device"], p["pod"], p["container"]): (p["underlying"], p["claim_uid"], p.get("joint", False))
        for p in node.expect["partitions"]
        if p["sharing"] == "dra"
    }
    assert found == wanted


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


def differences(name: str) -> list[str]:
    """Where the join's whole answer on a recorded node is another than the recorded one."""
    node = captures.load(name)
    instant = evidence(from_capture(node.driver), node.allocations, node.pods)
    snapshot = think(instant, instant).snapshot
    held = {p.key.device for p in snapshot.partitions}
    parents = {g["uuid"] for g in node.driver["gpus"] if g["mig_enabled"]}
    unowned = {str(each.uuid) for each in snapshot.devices} - held - parents
    told = {
        "partitions": {(p.key.device, p.key.namespace, p.key.pod, p.key.container) for p in snapshot.partitions},
        "unowned": unowned,
        "ignored": {f"{kind.removesuffix('_pod')} {_pod(who)}" for kind, who in snapshot.found if kind in IGNORED},
        "other orphans": {
            kind for kind, count in snapshot.orphans.items() if count and kind not in {*IGNORED, UNOWNED}
        },
    }
    wanted = {
        "partitions": {(p["device"], p["namespace"], p["pod"], p["container"]) for p in node.expect["partitions"]},
        "unowned": {o["device"] for o in node.expect["orphans"] if o["kind"] == UNOWNED},
        "ignored": {_ignored(entry) for entry in node.expect["ignored"]},
        "other orphans": {o["kind"] for o in node.expect["orphans"] if o["kind"] != UNOWNED},
    }
    return [f"{what}: {told[what]} != {wanted[what]}" for what in wanted if told[what] != wanted[what]]


UNOWNED = "unowned_device"
IGNORED = frozenset({"terminal_pod", "unknown_pod"})


def _pod(who: str) -> str:
    """Namespace and pod of a container."""
    return "/".join(who.split("/")[:2])


def _ignored(entry: dict[str, str]) -> str:
    return f"{entry['reason'].removesuffix('_pod')} {entry['namespace']}/{entry['pod']}"


@pytest.mark.skipif(not captures.names(), reason=f"no captures at {captures.ROOT}")
@pytest.mark.parametrize("names", [pytest.param(captures.names(), id=f"{len(captures.names())} captures")])
def test_every_capture_is_matched_to_the_last_orphan(names: list[str]) -> None:
    found = {name: differences(name) for name in names}
    matched = [name for name in names if not found[name]]
    print(f"{len(matched)} of {len(names)} captures matched in full: {', '.join(matched)}")  # noqa: T201  # the count is asked for
    assert matched == names, {name: said for name, said in found.items() if said}

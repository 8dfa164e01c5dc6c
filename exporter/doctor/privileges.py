"""What each privilege buys on this node: whether it is had, what it lets be judged, and what is blind without it. Pure.

What can be seen decides, the process's own standing only where nothing can: a node is not asked to prove what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

from exporter.doctor.enforcers import UNTOLD, up
from exporter.doctor.report import Row, State, Table
from exporter.doctor.standing import MONITOR, Standing
from exporter.metrics import SourceHealth
from exporter.model import Device, Missing, Reason, Sharing, Snapshot


@dataclass(frozen=True, slots=True)
class Node:
    """What a privilege is told from."""

    snapshot: Snapshot
    health: Mapping[str, SourceHealth]
    standing: Standing


@dataclass(frozen=True, slots=True)
class Privilege:
    """One of them. `here` returns how it is, and a remark on this node."""

    name: str
    buys: str
    without: str
    here: Callable[[Node], tuple[State, str]]


def privileges(snapshot: Snapshot, health: Sequence[SourceHealth], standing: Standing) -> Table:
    """Say of each privilege whether it is had here."""
    node = Node(snapshot, {each.name: each for each in health}, standing)
    return Table(("PRIVILEGE", "HERE", "BUYS / BLIND WITHOUT IT"), tuple(_row(each, node) for each in PRIVILEGES))


def _row(privilege: Privilege, node: Node) -> Row:
    state, remark = privilege.here(node)
    lost = state in {State.MISSING, State.OFF}
    words = f"{privilege.buys}. Without it {privilege.without}" if lost else privilege.buys
    return Row(privilege.name, state, f"{words} ({remark})" if remark else words)


def _host_pids(node: Node) -> tuple[State, str]:
    placed = node.snapshot.consumers.values()
    foreign = sum(1 for found in placed if found == Missing(Reason.HOST_PID))
    if foreign:
        return State.MISSING, f"{foreign} of {len(placed)} devices are blind for it"
    if isinstance(node.standing.host_pids, Missing):
        return (State.OK, "") if any(isinstance(found, tuple) and found for found in placed) else (State.UNTOLD, "")
    return (State.OK, "") if node.standing.host_pids else (State.MISSING, "pids here are not the driver's")


def _root(node: Node) -> tuple[State, str]:
    uid = node.standing.uid
    if uid is None:
        return State.UNTOLD, "not this node's process"
    return (State.OK, "") if uid == 0 else (State.MISSING, f"uid {uid}")


def _source(name: str) -> Callable[[Node], tuple[State, str]]:
    def here(node: Node) -> tuple[State, str]:
        health = node.health.get(name)
        if health is None:
            return State.OFF, ""
        return (State.OK, "") if health.up else (State.MISSING, "its source is down")

    return here


def _claims(node: Node) -> tuple[State, str]:
    claimed = [p for p in node.snapshot.partitions if p.sharing is Sharing.DRA]
    if not claimed:
        told = node.snapshot.partitions or up("podresources", node.health)
        return (State.UNUSED, "nobody here holds a claim") if told else (State.UNTOLD, UNTOLD)
    unread = [p.illegible for p in claimed if p.illegible is not None]
    if not unread:
        return State.OK, f"{len(claimed)} holders of claims"
    return State.MISSING, f"{len(unread)} of {len(claimed)} holders of claims are blind for it: {unread[0]}"


def _monitor(node: Node) -> tuple[State, str]:
    refused = sum(1 for device in node.snapshot.devices if _refused(device))
    if refused:
        return State.MISSING, f"{refused} of {len(node.snapshot.devices)} devices refuse readings, permission"
    if not node.snapshot.gpus:
        return State.UNTOLD, "no GPU is seen"
    if not any(state.gpu.mig_current is True for state in node.snapshot.gpus):
        return State.UNUSED, "no GPU here is in MIG mode"
    unset = node.standing.monitor == ""
    return State.OK, f"{MONITOR} is not set, and nothing is refused" if unset else ""


def _refused(device: Device) -> bool:
    use = device.use
    return any(getattr(use, each.name) == Missing(Reason.PERMISSION) for each in fields(use))


PRIVILEGES = (
    Privilege(
        "hostPID",
        "which processes are whose: isolation, and the use of devices that several share",
        "both are blind, and so are compute and memory of time slices, HAMi, KAI and MPS",
        _host_pids,
    ),
    Privilege(
        "root (uid 0)",
        "the kubelet's socket, the enforcers' files, the processes of others",
        "no partition has an owner: nothing can be judged",
        _root,
    ),
    Privilege(
        "PodResources socket",
        "who holds what, without the API server",
        "no partition has an owner: nothing can be judged",
        _source("podresources"),
    ),
    Privilege(
        MONITOR,
        "memory, errors and events of GPUs in MIG mode",
        "memory is blind on MIG instances, and XIDs and ECC errors are not seen",
        _monitor,
    ),
    Privilege(
        "API: pods, nodes",
        "owners' workloads, records of HAMi and KAI, whose a process is, how many slots there are",
        "HAMi's and KAI's partitions are not seen, and what shared devices are used for is blind",
        _source("kubernetes"),
    ),
    Privilege(
        "API: claims, slices",
        "what claims (DRA) promise",
        "conformance, memory and compute of claims are blind",
        _claims,
    ),
)

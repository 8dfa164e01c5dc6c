"""A live node for lint: what `/snapshot` of its exporter says (`exporter.snapshot_json`), read once into types.

Raises SourceError when the exporter cannot be reached or its answer is no snapshot: an unreadable node has no findings,
which must not look like a clean one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.errors import SourceError
from exporter.lint.model import LiveDevice, LiveNode, LivePartition, LiveProcess, LivePromise
from exporter.why.fetch import DEADLINE
from exporter.why.fetch import fetch as ask
from toolkit.site import site

Json = Mapping[str, Any]


def fetch(url: str, timeout: float = DEADLINE) -> LiveNode:
    """Read the node behind an exporter's URL (`http://node:9945`). `timeout` is seconds for the whole answer.

    Raises ConfigError for what is no URL, SourceError when it cannot be read.
    """
    where = site(url.rstrip("/").removesuffix("/snapshot"))
    return parse(ask(where, "/snapshot", deadline=timeout), f"{where.url}/snapshot")


def parse(data: bytes, origin: str = "snapshot") -> LiveNode:
    """Read a snapshot. Raises SourceError when it is none, or says that the driver told nothing."""
    try:
        document = json.loads(data)
        doubt = document["doubt"]
        node = _node(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f"{origin}: no snapshot of a node: {type(error).__name__}: {error}") from error
    if doubt is not None:
        raise SourceError(f"{origin}: the exporter of {node.name} sees nothing now: {doubt}")
    return node


def _node(document: Json) -> LiveNode:
    return LiveNode(
        name=str(document["node"]),
        devices=tuple(_device(entry) for entry in document["devices"]),
        partitions=tuple(_partition(entry) for entry in document["partitions"]),
        processes=tuple(_processes(document["processes"])),
    )


def _device(entry: Json) -> LiveDevice:
    return LiveDevice(
        uuid=str(entry["uuid"]),
        gpu=str(entry["gpu"]),
        index=str(entry["index"]),
        model=str(entry["model"]),
        memory=_number(entry["attached_memory_bytes"]),
    )


def _partition(entry: Json) -> LivePartition:
    processes = entry["processes"]
    promise = entry["promise"]
    return LivePartition(
        gpu=str(entry["gpu"]),
        device=str(entry["device"]),
        namespace=str(entry["namespace"]),
        pod=str(entry["pod"]),
        container=str(entry["container"]),
        sharing=str(entry["sharing"]),
        slots=max(int(entry["slots"]), 1),
        state=str(entry["state"]),
        promised_profile=str(entry["promised_profile"]),
        replicas=_number(entry["replicas"]),
        holders=int(entry["holders"]),
        processes=len(processes) if isinstance(processes, list) else None,
        compute=_promise(promise["compute"]),
        memory=_promise(promise["memory"]),
        conformance=_broken(entry["guarantees"].get("conformance")),
    )


def _promise(entry: Json | None) -> LivePromise | None:
    if entry is None:
        return None
    return LivePromise(amount=_number(entry["amount"]), klass=str(entry["class"]), enforcer=str(entry["enforcer"]))


def _broken(verdict: Json | None) -> Mapping[str, float]:
    if verdict is None or verdict["outcome"] != "broken":
        return {}
    return {str(cause): float(part) for cause, part in verdict["loss"].items()}


def _processes(by_device: Json) -> Iterator[LiveProcess]:
    for device, found in by_device.items():
        for entry in found if isinstance(found, list) else ():  # a missing list is a mapping with its reason
            yield LiveProcess(
                device=str(device),
                pid=int(entry["process"]["pid"]),
                command=str(entry["command"]),
                relation=str(entry["relation"]),
                namespace=str(entry["namespace"]),
                pod=str(entry["pod"]),
            )


def _number(value: object) -> float | None:
    """A reading: a number, or None for one that is missing."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

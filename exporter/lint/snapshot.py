"""A live node for lint: what `/snapshot` of its exporter says (`exporter.snapshot_json`), read once into types.

Raises SourceError when the exporter cannot be reached or its answer is no snapshot: an unreadable node has no findings,
which must not look like a clean one.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any

from exporter.errors import SourceError
from exporter.lint.model import LiveDevice, LiveNode, LivePartition, LiveProcess, LivePromise
from exporter.model import Reason
from toolkit.errors import ConfigError

_MAX_BYTES = 64 << 20
_TIMEOUT = 10.0

Json = Mapping[str, Any]


def fetch(url: str, timeout: float = _TIMEOUT) -> LiveNode:
    """Read the node behind an exporter's URL (`http://node:9945`). `timeout` is seconds between bytes.

    Raises ConfigError for what is no URL, SourceError when it cannot be read.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url {url}: expected http://HOST:PORT or https://HOST:PORT")
    address = url.rstrip("/").removesuffix("/snapshot") + "/snapshot"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=timeout) as response:
            data = response.read(_MAX_BYTES + 1)
    except TimeoutError as error:
        raise SourceError(f"{address}: no answer in {timeout:g} s", Reason.TIMEOUT) from error
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceError(f"{address}: HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"{address}: {getattr(error, 'reason', error)}") from error
    if len(data) > _MAX_BYTES:
        raise SourceError(f"{address}: larger than {_MAX_BYTES} bytes")
    return parse(data, address)


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

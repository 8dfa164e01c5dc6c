"""The joined node as JSON, for people and for `slicewatch why`: everything that a tick knew, with what was missing and why.

A missing value is `{"missing": "<reason>"}`; a number is a number; identity is written out in words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache

from exporter.activity import activity_sources
from exporter.catalogue import PartitionKey
from exporter.ledger import NS, Account
from exporter.metrics import SourceHealth
from exporter.model import Device, Missing, Partition
from exporter.pipeline import Result

_RENAMED = {"klass": "class"}
_BIG = frozenset({"device", "gpu", "consumers"})  # written out once elsewhere in the document
Json = dict[str, object]


def snapshot_json(result: Result, health: tuple[SourceHealth, ...], wall: float) -> bytes:
    """Render one tick. `wall` is Unix seconds."""
    snapshot = result.snapshot
    document: Json = {
        "node": snapshot.node,
        "time": wall,
        "driver": snapshot.driver,
        "nvml": snapshot.nvml,
        "doubt": snapshot.doubt,
        "sources": [{"name": s.name, "up": s.up, "last_success": s.last_success} for s in health],
        "gpus": [_plain(state.gpu) | {"use": _plain(state.use)} for state in snapshot.gpus],
        "devices": [_device(device, snapshot.at) for device in snapshot.devices],
        "partitions": [_partition(partition, result) for partition in snapshot.partitions],
        "processes": {
            device: plain(found if isinstance(found, Missing) else list(found))
            for device, found in snapshot.consumers.items()
        },
        "misnamed": dict(sorted(snapshot.misnamed.items())),
        "orphans": dict(sorted(snapshot.orphans.items())),
        "drifts": [_plain(drift) for drift in result.drifts],
    }
    return json.dumps(plain(document), ensure_ascii=True, allow_nan=False, indent=1).encode() + b"\n"


def _device(device: Device, at: float) -> Json:
    """One device, with the source of each reading of its activity, and how old a sample is that is not of this tick."""
    use = _plain(device.use)
    sampled = device.use.sampled
    del use["sampled"]
    document = _plain(device) | {"use": use, "sources": activity_sources(device.use)}
    if sampled is None:
        return document
    sample = {
        "source": sampled.source,
        "age": at - sampled.seen,
        "interval": sampled.interval,
        "covers": sampled.covers,
        "low_confidence": sampled.low_confidence,
    }
    return document | {"sample": sample}


def _partition(partition: Partition, result: Result) -> Json:
    document: Json = {
        **partition.key._asdict(),
        "owner": plain(partition.owner),
        **{
            field.name: plain(getattr(partition, field.name))
            for field in fields(partition)
            if field.name not in _BIG | {"key", "owner"}
        },
        "processes": plain(
            partition.consumers
            if isinstance(partition.consumers, Missing)
            else [consumer.process.pid for consumer in partition.consumers]
        ),
        "guarantees": {
            guarantee: plain(verdict) for guarantee, verdict in result.verdicts.get(partition.key, {}).items()
        },
    }
    account = result.state.ledger.accounts.get(partition.key)
    return document if account is None else document | {"seconds": _seconds(account)}


def _seconds(account: Account) -> Json:
    """One account's counters in seconds: outcomes, losses by cause and by neighbour, blind time by reason, shares."""
    guarantees: dict[str, dict[str, dict[str, float]]] = {}
    for (guarantee, outcome), spent in account.outcomes.items():
        guarantees.setdefault(guarantee, {}).setdefault("outcomes", {})[outcome] = spent / NS
    for (guarantee, cause), lost in account.lost.items():
        guarantees[guarantee].setdefault("lost", {})[cause] = lost / NS
    for (guarantee, who), lost in account.to_neighbour.items():
        guarantees[guarantee].setdefault("lost_to_neighbour", {})["/".join(who)] = lost / NS
    for (guarantee, reason), spent in account.blind.items():
        guarantees[guarantee].setdefault("blind", {})[reason] = spent / NS
    shares = {"promised": account.promised / NS, "delivered": account.delivered / NS, "borrowed": account.borrowed / NS}
    return {"guarantees": guarantees, "share_seconds": shares}


def _plain(value: object) -> Json:
    found = plain(value)
    if not isinstance(found, dict):
        raise TypeError(f"{type(value).__name__} is no record")
    return found


def plain(value: object) -> object:
    """Turn a value of the model into what JSON can say."""
    if isinstance(value, Missing):
        return {"missing": value.reason.value}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PartitionKey):
        return value._asdict()
    if is_dataclass(value) and not isinstance(value, type):
        return {_RENAMED.get(name, name): plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(str(plain(item)) for item in value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _key(key: object) -> str:
    """A neighbour's key is its namespace and name; every other key is a word."""
    return "/".join(key) if isinstance(key, tuple) else str(plain(key))


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))

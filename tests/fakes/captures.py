"""Recorded nodes with known answers, as this program's own types.

A capture is a directory with what the kubelet, the API server and the driver of one node say, and the allocations that
follow. They live outside the repository; where they are absent the tests that need them are skipped.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from exporter.model import Allocations, Missing, Pods, Reason
from exporter.records import Claims
from exporter.sources import podresources_pb2 as pb
from exporter.sources.podresources import held, offered
from exporter.sources.pods import slim
from exporter.vendors import dra

ROOT = Path(os.environ.get("CAPTURES", Path(__file__).parents[2].parent / "shared" / "captures")) / "k8s"


@dataclass(frozen=True, kw_only=True)
class Capture:
    """One node. `list_json`, `allocatable_json`, `pods_json` and the rest are as recorded, {} where there is none."""

    name: str
    allocations: Allocations
    pods: Pods
    driver: dict[str, Any]
    expect: dict[str, Any]
    list_json: dict[str, Any]
    allocatable_json: dict[str, Any] = field(default_factory=dict)
    pods_json: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    slices: dict[str, Any] = field(default_factory=dict)


def names() -> list[str]:
    """Names of the captures; empty where the folder is absent."""
    return sorted(path.parent.name for path in ROOT.glob("*/expect.json"))


def cases() -> list[Any]:
    """Parameters for a table of tests: one a capture, or one that skips and says why."""
    found = names()
    if found:
        return [pytest.param(name, id=name) for name in found]
    return [pytest.param("", marks=pytest.mark.skip(reason=f"no captures at {ROOT}"), id="absent")]


def load(name: str) -> Capture:
    """Read one capture; skips the calling test where it is absent."""
    directory = ROOT / name
    if not directory.is_dir():
        pytest.skip(f"no capture at {directory}")
    read = {path.stem: json.loads(path.read_text()) for path in directory.glob("*.json")}
    return Capture(
        name=name,
        allocations=_allocations(read["list"], read.get("allocatable")),
        pods=Pods(
            items=tuple(pod for item in read["pods"]["items"] if (pod := slim(item)) is not None),
            node_labels=read["node-labels"],
            claims=_claims(read) if "claims" in read else Missing(Reason.NOT_CONFIGURED),
        ),
        driver=read["driver"],
        expect=read["expect"],
        list_json=read["list"],
        allocatable_json=read.get("allocatable", {}),
        pods_json=read["pods"],
        claims=read.get("claims", {}),
        slices=read.get("slices", {}),
    )


def _claims(read: dict[str, Any]) -> Claims:
    return Claims(
        items=tuple(claim for item in read["claims"]["items"] if (claim := dra.claim(item)) is not None),
        published=tuple(device for item in read["slices"]["items"] for device in dra.published(item)),
    )


def _allocations(listed: dict[str, Any], allocatable: dict[str, Any] | None) -> Allocations:
    return Allocations(
        serial=1,
        items=held(ParseDict(listed, pb.ListPodResourcesResponse())),
        allocatable=Missing(Reason.UNSUPPORTED)
        if allocatable is None
        else offered(ParseDict(allocatable, pb.AllocatableResourcesResponse())),
    )

"""The threat model's claims: each test that a document names exists, and nothing that changes a node or a cluster is called."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.reading import ROOT, documents

NAMED = re.compile(r"`(tests/[\w/]+\.py)`\s+`(test_\w+)`")
CHANGES = re.compile(
    r"nvml(?:Device|GpuInstance|ComputeInstance|System|Unit|Vgpu\w*)(?:Set|Reset|Clear|Create|Destroy|Modify)\w*"
)
"""Calls of NVML that change a device; event sets and samples are this process's own."""
METHODS = re.compile(r"""["'](POST|PUT|PATCH|DELETE)["']""")


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", sorted(path for path, text in documents().items() if NAMED.search(text)))
def test_every_test_that_a_document_names_exists(path: str) -> None:
    named = set(NAMED.findall(documents()[path]))
    assert {(file, name) for file, name in named if name not in functions(file)} == set()


def test_every_test_that_the_threat_model_names_is_found_as_one() -> None:
    text = documents()["docs/threat-model.md"]
    assert len(NAMED.findall(text)) == len(re.findall(r"`test_\w+`", text)) > 30


def test_nothing_that_changes_a_node_or_a_cluster_is_called() -> None:
    sources = {path: path.read_text() for path in (ROOT / "exporter").rglob("*.py")}
    assert {str(path): found for path, text in sources.items() if (found := CHANGES.findall(text))} == {}
    clients = {path: text for path, text in sources.items() if "kubernetes" in path.name}
    assert clients
    assert {str(path): found for path, text in clients.items() if (found := METHODS.findall(text))} == {}


@pytest.mark.parametrize(
    "call", ["nvmlDeviceSetPowerManagementLimit", "nvmlDeviceResetGpuLockedClocks", "nvmlGpuInstanceDestroy"]
)
def test_a_call_that_changes_a_device_would_be_found(call: str) -> None:
    assert CHANGES.search(call)


@pytest.mark.parametrize("call", ["nvmlEventSetCreate", "nvmlEventSetWait_v2", "nvmlDeviceGetResetStatus"])
def test_a_call_that_reads_is_not_taken_for_one(call: str) -> None:
    assert not CHANGES.search(call)

"""docs/limits.md is whole and true: each test that it names exists, and whatever reads from outside has a row in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.docs.reading import ROOT
from tools.limits.input import size
from tools.limits.outputs import OUTPUTS
from tools.limits.page import INPUTS, UNLISTED

READS = frozenset(
    {
        *("open", "read_text", "read_bytes", "pread", "readlink", "scandir", "iterdir", "glob", "rglob", "listdir"),
        *("recv", "recv_into", "read1", "urlopen", "create_connection", "build_opener", "connection_from_url"),
        *("Popen", "check_output", "run", "connect", "scan_parquet", "read_parquet", "CDLL"),
    }
)
"""Methods and functions by which bytes come from outside."""

DOUBTFUL = {"run": {"subprocess"}, "connect": {"socket", "sqlite3"}, "open": {"pathlib", "os", "urllib.request"}}
"""Words that other things are called too: they count where the module imports what makes them dangerous."""


def readers() -> set[str]:
    """The modules that read from outside."""
    found = set()
    for package in ("exporter", "slo", "toolkit"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            imported = {name for node in ast.walk(tree) for name in _imports(node)}
            called = {
                node.func.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            }
            if called & READS - DOUBTFUL.keys() or any(imported & DOUBTFUL[word] for word in called & DOUBTFUL.keys()):
                found.add(str(path.relative_to(ROOT)))
    return found


def _imports(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""} if isinstance(node, ast.ImportFrom) else set()


def test_whatever_reads_from_outside_has_a_row_or_a_reason_not_to() -> None:
    listed = {module for each in INPUTS for module in each.modules}
    assert readers() - listed - set(UNLISTED) == set()


def test_every_module_that_is_named_is_there() -> None:
    listed = {module for each in INPUTS for module in each.modules} | set(UNLISTED)
    assert {module for module in listed if not (ROOT / module).is_file()} == set()
    assert set(UNLISTED) <= readers()


NAMED = sorted({*(test for each in INPUTS for test in each.tests), *(test for _, _, test in OUTPUTS)})


@pytest.mark.parametrize("test", NAMED)
def test_every_test_that_is_named_exists(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse(Path(ROOT / path).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_input_is_proven() -> None:
    assert [each.name for each in INPUTS if not each.tests] == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(1 << 30, "1 GiB"), (16 << 20, "16 MiB"), (80 << 10, "80 KiB"), (2_008_952, "2,008,952 bytes"), (4096, "4 KiB")],
)
def test_a_size_is_told_exactly(count: int, text: str) -> None:
    assert size(count) == text

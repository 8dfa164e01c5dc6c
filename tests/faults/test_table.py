"""The table itself: every row says what it has to, and every test that it names is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults.rows import ROWS
from tests.faults.rows_live import LIVE
from tests.faults.table import Part, Row

TESTS = Path(__file__).parents[1]


def test_every_part_has_rows_and_no_row_stands_twice():
    assert {row.part for row in ROWS} == set(Part)
    named = [(row.part, row.fault) for row in ROWS]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.part}: {row.fault}")
def test_what_a_row_names_as_its_proof_is_a_test(row: Row):
    assert row.live is not None or row.proof
    assert (row.live is None) == bool(row.served)
    for proof in row.proof:
        tree = ast.parse((TESTS / f"{proof.file}.py").read_text(encoding="utf-8"))
        found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert (proof.test in found) if proof.test else any(name.startswith("test_") for name in found)


def test_live_rows_say_only_what_their_play_checks():
    assert not any(row.served or row.blind or row.kept for row in LIVE)
